package signature_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/infra-agent/infra-agent/agent/signature"
)

// allowing returns the keys of an allowed-signers file with the given text.
func allowing(t testing.TB, text string) (*signature.Keys, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "allowed_signers")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return signature.Load(signature.Files{AllowedSigners: path}, os.ReadFile)
}

// goodSigners are files of allowed signers, and what they say of a commit that the
// key signed for git at 2026-03-04T05:06:07Z.
func goodSigners(key string) []struct {
	text string
	want error
} {
	return []struct {
		text string
		want error
	}{
		{"ann@example.org " + key, nil},
		{"ann@example.org\t" + key, nil},
		{" \tann@example.org \t " + strings.ReplaceAll(key, " ", " \t") + "\r\n", nil},
		{`"ann and others" ` + key, nil},
		{"# a comment\n\nann@example.org,*@example.com " + key + " with a comment", nil},
		{`ann@example.org namespaces="git,file" ` + key, nil},
		{"ann@example.org\tNameSpaces=\"git\"\t" + key, nil},
		{`ann@example.org namespaces="g*" ` + key, nil},
		{`ann@example.org namespaces="file,g?t" ` + key, nil},
		{`ann@example.org namespaces="!file,*" ` + key, nil},
		{`ann@example.org namespaces="file" ` + key, signature.ErrUnknownKey},
		{`ann@example.org namespaces="" ` + key, signature.ErrUnknownKey},
		{`ann@example.org namespaces="*,!git" ` + key, signature.ErrUnknownKey},
		{`ann@example.org namespaces="!git,*" ` + key, signature.ErrUnknownKey},
		{`ann@example.org namespaces="!file" ` + key, signature.ErrUnknownKey},
		{`ann@example.org namespaces="[g]it" ` + key, signature.ErrUnknownKey},
		{`ann@example.org namespaces="Git" ` + key, signature.ErrUnknownKey},
		{`ann@example.org namespaces="git?" ` + key, signature.ErrUnknownKey},
		{`ann@example.org namespaces="git, file" ` + key, nil},
		{`ann@example.org namespaces="file, git" ` + key, signature.ErrUnknownKey},
		{`ann@example.org valid-after="20260304050607Z" ` + key, nil},
		{`ann@example.org valid-after="20260304050608Z" ` + key, signature.ErrUnknownKey},
		{`ann@example.org valid-before="20260304050608Z" ` + key, nil},
		{`ann@example.org valid-before="20260304050606Z" ` + key, signature.ErrUnknownKey},
		{`ann@example.org valid-after="20260101",valid-before="20270101" ` + key, nil},
		{`ann@example.org valid-before="20250101" ` + key + "\nann@example.org " + key, nil},
		{"", signature.ErrUnknownKey},
	}
}

func TestAllowedSigners(t *testing.T) {
	commit := []byte(fixture(t, "ssh-ann.commit"))
	key := strings.TrimSpace(fixture(t, "ann.pub"))
	for _, c := range goodSigners(key) {
		k, err := allowing(t, c.text)
		if err != nil {
			t.Errorf("Load(%q): %v", c.text, err)
			continue
		}
		if signer, err := k.Verify(commit); !errors.Is(err, c.want) {
			t.Errorf("%q: Verify = %q, %v, want %v", c.text, signer, err, c.want)
		}
	}
	t.Log("one that is stricter than ssh-keygen: at its last second a key counts no more")
	k, err := allowing(t, `ann@example.org valid-before="20260304050607Z" `+key)
	if err != nil {
		t.Fatal(err)
	}
	if signer, err := k.Verify(commit); !errors.Is(err, signature.ErrUnknownKey) {
		t.Errorf("Verify = %q, %v, want ErrUnknownKey", signer, err)
	}
}

