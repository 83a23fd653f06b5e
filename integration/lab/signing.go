package lab

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// A Signer signs commits with a key of its own, as a person's git does.
type Signer struct {
	Allowed string // what an agent must have to accept it: a line of allowed signers, or an armored keyring
	config  map[string]string
}

// SSHSigner makes a signer with an SSH key.
func (l *Lab) SSHSigner(name string) (Signer, error) {
	key := filepath.Join(l.dir, "signer-"+name)
	if err := keygen(key, "ed25519"); err != nil {
		return Signer{}, err
	}
	public, err := os.ReadFile(key + ".pub")
	if err != nil {
		return Signer{}, err
	}
	return Signer{
		Allowed: name + "@example.org " + string(public),
		config:  map[string]string{"gpg.format": "ssh", "user.signingkey": key},
	}, nil
}

// PGPSigner makes a signer with an OpenPGP key.
func (l *Lab) PGPSigner(name string) (Signer, error) {
	home := filepath.Join(l.dir, "gpg-"+name)
	if err := os.Mkdir(home, 0o700); err != nil {
		return Signer{}, err
	}
	l.atEnd(func() error { return exec.Command("gpgconf", "--homedir", home, "--kill", "all").Run() })
	gpg := func(args ...string) (string, error) {
		out, err := exec.Command("gpg", append([]string{"--homedir", home, "--batch", "--quiet", "--passphrase", ""}, args...)...).Output()
		if err != nil {
			return "", fmt.Errorf("gpg %s: %w", args[0], err)
		}
		return string(out), nil
	}
	address := name + "@example.org"
	if _, err := gpg("--quick-gen-key", address, "ed25519", "sign", "never"); err != nil {
		return Signer{}, err
	}
	ring, err := gpg("--armor", "--export", address)
	if err != nil {
		return Signer{}, err
	}
	program := filepath.Join(home, "git-gpg")
	if err := os.WriteFile(program, fmt.Appendf(nil, "#!/bin/sh\nexec gpg --homedir %s \"$@\"\n", home), 0o755); err != nil {
		return Signer{}, err
	}
	return Signer{Allowed: ring, config: map[string]string{"gpg.format": "openpgp", "gpg.program": program, "user.signingkey": address}}, nil
}

// SignAs has every later commit signed; by nobody where the signer is nil.
func (r *Repo) SignAs(s *Signer) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	config := map[string]string{"commit.gpgsign": "false"}
	if s != nil {
		config = s.config
		if _, err := r.git("config", "commit.gpgsign", "true"); err != nil {
			return err
		}
	}
	for key, value := range config {
		if _, err := r.git("config", key, value); err != nil {
			return err
		}
	}
	return nil
}

// Merge commits files on a branch of its own, unsigned, and merges it into main.
func (r *Repo) Merge(message string, files map[string]string) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, err := r.git("checkout", "--quiet", "-B", "side"); err != nil {
		return "", err
	}
	if err := r.write(files); err != nil {
		return "", err
	}
	for _, args := range [][]string{
		{"add", "--all"},
		{"-c", "commit.gpgsign=false", "commit", "--quiet", "--message", message},
		{"checkout", "--quiet", "main"},
		{"merge", "--quiet", "--no-ff", "--message", "Merge: " + strings.ToLower(message), "side"},
	} {
		if _, err := r.git(args...); err != nil {
			return "", err
		}
	}
	return r.push("main")
}
