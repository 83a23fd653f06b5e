package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// checkout is where a commit's tree is while a node builds it by hand.
const checkout = "/var/tmp/fleet"

// install is run in a node that is off, by chroot, on its network: there is no systemd, so nothing of it starts.
const install = `set -eu
mount -t devpts devpts /dev/pts
export HOME=/tmp
toplevel=$(nix build --no-link --print-out-paths --option eval-cache false "path:` + checkout + `#$1")
nix-env --profile /nix/var/nix/profiles/system --set "$toplevel"
lab-bootloader "$toplevel"`

// Install makes a commit the first generation of a node that is off, as an installer does: profile and boot default are
// the toplevel of the configuration with the node's name.
func (n *Node) Install(ctx context.Context, commit string) error {
	return n.InstallFrom(ctx, commit, fmt.Sprintf("nixosConfigurations.%q.config.system.build.toplevel", n.name))
}

// InstallFrom is Install of the system that an attribute of the flake is, such as an image.
func (n *Node) InstallFrom(ctx context.Context, commit, attribute string) error {
	if n.On() {
		return fmt.Errorf("install %s: it is on", n.name)
	}
	_, err := n.withCheckout(commit, func() (string, error) {
		cmd := commandIn(ctx, n.groups, "nsenter", "--net="+filepath.Join(namespaceDir, n.lab.namespace(n.name)), "unshare", "--mount", "--pid", "--fork", "--kill-child",
			"--root="+n.root, "--mount-proc=/proc", "--wd=/", "/bin/sh", "-c", install, "sh", attribute)
		return n.output(cmd, []string{"install", commit, attribute})
	})
	return err
}

// Build builds a commit's system for a node that is on, as a person does at its console, and returns the toplevel.
// Nothing is activated.
func (n *Node) Build(ctx context.Context, commit string) (string, error) {
	const build = `cd "$(mktemp -d)" && nixos-rebuild build --flake "path:` + checkout + `#$(hostname)" >&2 && readlink -f result`
	toplevel, err := n.withCheckout(commit, func() (string, error) { return n.Run(ctx, "sh", "-c", build) })
	return strings.TrimSpace(toplevel), err
}

// withCheckout calls f while the tree of a commit is on the node's disk.
func (n *Node) withCheckout(commit string, f func() (string, error)) (string, error) {
	dir := filepath.Join(n.root, checkout)
	if err := n.lab.repo.export(commit, dir); err != nil {
		return "", fmt.Errorf("check out on %s: %w", n.name, err)
	}
	out, err := f()
	return out, errors.Join(err, os.RemoveAll(dir))
}

// Up installs a commit on the nodes and boots them, all at the same time, and waits until their boots have finished.
func (l *Lab) Up(ctx context.Context, commit string, nodes ...*Node) error {
	errs := make(chan error)
	for _, n := range nodes {
		go func() { errs <- n.up(ctx, commit) }()
	}
	var all error
	for range nodes {
		all = errors.Join(all, <-errs)
	}
	return all
}

func (n *Node) up(ctx context.Context, commit string) error {
	if err := n.Install(ctx, commit); err != nil {
		return err
	}
	if err := n.Boot(ctx); err != nil {
		return err
	}
	_, err := n.WaitRunning(ctx)
	return err
}
