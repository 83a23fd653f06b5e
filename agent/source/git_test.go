package source

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/infra-agent/infra-agent/reconcile"
)

// The test binary is its own fetch child.
func TestMain(m *testing.M) {
	if dir := os.Getenv("SOURCE_TEST_SERVE"); dir != "" {
		serve(dir)
		return
	}
	if os.Getenv("SOURCE_TEST_CHILD") == "1" && len(os.Args) == 1 { // a fuzz worker has arguments
		child := Child
		if os.Getenv("SOURCE_TEST_PROBE") != "" {
			child = probe
		}
		if err := child(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	for name, value := range map[string]string{
		"SOURCE_TEST_CHILD": "1",
		"GIT_CONFIG_GLOBAL": "/dev/null",
		"GIT_CONFIG_SYSTEM": "/dev/null",
		"GORACE":            "atexit_sleep_ms=0", // else each child of a -race run ends a second late
	} {
		if err := os.Setenv(name, value); err != nil {
			panic(err)
		}
	}
	code := m.Run()
	_ = os.RemoveAll(scratch())
	os.Exit(code)
}

// A world is a repository with one work tree, served over HTTP by real git, and
// a fetcher that follows it. Each test has its own, so that all run in parallel.
type world struct {
	t       testing.TB
	bare    string // repository that is served
	work    string // work tree that pushes to it
	store   string
	tree    string
	url     string
	fetcher *Fetcher
	clock   int
	served  atomic.Int64 // bytes sent over HTTP
	packs   atomic.Int64 // packs asked for over HTTP
	handler http.Handler
}

func newWorld(t *testing.T) *world {
	t.Helper()
	t.Parallel()
	dir := t.TempDir()
	w := &world{
		t: t, bare: dir + "/fleet.git", work: dir + "/work",
		store: dir + "/state/git", tree: dir + "/state/tree/source",
	}
	w.run(dir, "git", "init", "-q", "--bare", "-b", "main", w.bare)
	w.run(dir, "git", "init", "-q", "-b", "main", w.work)
	w.git("remote", "add", "origin", w.bare)
	w.handler = w.backend()
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			w.packs.Add(1)
		}
		w.handler.ServeHTTP(&counter{rw, &w.served}, r)
	}))
	t.Cleanup(server.Close)
	w.url = server.URL + "/fleet.git"
	w.follow(Remote{Name: "origin", URL: w.url, Timeout: time.Minute}, Limits{TreeBytes: 1 << 20, TreeEntries: 1000, FetchBytes: 8 << 20})
	return w
}

// onMain is what most tests follow.
var onMain = Branches{Branch: "main"}

func (w *world) follow(r Remote, limits Limits) {
	if limits.Fetch == 0 {
		limits.Fetch = time.Minute
	}
	w.fetcher = NewFetcher(Options{
		Remotes: []Remote{r}, Branches: onMain, Dir: filepath.Dir(w.store), Limits: limits, Trust: Trust{Policy: reconcile.TrustNone}, Child: []string{"/proc/self/exe"},
	})
}

// backend is what real servers run.
func (w *world) backend() http.Handler {
	out, err := exec.CommandContext(w.t.Context(), "git", "--exec-path").Output()
	if err != nil {
		w.t.Fatalf("git --exec-path: %v", err)
	}
	return &cgi.Handler{
		Path: filepath.Join(strings.TrimSpace(string(out)), "git-http-backend"),
		Env:  []string{"GIT_PROJECT_ROOT=" + filepath.Dir(w.bare), "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_GLOBAL=/dev/null"},
	}
}

type counter struct {
	http.ResponseWriter
	n *atomic.Int64
}

func (c *counter) Write(p []byte) (int, error) {
	c.n.Add(int64(len(p)))
	return c.ResponseWriter.Write(p)
}

