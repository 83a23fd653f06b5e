package source

import (
	"context"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/go-git/go-git/v5/plumbing/transport"

	"github.com/infra-agent/infra-agent/reconcile"
)

// newAsker returns what a poller has for each remote.
func newAsker(t *testing.T, remote Remote, b Branches) *asker {
	t.Helper()
	j := job{Ask: true, Branches: b, Dir: t.TempDir(), Limits: Limits{FetchBytes: 8 << 20, Fetch: time.Minute}}
	return &asker{remote: remote, child: func(ctx context.Context, r Remote) (Tips, error) {
		j.Remote = r
		answer, err := Options{Child: []string{"/proc/self/exe"}}.run(ctx, j)
		return Tips{answer.Commit, answer.Testing}, err
	}}
}

// tip asks a remote for the first time.
func tip(t *testing.T, remote Remote, branch string) (reconcile.Commit, error) {
	t.Helper()
	b := Branches{Branch: branch}
	a := newAsker(t, remote, b)
	defer a.close()
	tips, err := a.tips(t.Context(), b)
	return tips.Commit, err
}

func TestTip(t *testing.T) {
	w := newWorld(t)
	for _, url := range []string{w.url, w.bare, "file://" + w.bare} {
		remote := Remote{Name: "origin", URL: url}
		if strings.HasPrefix(url, "http") { // before anything is pushed
			_, err := tip(t, remote, "main")
			wantRejected(t, err, reconcile.GateSource, "main: branch not found")
		}
		want := w.pushed("a", url)
		if got, err := tip(t, remote, "main"); err != nil || got != want {
			t.Errorf("tip of %s = %s, %v, want %s", url, got, err, want)
		}
		_, err := tip(t, remote, "release")
		wantRejected(t, err, reconcile.GateSource, "release: branch not found", `its HEAD is "main" (hint: push the branch`)
		if !errors.Is(err, ErrNoBranch) {
			t.Errorf("tip of a missing branch: %v, want ErrNoBranch", err)
		}
	}
}

func TestUnreachableRemoteIsNoMissingBranch(t *testing.T) {
	gone := httptest.NewServer(nil)
	gone.Close()
	for _, c := range []struct{ name, url, want string }{
		{"refused connection", gone.URL + "/fleet.git", "connection refused"},
		{"no such path", filepath.Join(t.TempDir(), "none"), "repository does not exist"},
		{"unknown kind", "ftp://localhost/fleet.git", "ftp is not supported"},
		{"nonsense", "https://[", "the URL of remote origin is not valid"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := tip(t, Remote{Name: "origin", URL: c.url}, "main")
			if _, rejected := reconcile.RejectedBy(err); err == nil || rejected || !strings.Contains(err.Error(), c.want) {
				t.Errorf("tip: %v, want a passing error that says %q", err, c.want)
			}
		})
	}
}

func TestFetchOfAMissingBranch(t *testing.T) {
	w := newWorld(t)
	head := w.pushed("a", "1")
	w.run(w.bare, "git", "branch", "-m", "main", "trunk")
	_, err := w.fetch(head, "")
	wantRejected(t, err, reconcile.GateSource, "main: branch not found")
}

// locked lets only the user "bot" with the token "s3cret" in.
func locked(w *world) {
	next := w.backend()
	w.handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "bot" || password != "s3cret" {
			rw.Header().Set("WWW-Authenticate", "Basic")
			rw.WriteHeader(http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(rw, r)
	})
}

func TestToken(t *testing.T) {
	w := newWorld(t)
	locked(w)
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	remote := Remote{Name: "origin", URL: w.url, Username: "bot", TokenFile: token, Timeout: time.Minute}
	limits := w.fetcher.opts.Limits
	want := w.pushed("a", "1")
	if got, err := tip(t, remote, "main"); err != nil || got != want {
		t.Errorf("tip = %s, %v, want %s", got, err, want)
	}
	w.follow(remote, limits)
	w.mustFetch(want, "")
	w.pushed("a", "2")

	for _, c := range []struct {
		name, content string // "-" = no file
		user          string
		want          string
	}{
		{"wrong token", "wr0ng", "bot", "hint: is the token in " + token},
		{"default user", "s3cret", "", "hint: is the token in " + token},
		{"empty", "\n", "bot", "must hold one word, the token"},
		{"two lines", "s3cret\nwr0ng", "bot", "must hold one word, the token"},
		{"missing", "-", "bot", "read token_file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := os.Remove(token); err != nil && !errors.Is(err, os.ErrNotExist) {
				t.Fatal(err)
			}
			if c.content != "-" {
				if err := os.WriteFile(token, []byte(c.content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			remote.Username = c.user
			w.follow(remote, limits)
			_, polled := tip(t, remote, "main")
			_, fetched := w.fetch(w.head(), "")
			for _, err := range []error{polled, fetched} {
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("got %v, want an error that says %q", err, c.want)
					continue
				}
				if strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "wr0ng") {
					t.Errorf("error %q repeats the token", err)
				}
			}
		})
	}
	_, err := tip(t, Remote{Name: "origin", URL: w.url}, "main")
	if err == nil || !strings.Contains(err.Error(), "hint: set token_file of remote origin") {
		t.Errorf("tip without a token: %v, want a hint at token_file", err)
	}
}

