package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/infra-agent/infra-agent/agent/command"
	"github.com/infra-agent/infra-agent/reconcile"
)

func TestFirstFetchHasDepthOne(t *testing.T) {
	w := newWorld(t)
	w.commit("a", "1")
	w.commit("a", "2")
	tip := w.pushed("b/c", "3")
	got := w.mustFetch(tip, "")
	want := Result{Commit: tip, Time: got.Time, Verified: got.Verified, Subject: "write b/c", Tree: w.tree, Unconfined: got.Unconfined}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Fetch (-want +got):\n%s", diff)
	}
	if date := w.git("show", "-s", "--format=%ct", string(tip)); strconv.FormatInt(got.Time.Unix(), 10) != date {
		t.Errorf("Time = %s, want the commit's date %s", got.Time, date)
	}
	if n := w.run(w.store, "git", "rev-list", "--count", string(tip)); n != "1" {
		t.Errorf("commits in the store = %s, want 1", n)
	}
}

func TestLaterFetchesBringOnlyWhatIsNew(t *testing.T) {
	w := newWorld(t)
	w.commit("big", strings.Repeat("incompressible? ", 10)+random(400<<10))
	anchor := w.pushed("a", "1")
	w.mustFetch(anchor, "")
	first := w.served.Swap(0)
	w.commit("a", "2")
	tip := w.pushed("a", "3")
	got := w.mustFetch(tip, anchor)
	if got.Commits != 2 {
		t.Errorf("Commits = %d, want 2", got.Commits)
	}
	if n := w.served.Load(); n > 8<<10 || first < 300<<10 {
		t.Errorf("served %d bytes for two small commits after %d at first, want at most 8 KiB after more than 300 KiB", n, first)
	}
	if n := w.run(w.store, "git", "rev-list", "--count", string(tip)); n != "3" {
		t.Errorf("commits in the store = %s, want 3", n)
	}
}

// random returns n bytes that do not compress, the same ones each time.
func random(n int) string {
	b, x := make([]byte, n), uint64(1)
	for i := range b {
		x = x*6364136223846793005 + 1442695040888963407
		b[i] = byte(x >> 56)
	}
	return string(b)
}

// A shallow store must not believe that it has a file because an old commit that
// it never had contains it.
func TestRevertRestoresAnOldFile(t *testing.T) {
	w := newWorld(t)
	w.commit("target", "old "+random(2000))
	anchor := w.pushed("target", "new")
	w.mustFetch(anchor, "")
	w.git("revert", "--no-edit", "HEAD")
	w.push()
	w.run(w.bare, "git", "repack", "-adbq")
	w.mustFetch(w.head(), anchor)
	w.wholeTip()
}

func TestSameTipAgainAsksNobody(t *testing.T) {
	w := newWorld(t)
	tip := w.pushed("a", "1")
	w.mustFetch(tip, "")
	w.served.Store(0)
	if got := w.mustFetch(tip, tip); got.Commits != 0 || w.served.Load() != 0 {
		t.Errorf("Commits = %d, served %d bytes, want 0 and 0", got.Commits, w.served.Load())
	}
}

// A proof has the remote answer a fetch, and costs hardly more than a question.
func TestProofAsksAgain(t *testing.T) {
	w := newWorld(t)
	tip := w.pushed("a", random(20000))
	_, overSSH := w.overSSH()
	for _, r := range []Remote{{Name: "origin", URL: w.url}, overSSH, w.overGit(), {Name: "origin", URL: w.bare}} {
		w.follow(r, w.fetcher.opts.Limits)
		w.mustFetch(tip, "")
		w.served.Store(0)
		prove := Request{Remote: "origin", Tip: tip, Anchor: tip, Prove: true}
		if _, err := w.fetcher.Fetch(t.Context(), prove); err != nil {
			t.Errorf("%s: %v", r.URL, err)
		}
		w.sameTree(tip)
		if n := w.served.Load(); r.URL == w.url && (n == 0 || n > 1000) {
			t.Errorf("served %d bytes, want some, and at most 1000", n)
		}
	}
	w.follow(Remote{Name: "origin", URL: w.url}, w.fetcher.opts.Limits)
	newer := w.pushed("a", "newer")
	for _, prove := range []Request{{Tip: newer, Anchor: tip}, {Tip: tip, Anchor: tip}} { // of a branch that has moved on
		prove.Remote, prove.Prove = "origin", true
		if _, err := w.fetcher.Fetch(t.Context(), prove); err != nil {
			t.Errorf("%s: %v", prove.Tip.Short(), err)
		}
	}
	tip = newer
	backend := w.handler
	w.handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if bytes.Contains(body, []byte("want ")) {
			http.Error(rw, "questions only", http.StatusForbidden)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		backend.ServeHTTP(rw, r)
	})
	if _, err := w.fetcher.Fetch(t.Context(), Request{Remote: "origin", Tip: tip, Anchor: tip, Prove: true}); err == nil {
		t.Error("a remote that answers questions and gives nothing was proven")
	}
}

