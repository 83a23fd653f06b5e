package source

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/infra-agent/infra-agent/reconcile"
)

func TestStreams(t *testing.T) {
	w := newWorld(t)
	limits := w.fetcher.opts.Limits
	server, overSSH := w.overSSH()
	for _, c := range []struct {
		name   string
		remote Remote
	}{{"ssh", overSSH}, {"git", w.overGit()}} {
		name, remote := c.name, c.remote
		_, err := tip(t, remote, "main")
		if name == "ssh" {
			wantRejected(t, err, reconcile.GateSource, "main: branch not found")
		}
		if err := os.RemoveAll(w.store); err != nil {
			t.Fatal(err)
		}
		anchor := w.pushed("a", "1 "+name)
		if got, err := tip(t, remote, "main"); err != nil || got != anchor {
			t.Errorf("%s: tip = %s, %v, want %s", name, got, err, anchor)
		}
		_, err = tip(t, remote, "release")
		wantRejected(t, err, reconcile.GateSource, "release: branch not found", `its HEAD is "main"`)
		if !errors.Is(err, ErrNoBranch) {
			t.Errorf("%s: tip of a missing branch: %v, want ErrNoBranch", name, err)
		}
		w.follow(remote, limits)
		w.mustFetch(anchor, "")
		w.commit("a", "2")
		tip := w.pushed("a", "3")
		if got := w.mustFetch(tip, anchor); got.Commits != 2 {
			t.Errorf("%s: Commits = %d, want 2", name, got.Commits)
		}
		if err := os.RemoveAll(w.store); err != nil {
			t.Fatal(err)
		}
		w.mustFetch(w.pushed("a", "4"), anchor) // deepens
	}
	missing := overSSH
	missing.URL += "-none"
	_, err := tip(t, missing, "main")
	if err == nil || !strings.Contains(err.Error(), "the server says:") || !strings.Contains(err.Error(), "does not appear to be a git repository") {
		t.Errorf("tip of a missing repository: %v, want what the server says", err)
	}

	t.Log("a poll asks for one ref, if the server can be asked")
	w.run(w.work, "sh", "-c", "for i in $(seq 500); do echo create refs/heads/feature-$i HEAD; done | git update-ref --stdin; git push -q origin --all")
	for _, c := range []struct {
		v2   bool
		most int64
	}{{true, 500}, {false, 60000}} {
		server.v2.Store(c.v2)
		server.sent.Store(0)
		if got, err := tip(t, overSSH, "main"); err != nil || got != w.head() {
			t.Errorf("tip with version 2 %v = %s, %v, want %s", c.v2, got, err, w.head())
		}
		if n := server.sent.Load(); n > c.most || !c.v2 && n < 10000 {
			t.Errorf("a poll with version 2 %v has the server send %d bytes, want at most %d", c.v2, n, c.most)
		}
	}
}

