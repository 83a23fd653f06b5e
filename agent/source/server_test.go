package source

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/infra-agent/infra-agent/reconcile"
)

// Azure DevOps and AWS CodeCommit answer 400 to a fetch without multi_ack.
func TestAServerThatInsistsOnMultiACK(t *testing.T) {
	w := newWorld(t)
	git := w.handler
	want := "multi_ack"
	w.handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		if r.Method == http.MethodPost && bytes.Contains(body, []byte("want ")) && !bytes.Contains(body, []byte(want)) {
			http.Error(rw, "TF400: the capability "+want+"\nis required", http.StatusBadRequest)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		git.ServeHTTP(rw, r)
	})
	var commits []reconcile.Commit
	for i := range 20 {
		commits = append(commits, w.pushed("a", strconv.Itoa(i)))
	}
	w.mustFetch(commits[19], "")
	w.commit("b", "1")
	tip := w.pushed("b", "2")
	if got := w.mustFetch(tip, commits[19]); got.Commits != 2 {
		t.Errorf("Commits = %d, want 2: the server acknowledges what both have", got.Commits)
	}
	if err := os.RemoveAll(w.store); err != nil {
		t.Fatal(err)
	}
	if got := w.mustFetch(w.pushed("b", "3"), commits[2]); got.Commits != 20 {
		t.Errorf("Commits = %d, want 20: the store is deepened", got.Commits)
	}

	t.Log("what the server says is quoted, and the url is not doubted")
	want = "a-wish-of-its-own"
	_, err := w.fetch(w.pushed("b", "4"), tip)
	if err == nil || !strings.Contains(err.Error(), `the server answers 400 Bad Request and says "TF400: the capability a-wish-of-its-own is required"`) || strings.Contains(err.Error(), "hint") {
		t.Errorf("Fetch: %v, want what the server says", err)
	}
}

// A server that cannot leave history out is asked for all of it, once.
func TestAServerWithoutShallow(t *testing.T) {
	w := newWorld(t)
	git := w.handler
	w.handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			body, err := io.ReadAll(r.Body)
			if err != nil || bytes.Contains(body, []byte("deepen")) {
				t.Errorf("the request asks to deepen (%v)", err)
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
			git.ServeHTTP(rw, r)
			return
		}
		said := httptest.NewRecorder()
		git.ServeHTTP(said, r)
		rw.Header().Set("Content-Type", said.Header().Get("Content-Type"))
		_, _ = rw.Write(bytes.ReplaceAll(said.Body.Bytes(), []byte(" shallow"), []byte(" shaLLow")))
	})
	first := w.pushed("a", "1")
	for i := range 30 {
		w.commit("a", strconv.Itoa(i))
	}
	tip := w.pushed("a", "last")
	if got := w.mustFetch(tip, first); got.Commits != 31 {
		t.Errorf("Commits = %d, want 31", got.Commits)
	}
	w.mustFetch(w.pushed("a", "later"), tip)
}

// What forges say is found where they put it.
func TestSaid(t *testing.T) {
	for _, c := range []struct{ kind, body, want string }{
		{"text/plain; charset=utf-8", "no", "no"},
		{"text/html", "<html><head><TITLE lang=en>Sign in &amp; up</title></head>", "Sign in & up"},
		{"text/html", "<p>no</p>", ""},
		{"application/json; charset=utf-8", `{"$id":"1","message":"TF401019: The Git repository does not exist.","typeKey":"GitRepositoryNotFoundException"}`, "TF401019: The Git repository does not exist."},
		{"application/json", `{"type":"error","error":{"message":"Token is invalid or not supported for this endpoint."}}`, "Token is invalid or not supported for this endpoint."},
		{"application/json", `{"errors":[{"code":7,"message":"no"}]}`, "no"},
		{"application/problem+json", `{"title":"Forbidden","detail":"no"}`, "no"},
		{"application/json", `{"error":"invalid_token","error_description":"expired"}`, "expired"},
		{"application/json", `{"error":{"error":{"error":{"error":"deep"}}}}`, ""},
		{"application/json", `{"message":"cut o`, ""},
		{"application/json", `"no"`, "no"},
		{"image/png", "\x89PNG", ""},
	} {
		if got := said(c.kind, c.body); got != c.want {
			t.Errorf("said(%s, %s) = %q, want %q", c.kind, c.body, got, c.want)
		}
	}
}

// What a server says of a refusal is told, and never the secret that it was given.
func TestARefusalIsQuoted(t *testing.T) {
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("hunter2secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ file, says, want string }{
		{token, "remote: Your IP address is not allowed.\n", `the server answers 403 Forbidden and says "remote: Your IP address is not allowed." (hint: is the token in ` + token + ` still valid?)`},
		{"", "remote: Repository is private.\n", `the server answers 403 Forbidden and says "remote: Repository is private." (hint: set token_file of remote origin)`},
		{token, "hunter2secret is no token here", `the server answers 403 Forbidden (hint: is the token in ` + token + ` still valid?)`},
		{token, "no: Z2l0Omh1bnRlcjJzZWNyZXQ=", `the server answers 403 Forbidden (hint: is the token in ` + token + ` still valid?)`}, // base64 of git:hunter2secret
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, c.says, http.StatusForbidden) }))
		remote := Remote{Name: "origin", URL: server.URL, TokenFile: c.file}
		req, err := remote.request(t.Context(), http.MethodGet, server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := remote.do(server.Client(), req)
		if err == nil {
			resp.Body.Close()
		}
		if _, denied := errors.AsType[*DeniedError](err); !denied || err.Error() != c.want {
			t.Errorf("got %v, want %s", err, c.want)
		}
		server.Close()
	}
}
