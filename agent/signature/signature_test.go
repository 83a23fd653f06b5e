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

// allowing returns the keys of an allowed-signers file with the given text.
func allowing(t testing.TB, text string) (*signature.Keys, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "allowed_signers")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return signature.Load(signature.Files{AllowedSigners: path}, os.ReadFile)
}

func TestVerify(t *testing.T) {
	all := keys(t, signature.Files{AllowedSigners: "testdata/allowed_signers", Keyring: "testdata/keyring.asc"})
	for _, c := range []struct {
		commit string
		signer string
		err    error
	}{
		{"ssh-ann", "ann@example.org", nil},
		{"ssh-rsa", "rsa@example.org", nil},
		{"ssh-ecdsa", "ecdsa@example.org", nil},
		{"ssh-merge", "ann@example.org", nil},
		{"pgp-ann", "ann@example.org", nil},
		{"unsigned", "", signature.ErrUnsigned},
		{"ssh-bob", "", signature.ErrUnknownKey},
		{"pgp-bob", "", signature.ErrUnknownKey},
		{"pgp-old", "", signature.ErrBad},
		{"ssh-file-namespace", "", signature.ErrBad},
	} {
		signer, err := all.Verify([]byte(fixture(t, c.commit+".commit")))
		if !errors.Is(err, c.err) || !strings.Contains(signer, c.signer) || (err == nil) != (signer != "") {
			t.Errorf("Verify(%s) = %q, %v, want %q, %v", c.commit, signer, err, c.signer, c.err)
		}
	}
	binary := keys(t, signature.Files{Keyring: "testdata/keyring.gpg"})
	if _, err := binary.Verify([]byte(fixture(t, "pgp-ann.commit"))); err != nil {
		t.Errorf("Verify with a binary keyring: %v", err)
	}
	if _, err := binary.Verify([]byte(fixture(t, "ssh-ann.commit"))); !errors.Is(err, signature.ErrUnknownKey) {
		t.Errorf("Verify of an SSH signature without allowed signers: %v, want ErrUnknownKey", err)
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

func TestMalformedCommits(t *testing.T) {
	all := keys(t, signature.Files{AllowedSigners: "testdata/allowed_signers"})
	good := fixture(t, "ssh-ann.commit")
	header, message, _ := strings.Cut(good, "\n\n")
	tree, _, _ := strings.Cut(good, "\n")
	const author = "author Ann <ann@example.org> 1772600767 +0000"
	sig := header[strings.Index(header, "gpgsig "):]
	for name, raw := range map[string]string{
		"nothing":                  "",
		"no end of the header":     header,
		"two trees":                tree + "\n" + good,
		"a tree after the author":  strings.Replace(good, author, author+"\n"+tree, 1),
		"two authors":              strings.Replace(good, author, author+"\n"+author, 1),
		"no committer":             strings.Replace(good, "\ncommitter ", "\nother ", 1),
		"two signatures":           header + "\n" + sig + "\n\n" + message,
		"signature before author":  tree + "\n" + sig + "\n" + header[len(tree)+1:] + "\n\n" + message,
		"a SHA-256 signature":      strings.Replace(good, "gpgsig ", "gpgsig-sha256 ", 1),
		"NUL in the header":        strings.Replace(good, "Ann", "A\x00n", 1),
		"continuation first":       " " + good,
		"committer without a time": strings.Replace(good, "committer Ann <ann@example.org> 1772600767", "committer Ann <ann@example.org> soon", 1),
	} {
		if signer, err := all.Verify([]byte(raw)); !errors.Is(err, signature.ErrMalformed) {
			t.Errorf("Verify(%s) = %q, %v, want ErrMalformed", name, signer, err)
		}
	}
}

func TestAllowedSigners(t *testing.T) {
	commit := []byte(fixture(t, "ssh-ann.commit")) // made 2026-03-04T05:06:07Z
	key := strings.TrimSpace(fixture(t, "ann.pub"))
	for _, c := range []struct {
		line string
		want error
	}{
		{"ann@example.org " + key, nil},
		{`"ann and others" ` + key, nil},
		{"# a comment\n\nann@example.org,*@example.com " + key + " with a comment", nil},
		{`ann@example.org namespaces="git,file" ` + key, nil},
		{`ann@example.org namespaces="g*" ` + key, nil},
		{`ann@example.org namespaces="file" ` + key, signature.ErrUnknownKey},
		{`ann@example.org valid-after="20260304050607Z" ` + key, nil},
		{`ann@example.org valid-after="20260304050608Z" ` + key, signature.ErrUnknownKey},
		{`ann@example.org valid-before="20260304050608Z" ` + key, nil},
		{`ann@example.org valid-before="20260304050607Z" ` + key, signature.ErrUnknownKey},
		{`ann@example.org valid-after="20260101",valid-before="20270101" ` + key, nil},
		{`ann@example.org valid-before="20250101" ` + key + "\nann@example.org " + key, nil},
		{"", signature.ErrUnknownKey},
	} {
		k, err := allowing(t, c.line)
		if err != nil {
			t.Errorf("Load(%q): %v", c.line, err)
			continue
		}
		if signer, err := k.Verify(commit); !errors.Is(err, c.want) {
			t.Errorf("%q: Verify = %q, %v, want %v", c.line, signer, err, c.want)
		}
	}
}

func TestBadKeyFilesAllowNobody(t *testing.T) {
	key := strings.TrimSpace(fixture(t, "ann.pub"))
	for line, want := range map[string]string{
		"ann@example.org":                               "line 1: no public key",
		"\n\nann@example.org ssh-ed25519 nonsense":      "line 3: no public key",
		`"ann ` + key:                                   "line 1: a quote that does not end",
		`ann cert-authority ` + key:                     "line 1: cert-authority is not supported",
		`ann frobnicate ` + key:                         `line 1: unknown option "frobnicate"`,
		`ann valid-after="yesterday" ` + key:            `line 1: time "yesterday" is not YYYYMMDD`,
		"ann@example.org " + key + "\nbob ssh-rsa AAAA": "line 2: no public key",
	} {
		if _, err := allowing(t, line); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Load(%q): %v, want an error that says %q", line, err, want)
		}
	}
	krl := filepath.Join(t.TempDir(), "krl")
	if err := os.WriteFile(krl, []byte("SSHKRL\n\x00\x00\x00\x00\x01"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, f := range []signature.Files{
		{Revocation: krl}, {Keyring: "testdata/ann.pub"}, {AllowedSigners: "testdata/none"},
	} {
		if _, err := signature.Load(f, os.ReadFile); err == nil {
			t.Errorf("Load(%+v) succeeds", f)
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