// However fast pushes come, a commit that was the newest can be fetched, whole: what came after it is history that was passed.
// A commit that the branch was taken back from cannot.
func TestBranchThatMovesOnFasterThanFetchesBegin(t *testing.T) {
	w := newWorld(t)
	w.fetcher.opts.Limits.FetchBytes = 100_000
	first := w.pushed("a", "1")
	_, overSSH := w.overSSH()
	remotes := []Remote{{Name: "origin", URL: w.url}, overSSH, w.overGit(), {Name: "origin", URL: w.bare}}
	for _, r := range remotes {
		w.follow(r, w.fetcher.opts.Limits)
		w.mustFetch(w.head(), "")
	}
	second := w.pushed("a", "2")
	w.commit("b", random(20_000))
	third := w.pushed("a", "3")
	for _, r := range remotes {
		w.follow(r, w.fetcher.opts.Limits)
		w.mustFetch(second, first)
		w.sameTree(second)
		w.mustFetch(third, second)
		w.sameTree(third)
	}

	t.Log("a branch that was rewritten")
	fourth := w.pushed("a", "4")
	w.git("reset", "-q", "--hard", string(third))
	w.commit("a", "5")
	w.git("push", "-q", "--force", "origin", "main")
	_, err := w.fetch(fourth, third)
	if _, rejected := reconcile.RejectedBy(err); err == nil || rejected || !strings.Contains(err.Error(), "moved on to "+w.head().Short()) {
		t.Errorf("Fetch: %v, want a passing error about a branch that moved on", err)
	}

	t.Log("what the branch is at now is larger than the limits")
	w.mustFetch(w.head(), third)
	fifth := w.pushed("a", "6")
	sixth := w.pushed("b", random(200_000))
	_, err = w.fetch(fifth, third)
	if _, rejected := reconcile.RejectedBy(err); err == nil || rejected || !strings.Contains(err.Error(), "moved on to "+sixth.Short()) {
		t.Errorf("Fetch: %v, want a passing error about a branch that moved on", err)
	}
}

func TestBranchThatMovedOn(t *testing.T) {
	w := newWorld(t)
	old := w.commit("a", "1")
	now := w.pushed("a", "2")
	w.mustFetch(old, "") // by a store that is empty
	w.sameTree(old)
	aside := w.commit("a", "3")
	_, err := w.fetch(aside, "")
	if _, rejected := reconcile.RejectedBy(err); err == nil || rejected || !strings.Contains(err.Error(), "moved on to "+now.Short()) {
		t.Errorf("Fetch: %v, want a passing error about a branch that moved on", err)
	}
}

func TestChildIsKilledAtTheDeadline(t *testing.T) {
	w := newWorld(t)
	tip := w.pushed("a", "1")
	asked := make(chan struct{}, 1)
	w.handler = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-r.Context().Done() // the child holds the line until it is killed
	})
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		<-asked
		cancel(errors.New("out of time"))
	}()
	_, err := w.fetcher.Fetch(ctx, Request{Remote: "origin", Tip: tip})
	if err == nil || !strings.Contains(err.Error(), "out of time") {
		t.Errorf("Fetch: %v, want the cause of the cancellation", err)
	}
}

func TestCrashingChild(t *testing.T) {
	w := newWorld(t)
	w.fetcher.opts.Child = []string{"/bin/sh", "-c", "echo 'out of memory' >&2; exit 2"}
	_, err := w.fetch(w.pushed("a", "1"), "")
	if err == nil || !strings.Contains(err.Error(), "out of memory") {
		t.Errorf("Fetch: %v, want what the child said last", err)
	}
	w.fetcher.opts.Child = []string{"/bin/sh", "-c", "printf 'fatal error: runtime: out of memory\n\ngoroutine 1 [running]:\n' >&2; exit 2"}
	_, err = w.fetch(w.head(), "")
	if err == nil || !strings.Contains(err.Error(), "the fetch's process ended: fatal error: runtime: out of memory") {
		t.Errorf("Fetch: %v, want the cause, above the trace", err)
	}
	w.fetcher.opts.Child = []string{"/bin/sh", "-c", `echo '{"surprise": 1}'`}
	if _, err := w.fetch(w.head(), ""); err == nil || !strings.Contains(err.Error(), "surprise") {
		t.Errorf("Fetch: %v, want an error about the unknown field", err)
	}
}