func TestCAFile(t *testing.T) {
	w := newWorld(t)
	want := w.pushed("a", "1")
	server := httptest.NewTLSServer(w.handler)
	t.Cleanup(server.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(ca, block, 0o600); err != nil {
		t.Fatal(err)
	}
	remote := Remote{Name: "origin", URL: server.URL + "/fleet.git"}
	if _, err := tip(t, remote, "main"); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("tip without the authority: %v, want a certificate error", err)
	}
	remote.CAFile = ca
	if got, err := tip(t, remote, "main"); err != nil || got != want {
		t.Errorf("tip = %s, %v, want %s", got, err, want)
	}
	remote.CAFile = "/dev/null"
	if _, err := tip(t, remote, "main"); err == nil || err.Error() != "ca_file /dev/null holds no PEM certificate" {
		t.Errorf("tip with an empty ca_file: %v", err)
	}
}

func TestRedirects(t *testing.T) {
	w := newWorld(t)
	want := w.pushed("a", "1")
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if to, ok := strings.CutPrefix(r.URL.Path, "/moved"); ok {
			http.Redirect(rw, r, "/fleet.git"+to+"?"+r.URL.RawQuery, http.StatusMovedPermanently)
			return
		}
		if to, ok := strings.CutPrefix(r.URL.Path, "/away"); ok {
			http.Redirect(rw, r, w.url+to+"?"+r.URL.RawQuery, http.StatusMovedPermanently)
			return
		}
		w.handler.ServeHTTP(rw, r)
	}))
	t.Cleanup(server.Close)
	if got, err := tip(t, Remote{URL: server.URL + "/moved"}, "main"); err != nil || got != want {
		t.Errorf("tip after a redirect on the same host = %s, %v, want %s", got, err, want)
	}
	_, err := tip(t, Remote{URL: server.URL + "/away"}, "main")
	if err == nil || !strings.Contains(err.Error(), "redirected to "+strings.TrimSuffix(w.url, "/fleet.git")) {
		t.Errorf("tip after a redirect to another host: %v, want a refusal that names it", err)
	}
}

func TestFetchBytes(t *testing.T) {
	w := newWorld(t)
	w.follow(Remote{Name: "origin", URL: w.url}, Limits{TreeBytes: 1 << 20, TreeEntries: 100, FetchBytes: 4000})
	_, err := w.fetch(w.pushed("a", random(10000)), "")
	wantRejected(t, err, reconcile.GateUnverified, "the remote sends more than 4000 bytes", "raise limits.fetch_bytes")
}

// emptySum ends a pack of no objects.
const emptySum = "\x02\x9d\x08\x82\x3b\xd8\xa8\xea\xb5\x10\xad\x6a\xc7\x5c\x82\x3c\xfd\x3e\xd3\x1e"

func TestServerThatTalksNonsense(t *testing.T) {
	w := newWorld(t)
	head := w.pushed("a", "1")
	backend := w.handler
	for _, c := range []struct {
		name string
		body string
		want string
	}{
		{"no answer", "", "no valid pack: it ends early"},
		{"not git", "<html>\x1b[31mhello\n", "invalid pkt-len"},
		{"no pack", "0008NAK\n0000", "no valid pack: it ends early"},
		{"half a pack", "00000008NAK\n0011\x01PACK\x00\x00\x00\x02\x00\x00\x00\x010000", "no valid pack: it ends early"},
		{"a pack without the commit", "00000008NAK\n0025\x01PACK\x00\x00\x00\x02\x00\x00\x00\x00" + emptySum + "0000", "the remote's pack does not hold the commit"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodPost {
					_, _ = rw.Write([]byte(c.body))
					return
				}
				backend.ServeHTTP(rw, r)
			})
			_, err := w.fetch(head, "")
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.ContainsAny(err.Error(), "\x1b\n") {
				t.Errorf("Fetch: %v, want an error of one clean line that says %q", err, c.want)
			}
		})
	}
	w.handler = backend
	w.mustFetch(head, "")
}

func TestShortFormWithAnIPv6Address(t *testing.T) {
	for url, want := range map[string]transport.Endpoint{
		"git@[2001:db8::1]:fleet.git":   {Protocol: "ssh", User: "git", Host: "2001:db8::1", Path: "fleet.git"},
		"ssh://git@[::1]:2222/x.git":    {Protocol: "ssh", User: "git", Host: "[::1]", Port: 2222, Path: "/x.git"},
		"git@host:fleet.git":            {Protocol: "ssh", User: "git", Host: "host", Path: "fleet.git"},
		"https://[2001:db8::1]:1/x.git": {Protocol: "https", Host: "[2001:db8::1]", Port: 1, Path: "/x.git"},
	} {
		if got, err := (Remote{URL: url}).endpoint(); err != nil || !reflect.DeepEqual(*got, want) {
			t.Errorf("endpoint of %s = %+v, %v, want %+v", url, got, err, want)
		}
	}
}
