package source

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/infra-agent/infra-agent/reconcile"
)

// A namedFile is a file that the settings name, by the key that does.
type namedFile struct{ key, path string }

// files lists those that a job may read.
func (j job) files() (named []namedFile) {
	remotes := []Remote{j.Remote}
	if (j.Checkout.LFS || j.Checkout.Submodules == SubmodulesFetch) && !j.Ask {
		remotes = append(remotes, j.Checkout.Hosts...)
	}
	var all []namedFile
	for _, r := range remotes {
		all = append(all, namedFile{"token_file", r.TokenFile}, namedFile{"ssh_key_file", r.SSHKeyFile},
			namedFile{"known_hosts_file", r.KnownHostsFile}, namedFile{"ca_file", r.CAFile})
	}
	for _, f := range append(all, []namedFile{
		{"allowed_signers_file", j.Trust.Files.AllowedSigners},
		{"openpgp_keyring_file", j.Trust.Files.Keyring},
		{"revocation_file", j.Trust.Files.Revocation},
	}...) {
		if f.path != "" {
			named = append(named, f)
		}
	}
	return named
}

// checkFiles is for the agent's own process, which alone sees whose a file is and
// why it cannot be read.
func (j job) checkFiles() error {
	for _, f := range j.files() {
		info, err := os.Stat(f.path)
		if err != nil {
			return j.without(f, unreadable(f.key, err))
		}
		if info.Size() <= 1 && isCopy(f.path) {
			return j.without(f, missingCopy(f.key, f.path))
		}
		// The rule of ssh(1): a key of one's own must be nobody else's.
		owner, ok := info.Sys().(*syscall.Stat_t)
		if f.key == "ssh_key_file" && ok && int(owner.Uid) == os.Getuid() && info.Mode().Perm()&0o077 != 0 {
			return fmt.Errorf("ssh_key_file %s can be read by others, mode %#o (hint: chmod 600 %s)", f.path, info.Mode().Perm(), f.path)
		}
	}
	return nil
}

// without is the error of a file that is not there: without keys nothing is verified.
func (j job) without(f namedFile, err error) error {
	if k := j.Trust.Files; f.path == k.AllowedSigners || f.path == k.Keyring || f.path == k.Revocation {
		return &reconcile.KeysError{Err: err}
	}
	return err
}

// unreadable says why a file could not be read. The agent's unit has root's name, but
// none of its capabilities.
func unreadable(key string, err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("read %s: %w (hint: the agent's unit sees no homes, and of other users' files only what everybody may read: name the file in services.infra-agent.credentials)", key, err)
	}
	return fmt.Errorf("read %s: %w", key, err)
}

// isCopy reports whether systemd has made the file for a unit.
func isCopy(path string) bool { return strings.HasPrefix(path, "/run/credentials/") }

// missingCopy is about a copy that the NixOS module leaves empty where systemd found
// nothing to copy.
func missingCopy(key, path string) error {
	return fmt.Errorf("%s %s is empty: what it is a copy of was not there when the agent started (hint: put the file there that services.infra-agent.credentials names, and restart the agent)", key, path)
}

// credentials names the copies of the job's files that a unit gets of systemd.
func (j job) credentials() map[string]string {
	copies := map[string]string{}
	for _, f := range j.files() {
		copies[credential(f.path)] = f.path
	}
	return copies
}

// credential is the name of the copy of a file.
func credential(path string) string {
	sum := sha256.Sum256([]byte(path))
	return hex.EncodeToString(sum[:8])
}

// copyOf returns where this process reads a file: its own copy, where it has one.
func copyOf(path string) string {
	dir := os.Getenv("CREDENTIALS_DIRECTORY")
	if dir == "" || path == "" {
		return path
	}
	own := filepath.Join(dir, credential(path))
	if _, err := os.Stat(own); err != nil {
		return path
	}
	return own
}
