package signature_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// sshKeygen asks ssh-keygen about a signed commit in the way that git does.
type sshKeygen struct {
	t                testing.TB
	payload, sigFile string
}

func newSSHKeygen(t testing.TB, commit string) sshKeygen {
	t.Helper()
	head, message, _ := strings.Cut(commit, "\n\n")
	head, sig, _ := strings.Cut(head, "\ngpgsig ")
	path := filepath.Join(t.TempDir(), "sig")
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(sig, "\n ", "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	return sshKeygen{t, head + "\n\n" + message, path}
}

// accepts says whether ssh-keygen takes the signature with these allowed signers.
func (k sshKeygen) accepts(allowed string) bool {
	k.t.Helper()
	path := filepath.Join(k.t.TempDir(), "allowed_signers")
	if err := os.WriteFile(path, []byte(allowed), 0o600); err != nil {
		k.t.Fatal(err)
	}
	common := []string{"-f", path, "-s", k.sigFile, "-Overify-time=20260304050607Z"}
	principals, err := exec.CommandContext(k.t.Context(), "ssh-keygen", append([]string{"-Y", "find-principals"}, common...)...).Output()
	if err != nil {
		return false
	}
	for p := range strings.Lines(string(principals)) {
		verify := exec.CommandContext(k.t.Context(), "ssh-keygen", append([]string{"-Y", "verify", "-n", "git", "-I", strings.TrimSuffix(p, "\n")}, common...)...)
		verify.Stdin = strings.NewReader(k.payload)
		if verify.Run() == nil {
			return true
		}
	}
	return false
}

// needsKeygen skips a test where there is no ssh-keygen, but not in CI.
func needsKeygen(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("ssh-keygen"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("no ssh-keygen here, and this is where it must be: install openssh-client")
		}
		t.Skip("no ssh-keygen here")
	}
}

// Whatever is accepted here, ssh-keygen accepts too.
func TestSSHKeygenAgrees(t *testing.T) {
	needsKeygen(t)
	keygen := newSSHKeygen(t, fixture(t, "ssh-ann.commit"))
	key := strings.TrimSpace(fixture(t, "ann.pub"))
	for _, c := range goodSigners(key) {
		if got, want := keygen.accepts(c.text), c.want == nil; got != want {
			t.Errorf("%q: ssh-keygen accepts = %v, want %v", c.text, got, want)
		}
	}
	for _, c := range badSigners(key) {
		if got := keygen.accepts(c.text); got != c.stricter {
			t.Errorf("%q: ssh-keygen accepts = %v, want %v", c.text, got, c.stricter)
		}
	}
}