func TestHostKeys(t *testing.T) {
	w := newWorld(t)
	server, remote := w.overSSH()
	want := w.pushed("a", "1")
	_, other := newKey(t, "")
	nist, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ecdsaHost := signerOf(t, nist)
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	host := server.hostKeys[0]
	mixed := func(line string) string {
		file := knownAs(t, server.address(), host)
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, append([]byte(line+"\n"), data...), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	bad := filepath.Join(t.TempDir(), "bad")
	if err := os.WriteFile(bad, []byte("# ours\n"+server.address()+" ssh-ed25519 AAAA\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		known string
		want  string
	}{
		{"its key", knownAs(t, server.address(), host), ""},
		{"another", knownAs(t, server.address(), other), "the key was changed, or this is another server (hint: "},
		{"of another kind", knownAs(t, server.address(), ecdsaHost), "the server has no such key any more"},
		{"of another host", knownAs(t, "127.0.0.2:22", host), "has no key of [127.0.0.1]:"},
		{"nobody's", empty, `(hint: add what "ssh-keyscan -p `},
		{"no file", empty + "-none", "read known_hosts_file"},
		{"a line of an unknown kind", mixed("x.example ssh-quantum AAAAC3NzaC1xdWFudHVtAAAAAA=="), ""},
		{"a line that is cut off", mixed("x.example ssh-ed25519"), ""},
		{"a line with bad base64", mixed("x.example ssh-ed25519 AAAA*"), ""},
		{"a line of a host alone", mixed("x.example"), ""},
		{"a revoked key that cannot be read", mixed("@revoked * ssh-ed25519 AAAA*"), "line 1 cannot be read, and revokes a key"},
		{"a revoked key of this host that cannot be read", mixed("@revoked x.example," + strings.Replace(server.address(), "127.0.0.1", "[127.0.0.1]", 1) + " ssh-ed25519 AAAA*"), "line 1 cannot be read, and revokes a key"},
		{"a revoked key of nobody knows whom", mixed("@revoked"), "line 1 cannot be read, and revokes a key"},
		{"a revoked key of another host that cannot be read", mixed("@revoked x.example ssh-ed25519 AAAA*"), ""},
		{"its own line is cut off", bad, bad + ": line 2 cannot be read and is skipped"},
	} {
		remote.KnownHostsFile = c.known
		got, err := tip(t, remote, "main")
		switch {
		case c.want == "" && (err != nil || got != want):
			t.Errorf("%s: tip = %s, %v, want %s", c.name, got, err, want)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: tip: %v, want an error that says %q", c.name, err, c.want)
		}
	}

	t.Log("a server with several keys is asked for the one that is known, whatever it likes best")
	server = newSSHServer(t, server.client, other, ecdsaHost)
	remote.URL, remote.KnownHostsFile = "ssh://git@"+server.address()+w.bare, knownAs(t, server.address(), ecdsaHost)
	if got, err := tip(t, remote, "main"); err != nil || got != want {
		t.Errorf("tip = %s, %v, want %s", got, err, want)
	}
}

func TestSSHKeyFile(t *testing.T) {
	w := newWorld(t)
	_, remote := w.overSSH()
	w.pushed("a", "1")
	locked, _ := newKey(t, "hunter2")
	stranger, _ := newKey(t, "")
	open, _ := newKey(t, "")
	if err := os.Chmod(open, 0o640); err != nil {
		t.Fatal(err)
	}
	nonsense := filepath.Join(t.TempDir(), "nonsense")
	if err := os.WriteFile(nonsense, []byte("s3cret"), 0o600); err != nil {
		t.Fatal(err)
	}
	odd := func(text string) string {
		file := filepath.Join(t.TempDir(), "odd")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	for _, c := range []struct{ name, file, want string }{
		{"public", odd("ssh-ed25519 AAAA me"), "it is a public key (hint: name the file without .pub)"},
		{"PuTTY's", odd("PuTTY-User-Key-File-3: ssh-ed25519"), "it is PuTTY's (hint: puttygen"},
		{"empty", odd("\n"), "it is empty (hint: "},
		{"base64 of a key", odd("LS0tLS1CRUdJTiBPUEVOU1NI"), "it is the base64 of one (hint: base64 -d)"},
		{"cut off", odd("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n"), "it is cut off (hint: "},
		{"one line", odd(`-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----`), `it has "\n" where lines should end`},
		{"encrypted by age", odd("age-encryption.org/v1\n"), "it is encrypted by age (hint: "},
		{"passphrase", locked, "has a passphrase"},
		{"not allowed", stranger, "is its public half, SHA256:"},
		{"readable by others", open, "can be read by others, mode 0640 (hint: chmod 600 "},
		{"no key", nonsense, "holds no private key that can be read"},
		{"no file", nonsense + "-none", "read ssh_key_file"},
	} {
		remote.SSHKeyFile = c.file
		_, err := tip(t, remote, "main")
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: tip: %v, want an error that says %q", c.name, err, c.want)
		}
	}
}

// A server that accepts the connection and then says nothing.
func TestSilentStream(t *testing.T) {
	t.Parallel()
	listener := listen(t)
	file, key := newKey(t, "")
	for _, kind := range []string{"ssh", "git"} {
		remote := Remote{
			Name: "origin", URL: kind + "://" + listener.Addr().String() + "/x", Timeout: 50 * time.Millisecond,
			SSHKeyFile: file, KnownHostsFile: knownAs(t, listener.Addr().String(), key),
		}
		_, err := streamTips(t.Context(), remote, onMain, 1000)
		if err == nil || !strings.Contains(err.Error(), "the server said nothing for 50ms") {
			t.Errorf("%s: %v, want an error about its silence", kind, err)
		}
		remote.Timeout = time.Hour
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		if _, err := streamTips(ctx, remote, onMain, 1000); err == nil {
			t.Errorf("%s: no error when the context ends", kind)
		}
		cancel()
	}
}
