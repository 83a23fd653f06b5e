package source

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// A namedFile is a file that the settings name, by the key that does.
type namedFile struct{ key, path string }

// files lists those that a job may read.
func (j job) files() (named []namedFile) {
	for _, f := range []namedFile{
		{"token_file", j.Remote.TokenFile},
		{"ssh_key_file", j.Remote.SSHKeyFile},
		{"known_hosts_file", j.Remote.KnownHostsFile},
		{"ca_file", j.Remote.CAFile},
		{"allowed_signers_file", j.Trust.Files.AllowedSigners},
		{"openpgp_keyring_file", j.Trust.Files.Keyring},
		{"revocation_file", j.Trust.Files.Revocation},
	} {
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
			return fmt.Errorf("read %s: %w", f.key, err)
		}
		// The rule of ssh(1): a key of one's own must be nobody else's.
		owner, ok := info.Sys().(*syscall.Stat_t)
		if f.key == "ssh_key_file" && ok && int(owner.Uid) == os.Getuid() && info.Mode().Perm()&0o077 != 0 {
			return fmt.Errorf("ssh_key_file %s can be read by others, mode %#o (hint: chmod 600 %s)", f.path, info.Mode().Perm(), f.path)
		}
	}
	return nil
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
