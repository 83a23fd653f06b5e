package source

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
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
