package source

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// manifests pushes files to a branch of that name, beside the one that is followed.
func (w *world) manifests(files map[string]string) {
	w.t.Helper()
	w.git("checkout", "-q", "-f", "--orphan", "manifests")
	w.git("rm", "-q", "-r", "-f", "--ignore-unmatch", ".")
	for name, text := range files {
		w.write(name, text)
	}
	w.git("add", ".")
	w.git("commit", "-q", "-m", "manifests")
	w.git("push", "-q", "-f", "origin", "manifests")
	w.git("checkout", "-q", "-f", "main")
}

func wantFile(t *testing.T, f *Fetcher, at Place, text, sig string) {
	t.Helper()
	got, err := f.File(t.Context(), at)
	if err != nil || string(got.Text) != text || string(got.Signature) != sig {
		t.Errorf("File(%s) = %q, %q, %v, want %q, %q", at, got.Text, got.Signature, err, text, sig)
	}
}

func wantNoFile(t *testing.T, f *Fetcher, at Place) {
	t.Helper()
	if got, err := f.File(t.Context(), at); !errors.Is(err, ErrNoFile) {
		t.Errorf("File(%s) = %q, %v, want %v", at, got.Text, err, ErrNoFile)
	}
}

func TestFileOfABranch(t *testing.T) {
	w := newWorld(t)
	tip := w.pushed("a", "1")
	at := Place{Branch: "manifests", Path: "0123/web.json"}
	wantNoFile(t, w.fetcher, at) // no branch
	w.manifests(map[string]string{"0123/web.json": "text", "0123/web.json.sig": "sig", "0123/db.json": "unsigned", "large": random(1 << 20), "0123/large.json": random(maxFile + 1)})
	wantFile(t, w.fetcher, at, "text", "sig")
	for _, missing := range []string{"0123/mail.json", "4567/web.json", "0123/db.json", "0123", "0123/web.json/x", "../0123/web.json"} {
		wantNoFile(t, w.fetcher, Place{Branch: "manifests", Path: missing})
	}
	if _, err := w.fetcher.File(t.Context(), Place{Branch: "manifests", Path: "0123/large.json"}); err == nil || !strings.Contains(err.Error(), "more than 524288 bytes") {
		t.Errorf("a large file: %v", err)
	}

	t.Log("of a server with filters, next to nothing else is fetched")
	w.run(w.bare, "git", "config", "uploadpack.allowFilter", "true")
	for i := range 500 {
		w.run(w.bare, "git", "update-ref", fmt.Sprintf("refs/heads/other-%d", i), string(tip))
	}
	before := w.served.Load()
	wantFile(t, w.fetcher, at, "text", "sig")
	if got := w.served.Load() - before; got > 2_000 {
		t.Errorf("the server sent %d bytes, want at most 2,000: the file and the way to it", got)
	}

	t.Log("a server of the older protocol")
	git := w.handler
	w.handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		r.Header.Del("Git-Protocol")
		git.ServeHTTP(rw, r)
	})
	wantFile(t, w.fetcher, at, "text", "sig")

	t.Log("what is followed is as it was, and nothing is left behind")
	w.mustFetch(tip, "")
	left, err := filepath.Glob(filepath.Join(filepath.Dir(w.store), "*"))
	if err != nil || len(left) != 3 {
		t.Errorf("%v (%v), want git, lock and tree", left, err)
	}

	t.Log("a directory, and a remote that is silent before it")
	w.follow(Remote{Name: "origin", URL: w.bare, Timeout: time.Minute}, Limits{TreeBytes: 1 << 20, TreeEntries: 1000, FetchBytes: 8 << 20})
	nobody := Remote{Name: "gone", URL: "http://127.0.0.1:1/x.git", Timeout: time.Minute}
	w.fetcher.opts.Remotes = append([]Remote{nobody}, w.fetcher.opts.Remotes...)
	wantFile(t, w.fetcher, at, "text", "sig")
}

func TestFileAtAURL(t *testing.T) {
	t.Parallel()
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("hunter2"), 0o600); err != nil {
		t.Fatal(err)
	}
	served := http.NewServeMux()
	served.HandleFunc("/web.json", func(w http.ResponseWriter, r *http.Request) {
		if _, got, _ := r.BasicAuth(); got != "hunter2" {
			t.Errorf("the token is %q", got)
		}
		_, _ = io.WriteString(w, "text")
	})
	served.HandleFunc("/web.json.sig", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "sig") })
	served.HandleFunc("/old.json", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "", http.StatusGone) })
	served.HandleFunc("/unsigned.json", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "text") })
	server := httptest.NewServer(served)
	t.Cleanup(server.Close)
	f := NewFetcher(Options{
		Remotes:  []Remote{{Name: "origin", URL: server.URL + "/fleet.git", Timeout: time.Minute, TokenFile: token}},
		Branches: onMain, Dir: t.TempDir(), Limits: Limits{FetchBytes: 8 << 20, Fetch: time.Minute}, Child: []string{"/proc/self/exe"},
	})
	wantFile(t, f, Place{URL: server.URL + "/web.json"}, "text", "sig")
	for _, missing := range []string{"/mail.json", "/old.json", "/unsigned.json"} {
		wantNoFile(t, f, Place{URL: server.URL + missing})
	}

	t.Log("the token is not for another host")
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			t.Error("another host is given the token")
		}
		_, _ = io.WriteString(w, "other")
	}))
	t.Cleanup(other.Close)
	wantFile(t, f, Place{URL: other.URL + "/web.json"}, "other", "other")
}

