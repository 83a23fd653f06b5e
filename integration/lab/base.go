package lab

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// packages is what the shared Debian tree consists of; the tree's name has its hash. See integration/setup.sh.
//
//go:embed packages
var packages []byte

// serversPackages is what the tree that servers run in consists of.
//
//go:embed servers-packages
var serversPackages []byte

//go:embed layer
var layerFiles embed.FS

// masked are units of the tree that a node has no use for. They cost time to boot.
var masked = []string{
	"console-getty.service", "fstrim.timer", "getty.target", "ldconfig.service", "systemd-firstboot.service",
	"systemd-hibernate-clear.service", "systemd-hostnamed.socket", "systemd-journal-catalog-update.service",
	"systemd-logind.service", "systemd-machine-id-commit.service", "systemd-networkd.service", "systemd-networkd.socket",
	"systemd-pstore.service", "systemd-sysusers.service", "systemd-tmpfiles-clean.timer", "systemd-update-done.service",
}

// baseTree is the path of the shared Debian tree.
func baseTree() (string, error) {
	if os.Geteuid() != 0 {
		return "", fmt.Errorf("the lab starts systemd machines: run it as root")
	}
	return tree("trixie", packages)
}

// ServersTree is the path of a Debian tree with nginx, lighttpd, cgit, gitolite, sshd, Prometheus and Alertmanager.
// No lab uses it; what runs in it writes below its /srv.
func ServersTree() (string, error) { return tree("servers", serversPackages) }

func tree(name string, packages []byte) (string, error) {
	sum := sha256.Sum256(packages)
	base := "/var/cache/infra-agent-lab/" + name + "-" + hex.EncodeToString(sum[:])[:12]
	if _, err := os.Stat(filepath.Join(base, ".done")); err != nil {
		return "", fmt.Errorf("the lab's Debian tree %s is missing: run integration/setup.sh as root, with servers for that of servers: %w", base, err)
	}
	return base, nil
}

// writeLayer writes what the lab puts on top of the tree: the doubles, Nix's settings and the agents.
func writeLayer(dir string, agents map[string]string) error {
	if err := writeTree(layerFiles, "layer", dir); err != nil {
		return err
	}
	units := filepath.Join(dir, "usr/lib/systemd/system")
	for _, unit := range masked {
		if err := os.Symlink("/dev/null", filepath.Join(units, unit)); err != nil {
			return err
		}
	}
	links := map[string]string{
		filepath.Join(units, "default.target"):                         "multi-user.target",
		filepath.Join(units, "sockets.target.wants/nix-daemon.socket"): "../nix-daemon.socket",
		filepath.Join(dir, "nix/var/nix/gcroots/booted-system"):        "/run/booted-system",
		filepath.Join(dir, "nix/var/nix/gcroots/current-system"):       "/run/current-system",
		filepath.Join(dir, "nix/var/nix/gcroots/profiles"):             "/nix/var/nix/profiles",
	}
	for path, target := range links {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.Symlink(target, path); err != nil {
			return err
		}
	}
	for version, program := range agents {
		path := filepath.Join(dir, "usr/local/lib/infra-agent-lab", version, "infra-agent")
		if err := copyProgram(program, path); err != nil {
			return fmt.Errorf("install agent %s: %w", version, err)
		}
	}
	return nil
}

// writeTree copies the folder root of an embedded tree to dir. What starts with "#!" becomes executable.
func writeTree(tree embed.FS, root, dir string) error {
	return fs.WalkDir(tree, root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		target := filepath.Join(dir, strings.TrimPrefix(path, root))
		if entry.IsDir() {
			return os.MkdirAll(target, 0o755)
		}
		text, err := tree.ReadFile(path)
		if err != nil {
			return err
		}
		mode := fs.FileMode(0o644)
		if strings.HasPrefix(string(text), "#!") {
			mode = 0o755
		}
		return os.WriteFile(target, text, mode)
	})
}

func copyProgram(from, to string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	target, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	defer target.Close()
	_, err = io.Copy(target, source)
	return err
}
