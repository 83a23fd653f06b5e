package signature_test

import (
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/infra-agent/infra-agent/agent/signature"
)

// armored returns a commit of the fixtures with another armor.
func armored(t *testing.T, name string, change func(armor string) string) string {
	t.Helper()
	head, message, _ := strings.Cut(fixture(t, name+".commit"), "\n\n")
	head, armor, found := strings.Cut(head, "\ngpgsig ")
	if !found {
		t.Fatalf("%s is not signed", name)
	}
	armor = change(strings.ReplaceAll(armor, "\n ", "\n"))
	return head + "\ngpgsig " + strings.ReplaceAll(armor, "\n", "\n ") + "\n\n" + message
}

// repacked returns a change of what the armor encloses.
func repacked(t *testing.T, change func(raw []byte) []byte) func(armor string) string {
	return func(armor string) string {
		begin, text, _ := strings.Cut(armor, "\n")
		text, end, _ := strings.Cut(text, "\n-----END")
		text, _, _ = strings.Cut(text, "\n=") // the checksum
		raw, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(text, "\n") {
			begin += "\n"
		}
		for line := range slices.Chunk([]byte(base64.StdEncoding.EncodeToString(change(raw))), 64) {
			begin += "\n" + string(line)
		}
		return begin + "\n-----END" + end
	}
}

func same(armor string) string { return armor }

func appended(more string) func([]byte) []byte {
	return func(raw []byte) []byte { return append(raw, more...) }
}

// Whatever else is in an armor, or beside it, somebody may take for the signature.
func TestOneArmorWithOneSignature(t *testing.T) {
	all := keys(t, signature.Files{AllowedSigners: "testdata/allowed_signers", Keyring: "testdata/keyring.asc"})
	before := func(old, text string) func(string) string {
		return func(armor string) string { return strings.Replace(armor, old, text+old, 1) }
	}
	for _, c := range []struct {
		what, commit string
		change       func(armor string) string
		good         bool
	}{
		{"as it is", "ssh-ann", same, true},
		{"as it is", "pgp-ann", same, true},
		{"an empty line more", "ssh-ann", func(a string) string { return a + "\n" }, true},
		{"an empty line more", "pgp-ann", func(a string) string { return a + "\n" }, true},
		{"other lines", "ssh-ann", repacked(t, appended("")), true},
		{"other lines, without a checksum", "pgp-ann", repacked(t, appended("")), true},
		{"a header", "pgp-ann", func(a string) string { return strings.Replace(a, "\n\n", "\nVersion: GnuPG v2\n\n", 1) }, true},

		{"text after it", "ssh-ann", func(a string) string { return a + "\nmore" }, false},
		{"text after it", "pgp-ann", func(a string) string { return a + "\nmore" }, false},
		{"twice", "ssh-ann", func(a string) string { return a + "\n" + a }, false},
		{"twice", "pgp-ann", func(a string) string { return a + "\n" + a }, false},
		{"text after its checksum", "pgp-ann", before("\n-----END", "\nmore"), false},
		{"another begin as a header", "pgp-ann", before("\n\n", "\n-----BEGIN PGP SIGNATURE-----: x"), false},
		{"the same bytes in other letters", "ssh-ann", func(a string) string {
			i := strings.LastIndex(a, "=\n") - 1
			return a[:i] + string(a[i]+1) + a[i+1:]
		}, false},
		{"a line that is no header", "pgp-ann", func(a string) string { return strings.Replace(a, "\n\n", "\nmore\n\n", 1) }, false},
		{"a header", "ssh-ann", func(a string) string { return strings.Replace(a, "\n", "\nVersion: 1\n\n", 1) }, false},
		{"of another kind", "ssh-ann", func(a string) string { return strings.ReplaceAll(a, "SSH", "PGP") }, false},
		{"bytes after it", "ssh-ann", repacked(t, appended("x")), false},
		{"bytes after it", "pgp-ann", repacked(t, appended("x")), false},
		{"a packet that nobody knows", "pgp-ann", repacked(t, appended("\xfc\x01x")), false},
		{"a marker", "pgp-ann", repacked(t, appended("\xca\x03PGP")), false},
		{"a marker first", "pgp-ann", repacked(t, func(raw []byte) []byte { return append([]byte("\xca\x03PGP"), raw...) }), false},
		{"a marker alone", "pgp-ann", repacked(t, func([]byte) []byte { return []byte("\xca\x03PGP") }), false},
		{"two signatures", "pgp-ann", repacked(t, func(raw []byte) []byte { return append(raw, raw...) }), false},
		{"no name of its key", "pgp-ann", repacked(t, func([]byte) []byte {
			return []byte("\xc2\x16\x04\x00\x16\x08\x00\x06\x05\x02\x67\x00\x00\x00\x00\x00\xaa\xbb\x00\x01\x01\x00\x01\x01")
		}), false},
		{"bytes within it", "ssh-ann", repacked(t, func(raw []byte) []byte { return within(t, raw) }), false},
	} {
		signer, err := all.Verify([]byte(armored(t, c.commit, c.change)))
		if c.good && signer != "ann@example.org" || !c.good && !errors.Is(err, signature.ErrBad) {
			t.Errorf("%s, %s: Verify = %q, %v, want good = %v", c.commit, c.what, signer, err, c.good)
		}
	}
}

// within adds a byte to the innermost part of an SSH signature, PROTOCOL.sshsig.
func within(t *testing.T, raw []byte) []byte {
	var blob struct {
		Key, Namespace, Reserved, Hash, Signature []byte
	}
	const start = len("SSHSIG") + 4 // and the version
	if err := ssh.Unmarshal(raw[start:], &blob); err != nil {
		t.Fatal(err)
	}
	blob.Signature = append(blob.Signature, 'x')
	return append(raw[:start:start], ssh.Marshal(blob)...)
}

// In a signature of text line ends do not count: one signature for many commits.
func TestLineEndsCount(t *testing.T) {
	all := keys(t, signature.Files{Keyring: "testdata/keyring.asc"})
	commit := fixture(t, "pgp-text.commit")
	head, message, _ := strings.Cut(commit, "\n\n")
	for _, raw := range []string{commit, head + "\n\n" + strings.ReplaceAll(message, "\n", "\r\n")} {
		if signer, err := all.Verify([]byte(raw)); !errors.Is(err, signature.ErrBad) {
			t.Errorf("Verify(%q) = %q, %v, want ErrBad", raw, signer, err)
		}
	}
}

// A file of several exports is what cat makes of them, and gpg imports it whole.
func TestAKeyringOfSeveralArmors(t *testing.T) {
	ring := func(names ...string) signature.Files {
		path := filepath.Join(t.TempDir(), "keyring.asc")
		var text strings.Builder
		for _, name := range names {
			text.WriteString(fixture(t, name))
		}
		if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		return signature.Files{Keyring: path}
	}
	k := keys(t, ring("keyring.asc", "bob.asc"))
	for _, name := range []string{"ann", "bob"} {
		if _, err := k.Verify([]byte(fixture(t, "pgp-"+name+".commit"))); err != nil {
			t.Errorf("Verify(pgp-%s): %v", name, err)
		}
	}
	t.Log("a revocation that nobody would heed")
	if _, err := signature.Load(ring("keyring.asc", "ann-revocation.asc"), os.ReadFile); err == nil || !strings.Contains(err.Error(), "not a public/private key") {
		t.Errorf("Load: %v, want an error that says there is no key", err)
	}
}