// A pin has no signature, and a date; who lists pins may want the token in another form.
func TestFileWithoutASignature(t *testing.T) {
	t.Parallel()
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("hunter2"), 0o600); err != nil {
		t.Fatal(err)
	}
	served := http.NewServeMux()
	served.HandleFunc("/pins/web", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Last-Modified", "Sat, 31 Jan 2026 12:00:00 GMT")
		_, _ = io.WriteString(w, "path")
	})
	served.HandleFunc("/pins/undated", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "path") })
	served.HandleFunc("/api/pins", func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("Authorization"); got != "Bearer hunter2" {
			http.Error(w, "who is "+got+"?", http.StatusUnauthorized)
			return
		}
		_, _ = io.WriteString(w, "[]")
	})
	served.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "who is "+r.Header.Get("Authorization")+"?", http.StatusUnauthorized)
	})
	server := httptest.NewServer(served)
	t.Cleanup(server.Close)
	f := NewFetcher(Options{
		Remotes:  []Remote{{Name: "origin", URL: server.URL + "/fleet.git", Timeout: time.Minute, TokenFile: token}},
		Branches: onMain, Dir: t.TempDir(), Limits: Limits{FetchBytes: 8 << 20, Fetch: time.Minute}, Child: []string{"/proc/self/exe"},
	})
	for path, want := range map[string]File{
		"/pins/web":     {Text: []byte("path"), Modified: time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)},
		"/pins/undated": {Text: []byte("path")},
		"/api/pins":     {Text: []byte("[]")},
	} {
		got, err := f.File(t.Context(), Place{URL: server.URL + path, Unsigned: true, Bearer: path == "/api/pins"})
		if err != nil || string(got.Text) != string(want.Text) || len(got.Signature) > 0 || !got.Modified.Equal(want.Modified) {
			t.Errorf("%s: got %q, %q, %v, %v, want %q of %v", path, got.Text, got.Signature, got.Modified, err, want.Text, want.Modified)
		}
	}
	_, err := f.File(t.Context(), Place{URL: server.URL + "/echo", Unsigned: true, Bearer: true})
	if err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "401") {
		t.Errorf("a server that hands the token back: %v", err)
	}
}

// A server of manifests that is not well harms nobody, and no commit.
func TestHostileServersOfFiles(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(elsewhere.Close)
	raw := func(serve func(io.Writer, <-chan struct{})) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { serve(flusher{rw}, r.Context().Done()) })
	}
	for _, c := range []struct {
		name   string
		server http.Handler
		want   string
	}{
		{"silent", raw(silent), "no answer within 1s"},
		{"slow", raw(drip(strings.Repeat("x", 1000))), "no answer within 1s"},
		{"endless", raw(endless("x")), "it has more than 524288 bytes"},
		{"50 MB", raw(says(strings.Repeat("x", 50<<20))), "it has more than 524288 bytes"},
		{"50 MB of headers", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			for range 100 {
				w.Header().Add("X-Long", strings.Repeat("x", 512<<10))
			}
		}), "server response headers exceeded"},
		{"redirect", http.RedirectHandler(elsewhere.URL, http.StatusFound), "redirected to " + elsewhere.URL},
		{"redirect to itself", http.RedirectHandler("/x/0123/web.json", http.StatusFound), "more than 5 redirects"},
		{"error", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "go \x1b[31maway\n", http.StatusInternalServerError)
		}), "500 Internal Server Error"},
		{"busy", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "", http.StatusServiceUnavailable) }), "the server is busy"},
		{"denied", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "", http.StatusForbidden) }), "403 Forbidden (hint: set token_file"},
		{"cut", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "text")
		}), "unexpected EOF"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(c.server)
			t.Cleanup(server.CloseClientConnections)
			dir, timeout := t.TempDir(), 5*time.Minute
			if strings.Contains(c.want, "within 1s") {
				timeout = time.Second
			}
			f := NewFetcher(Options{
				Remotes: []Remote{{Name: "origin", URL: server.URL + "/x.git", Timeout: timeout}}, Branches: onMain, Dir: dir, Child: []string{"/proc/self/exe"},
				Limits: Limits{TreeBytes: 1 << 20, TreeEntries: 1000, FetchBytes: 8 << 20, Fetch: timeout},
			})
			_, err := f.File(t.Context(), Place{URL: server.URL + "/x/0123/web.json"})
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.ContainsAny(err.Error(), "\x1b\n") || verdictOf(err) != passes {
				t.Errorf("File: %v, want an error of one clean line that says %q, held against no commit", err, c.want)
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v (%v)", left, err)
			}
		})
	}
	for _, c := range []struct {
		name   string
		server http.Handler
		want   string
	}{
		{"an answer to another question", hostile{tip: with(entry{"100644", "a", "x"}).tip, serve: says(preamble(with(entry{"100644", "b", "x"}).tip), band(with(entry{"100644", "b", "x"}).pack()))}, "it is not there"},
		{"an endless pack", hostile{tip: with(entry{"100644", "a", "x"}).tip, serve: endless("x")}, "invalid pkt-len"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(c.server)
			t.Cleanup(server.CloseClientConnections)
			f := NewFetcher(Options{
				Remotes: []Remote{{Name: "origin", URL: server.URL + "/x.git", Timeout: time.Minute}}, Branches: onMain, Dir: t.TempDir(), Child: []string{"/proc/self/exe"},
				Limits: Limits{TreeBytes: 1 << 20, TreeEntries: 1000, FetchBytes: 8 << 20, Fetch: time.Minute},
			})
			_, err := f.File(t.Context(), Place{Branch: "main", Path: "0123/web.json"})
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.ContainsAny(err.Error(), "\x1b\n") || verdictOf(err) != passes {
				t.Errorf("File: %v, want an error of one clean line that says %q, held against no commit", err, c.want)
			}
		})
	}
}