// A child that was taken over says what it likes.
func TestLyingChild(t *testing.T) {
	w := newWorld(t)
	tip := w.pushed("a", "1")
	says := func(answer string) { w.fetcher.opts.Child = []string{"/bin/echo", answer} }
	says(`{"result": {"commit": "1111111111111111111111111111111111111111", "tree": "/etc", "subject": "a\u001b[2Jb", "time": "2024-01-01T00:00:00Z"}}`)
	got, err := w.fetcher.Fetch(t.Context(), Request{Remote: "origin", Tip: tip})
	if w.fetcher.Verify(got, t.TempDir()) == nil {
		t.Error("a directory without files is verified")
	}
	if err != nil || got.Commit != tip || got.Tree != w.tree || got.Subject != "a[2Jb" {
		t.Errorf("Fetch = %+v, %v, want the commit and the directory that were asked for", got, err)
	}
	says(`{"error": "no\u001b[2J", "gate": "suspend"}`)
	_, err = w.fetch(tip, "")
	if gate, rejected := reconcile.RejectedBy(err); rejected || err == nil || strings.Contains(err.Error(), "\x1b") {
		t.Errorf("Fetch: %v, rejected by %q, want a passing error of clean text", err, gate)
	}
	says(`{"result": {"commit": "-rf"}}`)
	if commit, err := w.fetcher.opts.run(t.Context(), job{Ask: true, Remote: w.fetcher.opts.Remotes[0]}); err == nil {
		t.Errorf("a poll = %v, want an error: that is no commit", commit)
	}
}

// Whoever can run it as a unit decides where it may write; a path is read here.
func TestUnit(t *testing.T) {
	w := newWorld(t)
	tip := w.pushed("a", "1")
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("s3cret"), 0o600); err != nil {
		t.Fatal(err)
	}
	own := t.TempDir()
	ran := 0
	w.fetcher.opts.Unit = &Unit{Dir: own, Run: func(ctx context.Context, c UnitCall) ([]byte, error) {
		ran++
		credentials := t.TempDir()
		for name, path := range c.Copies {
			if err := os.Rename(path, filepath.Join(credentials, name)); err != nil { // it reads its copy
				return nil, err
			}
		}
		return command.Run(ctx, command.Command{Args: w.fetcher.opts.Child, Env: []string{"CREDENTIALS_DIRECTORY=" + credentials}, Stdin: bytes.NewReader(c.Stdin)})
	}}
	w.fetcher.opts.Remotes[0].TokenFile = token
	got, err := w.fetch(tip, "")
	if err != nil || got.Tree != own+"/tree/source" || ran != 1 {
		t.Errorf("Fetch = %+v, %v, %d units, want one that writes to %s", got, err, ran, own)
	}
	w.follow(Remote{Name: "origin", URL: w.bare}, w.fetcher.opts.Limits)
	w.mustFetch(tip, "")
	if ran != 1 {
		t.Errorf("%d units, want none for a path", ran)
	}
}

// A proxy's URL may hold a password: it comes with the job, where nobody else reads.
func TestProxyOfAUnit(t *testing.T) {
	w := newWorld(t)
	tip := w.pushed("a", "1")
	w.fetcher.opts.Unit = &Unit{
		Dir: t.TempDir(), Env: []string{"http_proxy=" + strings.Replace(strings.TrimSuffix(w.url, "/fleet.git"), "//", "//user:hunter2@", 1)},
		Run: func(ctx context.Context, c UnitCall) ([]byte, error) {
			return command.Run(ctx, command.Command{Args: w.fetcher.opts.Child, Stdin: bytes.NewReader(c.Stdin)})
		},
	}
	w.fetcher.opts.Remotes[0].URL = "http://git.invalid/fleet.git"
	if _, err := w.fetch(tip, ""); err != nil {
		t.Errorf("Fetch through a proxy: %v", err)
	}
}

func TestLocalPath(t *testing.T) {
	w := newWorld(t)
	for _, url := range []string{w.bare, "file://" + w.bare} {
		w.follow(Remote{Name: "origin", URL: url, Timeout: time.Minute}, w.fetcher.opts.Limits)
		anchor := w.pushed("a", url)
		w.mustFetch(anchor, "")
		w.mustFetch(w.pushed("b", url), anchor)
	}
	w.follow(Remote{Name: "origin", URL: w.bare, Timeout: time.Minute}, Limits{TreeBytes: 1 << 20, TreeEntries: 100, FetchBytes: 1000})
	_, err := w.fetch(w.pushed("c", random(5000)), "")
	wantRejected(t, err, reconcile.GateUnverified, "more than 1000 bytes", "limits.fetch_bytes")
}

