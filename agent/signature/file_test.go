package signature_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/infra-agent/infra-agent/agent/signature"
)

// The signatures are ssh-keygen's own.
func TestVerifyFile(t *testing.T) {
	needsKeygen(t)
	dir := t.TempDir()
	keygen := func(args ...string) {
		t.Helper()
		c := exec.CommandContext(t.Context(), "ssh-keygen", args...)
		c.Dir = dir
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("ssh-keygen %v: %v\n%s", args, err, out)
		}
	}
	read := func(name string) []byte {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const space, text = "example-file", "what is signed\n"
	write("file", text)
	keygen("-q", "-t", "ed25519", "-N", "", "-C", "", "-f", "ann")
	keygen("-Y", "sign", "-f", "ann", "-n", space, "file")
	sig, key := read("file.sig"), strings.TrimSpace(string(read("ann.pub")))
	keygen("-q", "-t", "ed25519", "-N", "", "-C", "", "-f", "bob")
	bob := strings.TrimSpace(string(read("bob.pub")))

	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	for _, c := range []struct {
		name, signers, revoked, text, space string
		sig                                 []byte
		err                                 error
		says                                string
	}{
		{"good", "ann@example.org " + key, "", text, space, sig, nil, ""},
		{"for this namespace", `ann@example.org namespaces="example-*" ` + key, "", text, space, sig, nil, ""},
		{"another text", "ann@example.org " + key, "", text + "more", space, sig, signature.ErrBad, ""},
		{"another namespace", "ann@example.org " + key, "", text, "git", sig, signature.ErrBad, "namespace"},
		{"a key for commits", `ann@example.org namespaces="git" ` + key, "", text, space, sig, signature.ErrUnknownKey, "may not sign for example-file"},
		{"another's key", "bob@example.org " + bob, "", text, space, sig, signature.ErrUnknownKey, "not among the allowed signers"},
		{"nobody may", "", "", text, space, sig, signature.ErrUnknownKey, "no allowed signers are set"},
		{"not yet", `ann@example.org valid-after="20260305Z" ` + key, "", text, space, sig, signature.ErrUnknownKey, "was not allowed yet when the file was made"},
		{"not any more", `ann@example.org valid-before="20260304Z" ` + key, "", text, space, sig, signature.ErrUnknownKey, "was not allowed any more when the file was made"},
		{"revoked", "ann@example.org " + key, key, text, space, sig, signature.ErrUnknownKey, "is revoked"},
		{"no signature", "ann@example.org " + key, "", text, space, nil, signature.ErrBad, "armor"},
		{"half a signature", "ann@example.org " + key, "", text, space, sig[:len(sig)/2], signature.ErrBad, "armor"},
	} {
		all := keys(t, signature.Files{AllowedSigners: write("signers", c.signers+"\n"), Revocation: write("revoked", c.revoked+"\n")})
		signer, err := all.VerifyFile([]byte(c.text), c.sig, c.space, at)
		want := ""
		if c.err == nil {
			want = "ann@example.org"
		}
		if signer != want || !errors.Is(err, c.err) || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: VerifyFile = %q, %v, want %q, %v that says %q", c.name, signer, err, want, c.err, c.says)
		}
	}
}