// run runs a program and returns what it printed.
func (w *world) run(dir string, args ...string) string {
	w.t.Helper()
	w.clock++
	cmd := exec.CommandContext(w.t.Context(), args[0], args[1:]...)
	cmd.Dir = dir
	date := fmt.Sprintf("2024-01-01T00:%02d:%02dZ", w.clock/60%60, w.clock%60)
	cmd.Env = append(os.Environ(),
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.org", "GIT_AUTHOR_DATE="+date,
		"GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.org", "GIT_COMMITTER_DATE="+date)
	out, err := cmd.CombinedOutput()
	if err != nil {
		w.t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

func (w *world) git(args ...string) string {
	w.t.Helper()
	return w.run(w.work, append([]string{"git"}, args...)...)
}

// write writes a file of the work tree.
func (w *world) write(name, content string) {
	w.t.Helper()
	path := filepath.Join(w.work, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		w.t.Fatal(err)
	}
}

// commit commits one change of one file, without pushing.
func (w *world) commit(name, content string) reconcile.Commit {
	w.t.Helper()
	w.write(name, content)
	w.git("add", "-A")
	w.git("commit", "-q", "--allow-empty", "-m", "write "+name)
	return w.head()
}

func (w *world) head() reconcile.Commit {
	w.t.Helper()
	return reconcile.Commit(w.git("rev-parse", "HEAD"))
}

func (w *world) push() {
	w.t.Helper()
	w.git("push", "-q", "-f", "origin", "HEAD:main")
}

// pushed commits and pushes.
func (w *world) pushed(name, content string) reconcile.Commit {
	w.t.Helper()
	c := w.commit(name, content)
	w.push()
	return c
}

func (w *world) fetch(tip, anchor reconcile.Commit) (Result, error) {
	got, err := w.fetcher.Fetch(context.Background(), Request{Remote: "origin", Tip: tip, Anchor: anchor})
	if err == nil {
		if err := w.fetcher.Verify(got, got.Tree); err != nil {
			w.t.Errorf("what was fetched is not the commit: %v", err)
		}
	}
	return got, err
}

// mustFetch fetches, and lets git compare the tree that was written.
func (w *world) mustFetch(tip, anchor reconcile.Commit) Result {
	w.t.Helper()
	got, err := w.fetch(tip, anchor)
	if err != nil {
		w.t.Fatalf("Fetch(%s, anchor %s): %v", tip.Short(), anchor.Short(), err)
	}
	w.sameTree(tip)
	return got
}

// sameTree compares the tree with what git makes of the directory.
func (w *world) sameTree(tip reconcile.Commit) {
	w.t.Helper()
	index := filepath.Join(w.t.TempDir(), "index")
	as := []string{"env", "GIT_INDEX_FILE=" + index, "git", "--git-dir=" + w.bare, "--work-tree=" + w.tree, "-c", "core.excludesFile=/dev/null"}
	w.run(w.tree, append(as, "add", "-A", "-f", ".")...)
	got := w.run(w.tree, append(as, "write-tree")...)
	if want := w.git("rev-parse", string(tip)+"^{tree}"); got != want {
		w.t.Errorf("git reads the written directory as tree %s, want %s", got, want)
	}
}

// wantRejected checks the gate, and that the text says each of words.
func wantRejected(t *testing.T, err error, gate reconcile.Gate, words ...string) {
	t.Helper()
	if got, _ := reconcile.RejectedBy(err); got != gate {
		t.Errorf("error %v: gate %q, want %q", err, got, gate)
		return
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("error %q does not say %q", err, word)
		}
	}
}

// imported makes so many commits of nothing on the server's branch.
func (w *world) imported(n int) {
	w.t.Helper()
	var stream strings.Builder
	for i := range n {
		fmt.Fprintf(&stream, "commit refs/heads/main\ncommitter a <a@example.org> %d +0000\ndata 0\n\n", 1700000000+i)
	}
	fast := exec.CommandContext(w.t.Context(), "git", "fast-import", "--quiet", "--force")
	fast.Dir, fast.Stdin = w.bare, strings.NewReader(stream.String())
	if out, err := fast.CombinedOutput(); err != nil {
		w.t.Fatalf("git fast-import: %v\n%s", err, out)
	}
}

// raw returns the content of a blob as git has it.
func (w *world) raw(object string) string {
	w.t.Helper()
	cmd := exec.CommandContext(w.t.Context(), "git", "cat-file", "blob", object)
	cmd.Dir = w.work
	out, err := cmd.Output()
	if err != nil {
		w.t.Fatalf("git cat-file %s: %v", object, err)
	}
	return string(out)
}

func wantVerdict(t *testing.T, err error, want reconcile.Verdict) {
	t.Helper()
	if rejected, is := errors.AsType[*reconcile.RejectedError](err); !is || rejected.Verdict != want {
		t.Errorf("error %v: its verdict is not %q", err, want)
	}
}

func suspicious(err error) bool {
	rejected, is := errors.AsType[*reconcile.RejectedError](err)
	return is && rejected.Suspect
}

// wholeTip lets git read all of the newest commit in the store, bit by bit. Of older ones
// the store may have no more than the commits.
func (w *world) wholeTip() {
	w.t.Helper()
	w.run(w.store, "sh", "-ec", "git rev-list --objects --no-walk "+string(w.head())+" >tip; cut -c1-40 tip | git cat-file --batch >contents; ! grep -a ' missing$' contents; rm tip contents")
}