func TestUnknownRemote(t *testing.T) {
	w := newWorld(t)
	_, err := w.fetcher.Fetch(t.Context(), Request{Remote: "mirror", Tip: "1"})
	if err == nil || err.Error() != "fetch from mirror: no such remote" {
		t.Errorf("Fetch: %v, want no such remote", err)
	}
}

// What a commit in between brought does not count: the next commit mends it, for a
// node that has followed all along and for one that was off, whether the server can
// leave the files of old commits out or not.
func TestACommitThatBreaksALimitIsMendedByTheNext(t *testing.T) {
	for _, filter := range []string{"true", "false"} {
		t.Run("filter "+filter, func(t *testing.T) {
			w := newWorld(t)
			w.git("-C", w.bare, "config", "uploadpack.allowFilter", filter)
			anchor := w.pushed("a", "1")
			w.mustFetch(anchor, "")
			for _, c := range []struct{ name, content, limit string }{
				{"more bytes than an answer may have", random(9 << 20), "limits.fetch_bytes"},
				{"more bytes than files may have, well packed", strings.Repeat("x", 9<<20), "limits.tree_bytes"},
				{"a larger object than any may be", strings.Repeat("x", maxObject+1), "at most 104857600 are accepted"},
				{"a path that cannot be written", "", `the name ".git"`},
				{"more files than may be", "", "limits.tree_entries"},
			} {
				switch {
				case c.content != "":
					w.pushed("large", c.content)
				case c.name == "more files than may be":
					for i := range 1001 {
						w.write(fmt.Sprint("many/", i), fmt.Sprint(i))
					}
					w.pushed("many/x", "x")
				default:
					tree := w.run(w.work, "sh", "-c", `printf '100644 blob '$(git hash-object -w --stdin </dev/null)'\t.git\n' | git mktree`)
					w.git("reset", "-q", "--soft", w.git("commit-tree", "-p", "HEAD", "-m", "x", tree))
					w.push()
				}
				_, err := w.fetch(w.head(), anchor)
				wantRejected(t, err, reconcile.GateUnverified, c.limit)
				w.git("read-tree", string(anchor))
				w.run(w.work, "rm", "-rf", "large", "many")
				tip := w.pushed("a", c.name)
				if got := w.mustFetch(tip, anchor); got.Commits != 2 {
					t.Errorf("%s: Commits = %d, want 2", c.name, got.Commits)
				}
				anchor = tip
			}
		})
	}
}

// Of a pack, the commits are taken: those that git has packed as changes of others, too.
func TestTakeCommits(t *testing.T) {
	w := newWorld(t)
	w.imported(300)
	long := strings.Repeat("a message that is there again and again\n", 50)
	w.git("fetch", "-q", "origin", "main")
	w.git("reset", "-q", "--hard", "FETCH_HEAD")
	for i := range 5 {
		w.write("f", random(1000*i))
		w.git("add", "f")
		w.git("commit", "-q", "--allow-empty", "-m", long+fmt.Sprint(i))
	}
	w.push()
	for _, args := range []string{"--no-reuse-delta --window=50", "--no-reuse-delta --window=50 --delta-base-offset"} {
		pack := w.run(w.bare, "sh", "-c", "git rev-list --objects main | git pack-objects -q --stdout "+args+" >taken.pack; git index-pack -o taken.idx taken.pack >/dev/null; git verify-pack -v taken.idx | grep -c ' commit .* [0-9]* [0-9a-f]*$'; rm taken.idx")
		data, err := os.ReadFile(filepath.Join(w.bare, "taken.pack"))
		if err != nil || pack == "0" {
			t.Fatalf("%v, %s commits are packed as changes, want some", err, pack)
		}
		s, err := openStore(filepath.Join(t.TempDir(), "git"))
		if err != nil {
			t.Fatal(err)
		}
		if err := takeCommits(bytes.NewReader(data), s, roomy); err != nil {
			t.Fatal(err)
		}
		got := w.run("/", "git", "--git-dir="+s.dir, "rev-list", "--count", string(w.head()))
		if objects := w.run("/", "sh", "-c", "git --git-dir="+s.dir+" count-objects -v | grep in-pack"); got != "305" || objects != "in-pack: 305" {
			t.Errorf("%s commits of history, %s; want 305 of both", got, objects)
		}
	}
}

func FuzzTakeCommits(f *testing.F) {
	commit := packed{1, 4, nil, []byte("tree")}
	f.Add(pack(2, commit, packed{6, 8, []byte{15}, []byte{4, 4, 0x90, 4, 0x90, 4, 0, 0}}))
	f.Add(pack(2, commit, blob("x")))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := openStore(filepath.Join(t.TempDir(), "git"))
		if err != nil {
			t.Fatal(err)
		}
		_ = takeCommits(bytes.NewReader(data), s, roomy)
	})
}
