package signature_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/infra-agent/infra-agent/agent/signature"
)

// fixture returns a file that testdata/make.sh made with real git, ssh-keygen and gpg.
func fixture(t testing.TB, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func keys(t testing.TB, f signature.Files) *signature.Keys {
	t.Helper()
	k, err := signature.Load(f, os.ReadFile)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestVerify(t *testing.T) {
	all := keys(t, signature.Files{AllowedSigners: "testdata/allowed_signers", Keyring: "testdata/keyring.asc"})
	for _, c := range []struct {
		commit string
		signer string
		err    error
		says   string
	}{
		{"ssh-ann", "ann@example.org", nil, ""},
		{"ssh-rsa", "rsa@example.org", nil, ""},
		{"ssh-ecdsa", "ecdsa@example.org", nil, ""},
		{"ssh-merge", "ann@example.org", nil, ""},
		{"ssh-octopus", "ann@example.org", nil, ""},
		{"ssh-mergetag", "ann@example.org", nil, ""},
		{"ssh-encoding", "ann@example.org", nil, ""},
		{"ssh-text", "ann@example.org", nil, ""},
		{"ssh-backdated", "ann@example.org", nil, ""},
		{"pgp-ann", "ann@example.org", nil, ""},
		{"pgp-rsa2048", "rsa2048@example.org", nil, ""},
		{"pgp-subkey", "subkey@example.org", nil, ""},

		{"unsigned", "", signature.ErrUnsigned, ""},
		{"unsigned-text", "", signature.ErrUnsigned, ""},     // a signature in the message
		{"unsigned-mergetag", "", signature.ErrUnsigned, ""}, // the merged tag is signed
		{"ssh-bob", "", signature.ErrUnknownKey, "is not among the allowed signers"},
		{"pgp-bob", "", signature.ErrUnknownKey, "signed with OpenPGP by key ID 82B795116D4A2D33; it is not in the OpenPGP keyring"}, // as gpg --list-packets has it
		{"ssh-file-namespace", "", signature.ErrBad, "namespace"},
		{"pgp-old", "", signature.ErrBad, "key expired"},
		{"pgp-revoked", "", signature.ErrBad, "made by revoked key"},
		{"pgp-revoked-subkey", "", signature.ErrBad, "made by revoked key"},
		{"pgp-expired", "", signature.ErrBad, "signature expired"},
		{"pgp-sha1", "", signature.ErrBad, "SHA-1"},
		{"pgp-ripemd160", "", signature.ErrBad, "hash function"},
		{"pgp-rsa1024", "", signature.ErrBad, "an RSA key of 1024 bits"},
		{"pgp-dsa2048", "", signature.ErrBad, "DSA"},
		{"ssh-rsa1024", "", signature.ErrBad, "an RSA key of 1024 bits"},
		{"ssh-dsa", "", signature.ErrBad, "ssh-dss"},
		{"pgp-text", "", signature.ErrBad, "a text"},
		{"pgp-two", "", signature.ErrBad, "not one signature"},
	} {
		signer, err := all.Verify([]byte(fixture(t, c.commit+".commit")))
		if signer != c.signer || !errors.Is(err, c.err) || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("Verify(%s) = %q, %v, want %q, %v that says %q", c.commit, signer, err, c.signer, c.err, c.says)
		}
	}
	binary := keys(t, signature.Files{Keyring: "testdata/keyring.gpg"})
	if _, err := binary.Verify([]byte(fixture(t, "pgp-ann.commit"))); err != nil {
		t.Errorf("Verify with a binary keyring: %v", err)
	}
	if _, err := binary.Verify([]byte(fixture(t, "ssh-ann.commit"))); !errors.Is(err, signature.ErrUnknownKey) || !strings.Contains(err.Error(), "no allowed signers are set") {
		t.Errorf("Verify of an SSH signature without allowed signers: %v, want ErrUnknownKey", err)
	}
	none := keys(t, signature.Files{AllowedSigners: "testdata/allowed_signers"})
	_, err := none.Verify([]byte(fixture(t, "pgp-bob.commit")))
	if !errors.Is(err, signature.ErrUnknownKey) || !strings.Contains(err.Error(), "signed with OpenPGP by key ID 82B795116D4A2D33; no keyring is set") {
		t.Errorf("Verify of an OpenPGP signature without a keyring: %v, want ErrUnknownKey", err)
	}
}

// Every byte of a signed commit counts.
func TestNoByteCanBeChanged(t *testing.T) {
	all := keys(t, signature.Files{AllowedSigners: "testdata/allowed_signers", Keyring: "testdata/keyring.asc"})
	for _, name := range []string{"ssh-ann", "pgp-ann"} {
		whole := fixture(t, name+".commit")
		start := strings.Index(whole, "gpgsig ")
		end := strings.Index(whole, "SIGNATURE-----\n\n") + len("SIGNATURE-----\n")
		for i := range whole {
			if i >= start && i < end {
				continue // armor may be written in more than one way
			}
			changed := []byte(whole)
			changed[i] ^= 1
			if signer, err := all.Verify(changed); err == nil {
				t.Errorf("%s with byte %d changed from %q to %q is signed by %s", name, i, whole[i], changed[i], signer)
			}
		}
		if _, err := all.Verify([]byte(whole + "more")); err == nil {
			t.Errorf("%s with more text at its end is accepted", name)
		}
	}
}

func TestRevokedKey(t *testing.T) {
	k := keys(t, signature.Files{AllowedSigners: "testdata/allowed_signers", Revocation: "testdata/ann.pub"})
	if _, err := k.Verify([]byte(fixture(t, "ssh-ann.commit"))); !errors.Is(err, signature.ErrUnknownKey) || !strings.Contains(err.Error(), "revoked") {
		t.Errorf("Verify with a revoked key: %v, want ErrUnknownKey that says so", err)
	}
	if _, err := k.Verify([]byte(fixture(t, "ssh-rsa.commit"))); err != nil {
		t.Errorf("Verify with another key: %v", err)
	}
}

// The date of a commit is its maker's word: a key that leaked signs for a time when
// it was allowed. Only a revocation ends it.
func TestABackdatedCommitIsRevokedNotExpired(t *testing.T) {
	commit := []byte(fixture(t, "ssh-backdated.commit")) // says 2020-01-01, made in 2026
	k, err := allowing(t, `ann valid-before="20210101Z" `+fixture(t, "ann.pub"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Verify(commit); err != nil {
		t.Errorf("Verify = %v, want what ssh-keygen says: its own date counts", err)
	}
	k = keys(t, signature.Files{AllowedSigners: "testdata/allowed_signers", Revocation: "testdata/ann.pub"})
	if _, err := k.Verify(commit); !errors.Is(err, signature.ErrUnknownKey) || !strings.Contains(err.Error(), "revoked") {
		t.Errorf("Verify with a revoked key: %v, want ErrUnknownKey that says so", err)
	}
}

func FuzzVerify(f *testing.F) {
	k := keys(f, signature.Files{AllowedSigners: "testdata/allowed_signers", Keyring: "testdata/keyring.asc"})
	for _, name := range []string{"ssh-ann", "pgp-ann", "unsigned", "ssh-merge"} {
		f.Add([]byte(fixture(f, name+".commit")))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if signer, err := k.Verify(raw); (err == nil) == (signer == "") {
			t.Errorf("Verify = %q, %v: want a signer or an error", signer, err)
		}
	})
}