// badSigners are files that nobody may be allowed by.
func badSigners(key string) []struct {
	text, want string
	stricter   bool
} {
	kind, rest, _ := strings.Cut(key, " ")
	return []struct {
		text, want string
		stricter   bool // than ssh-keygen, which accepts it
	}{
		{"ann@example.org", "line 1: no public key", false},
		{"\n\nann@example.org ssh-ed25519 nonsense", "line 3: no public key", false},
		{"ann@example.org ssh-rsa " + rest, "line 1: no public key", false},
		{"ann@example.org " + rest, "line 1: no public key", false},
		{"ann@example.org " + kind + "\n" + rest, "line 1: no public key", false},
		{"ann@example.org\v" + key, "line 1: no public key", false},
		{`"ann ` + key, "line 1: the principals are not in one pair of quotes", false},
		{`an"n" ` + key, "line 1: the principals are not in one pair of quotes", true},
		{`"" ` + key, "line 1: an empty principal", false},
		{`,ann ` + key, "line 1: an empty principal", false},
		{`ann,,bob ` + key, "line 1: an empty principal", true},
		{`!ann@e ` + key, `line 1: principal "!ann@e" excludes somebody`, false},
		{`!*,ann@e ` + key, `line 1: principal "!*" excludes somebody`, false},
		{`*@e,!ann@e ` + key, `line 1: principal "!ann@e" excludes somebody`, true},
		{`ann cert-authority ` + key, "line 1: cert-authority is not supported", false},
		{`ann frobnicate ` + key, `line 1: unknown option "frobnicate"`, false},
		{`ann namespaces ` + key, "line 1: the value of namespaces is not in quotes", false},
		{`ann namespaces=git ` + key, "line 1: the value of namespaces is not in quotes", false},
		{`ann namespaces="git ` + key, "line 1: no public key", false},
		{`ann namespaces="git", ` + key, `line 1: unknown option ""`, false},
		{`ann namespaces="git"valid-after="20260101" ` + key, "line 1: the value of namespaces is not in quotes", false},
		{`ann namespaces="git" namespaces="git" ` + key, "line 1: no public key", false},
		{`ann namespaces="\"git\"" ` + key, "line 1: the value of namespaces is not in quotes", false},
		{`ann namespaces="file",namespaces="git" ` + key, "line 1: option namespaces for the second time", false},
		{`ann namespaces="git",Namespaces="git" ` + key, "line 1: option namespaces for the second time", false},
		{`ann valid-before="20250101",valid-before="20270101" ` + key, "line 1: option valid-before for the second time", false},
		{`ann valid-after="20270101",valid-after="20250101" ` + key, "line 1: option valid-after for the second time", false},
		{`ann valid-after=20250101 ` + key, "line 1: the value of valid-after is not in quotes", false},
		{`ann valid-after="20250101Z",valid-before="20250101Z" ` + key, "line 1: valid-before is not after valid-after", false},
		{`ann valid-after="yesterday" ` + key, `line 1: time "yesterday" is not YYYYMMDD`, false},
		{`ann valid-after="20260231Z" ` + key, `line 1: time "20260231Z" is not YYYYMMDD`, true},
		{"ann@example.org " + key + "\nbob ssh-rsa AAAA", "line 2: no public key", true},
	}
}

func TestBadKeyFilesAllowNobody(t *testing.T) {
	for _, c := range badSigners(strings.TrimSpace(fixture(t, "ann.pub"))) {
		_, err := allowing(t, c.text)
		if err == nil || !strings.Contains(err.Error(), "allowed_signers: "+c.want) {
			t.Errorf("Load(%q): %v, want an error that says %q", c.text, err, c.want)
		}
	}
}

func TestBadFilesOfOtherKinds(t *testing.T) {
	krl := filepath.Join(t.TempDir(), "krl")
	if err := os.WriteFile(krl, []byte("SSHKRL\n\x00\x00\x00\x00\x01"), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, f := range map[string]signature.Files{
		"binary revocation lists are not supported": {Revocation: krl},
		"line 1: no public key":                     {Revocation: "testdata/allowed_signers"},
		"testdata/ann.pub: ":                        {Keyring: "testdata/ann.pub"},
		"/dev/null: no public key in it":            {Keyring: "/dev/null"},
		"testdata/none":                             {AllowedSigners: "testdata/none"},
	} {
		if _, err := signature.Load(f, os.ReadFile); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Load(%+v): %v, want an error that says %q", f, err, want)
		}
	}
}

// A time without a Z is the machine's.
func TestZoneOfTimestamps(t *testing.T) {
	here := time.Local
	time.Local = time.FixedZone("", 2*60*60)
	t.Cleanup(func() { time.Local = here })
	commit := []byte(fixture(t, "ssh-ann.commit")) // made 2026-03-04T05:06:07Z
	key := strings.TrimSpace(fixture(t, "ann.pub"))
	for after, want := range map[string]error{
		"20260304070607":  nil,
		"20260304070608":  signature.ErrUnknownKey,
		"20260304050607Z": nil,
		"20260304050608Z": signature.ErrUnknownKey,
	} {
		k, err := allowing(t, `ann valid-after="`+after+`" `+key)
		if err != nil {
			t.Fatal(err)
		}
		if signer, err := k.Verify(commit); !errors.Is(err, want) {
			t.Errorf("valid-after %s: Verify = %q, %v, want %v", after, signer, err, want)
		}
	}
}

func TestAnySigner(t *testing.T) {
	key := strings.TrimSpace(fixture(t, "ann.pub"))
	weak := ""
	for line := range strings.Lines(fixture(t, "allowed_signers")) {
		if strings.HasPrefix(line, "rsa1024@") || strings.Contains(line, "ssh-dss") {
			weak += line
		}
	}
	if strings.Count(weak, "\n") != 2 {
		t.Fatalf("weak keys of the fixture: %q, want two", weak)
	}
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	for _, c := range []struct {
		text string
		want bool
	}{
		{"ann " + key, true},
		{`ann valid-after="20300101" ` + key, true}, // later
		{`ann valid-before="20260304050608Z" ` + key, true},
		{`ann valid-before="20260304050607Z" ` + key, false},
		{`ann namespaces="file" ` + key, false},
		{`ann namespaces="file" ` + key + "\nann " + key, true},
		{weak, false},
		{"", false},
	} {
		k, err := allowing(t, c.text)
		if err != nil {
			t.Fatal(err)
		}
		if got := k.AnySigner(at); got != c.want {
			t.Errorf("%q: AnySigner = %v, want %v", c.text, got, c.want)
		}
	}
}
