package source

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"

	"github.com/go-git/go-git/v5/plumbing/format/pktline"

	"github.com/infra-agent/infra-agent/reconcile"
)

// A branch that was begun long ago is merged: the ordinary way of a pull request.
// It costs its own commits, and not the history behind it.
func TestCostOfAMergeOfAnOldBranch(t *testing.T) {
	c := newCourse(t)
	dir := t.TempDir()
	f := c.fetcher(dir, "/proc/self/exe")
	w := &world{t: t, bare: c.bare}
	get := func(tip, anchor reconcile.Commit) (res Result, bytes int64) {
		t.Helper()
		bytes = c.bytes(func() {
			var err error
			if res, err = f.Fetch(t.Context(), Request{Remote: "origin", Tip: tip, Anchor: anchor}); err != nil {
				t.Fatal(err)
			}
		})
		return res, bytes
	}
	anchor := c.commits[0]
	get(anchor, "")
	for _, before := range []int{50, 2_000, 19_000} {
		fork := w.run(c.bare, "git", "rev-parse", fmt.Sprintf("%s~%d", c.commits[0], before))
		side := w.run(c.bare, "git", "commit-tree", "-p", fork, "-m", "side", fork+"^{tree}")
		merge := reconcile.Commit(w.run(c.bare, "git", "commit-tree", "-p", string(anchor), "-p", side, "-m", "merge", string(anchor)+"^{tree}"))
		if err := os.WriteFile(c.bare+"/refs/heads/main", []byte(merge+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		res, bytes := get(merge, anchor)
		t.Logf("forked %d commits before the first fetch: %d bytes", before, bytes)
		if bytes > maxUpdate || res.Commits != 1 {
			t.Errorf("the merge costs %d bytes and counts %d commits, want at most %d, and 1", bytes, res.Commits, maxUpdate)
		}
		anchor = merge
	}
}

// A commit restores a file that the server takes the store to have, and that was
// gone before the store was made.
func TestAFileFromBeforeTheStoreIsRestored(t *testing.T) {
	w := newWorld(t)
	w.write("dir/old", "as it was")
	w.commit("a", "1")
	before := w.head()
	w.git("rm", "-q", "dir/old")
	anchor := w.pushed("a", "2")
	w.mustFetch(anchor, "")
	w.git("checkout", "-q", string(before), "--", "dir/old")
	tip := w.pushed("a", "3")
	if got := w.mustFetch(tip, anchor); got.Commits != 1 {
		t.Errorf("Commits = %d, want 1", got.Commits)
	}
	w.mustFetch(w.pushed("a", "4"), tip)
}

// newSignedWorld is a world with one commit, which the store has. Policy all asks ann
// to sign every further one.
func newSignedWorld(t *testing.T) (w *world, ann pen, first reconcile.Commit) {
	t.Helper()
	w = newWorld(t)
	ann = newPen(t, "ann")
	w.trust(reconcile.TrustAll, ann)
	w.commit("a", "1")
	first = w.sign(ann)
	w.push()
	w.mustFetch(first, "")
	return w, ann, first
}

// signedFork makes a side branch of signed commits from the given commit, and merges
// it, signed, into main.
func (w *world) signedFork(p pen, from reconcile.Commit, commits int, unsigned bool) (hidden, merge reconcile.Commit) {
	w.t.Helper()
	w.git("checkout", "-q", "-B", "side", string(from))
	file := fmt.Sprint("side", w.clock)
	if unsigned {
		hidden = w.commit(file, "unsigned")
	}
	for i := range commits {
		w.commit(file, fmt.Sprint(i))
		w.sign(p)
	}
	w.git("checkout", "-q", "main")
	w.git("merge", "-q", "--no-ff", "-m", "merge", "side")
	merge = w.sign(p)
	w.push()
	return hidden, merge
}

// Policy all verifies what came since the anchor, and nothing older, though a branch
// was begun before the store was.
func TestPolicyAllAndAnOldBranch(t *testing.T) {
	for _, filter := range []string{"false", "true"} { // of the server: it may leave the files of old commits out
		t.Run("filter "+filter, func(t *testing.T) {
			w := newWorld(t)
			w.run(w.bare, "git", "config", "uploadpack.allowFilter", filter)
			ann := newPen(t, "ann")
			var fork reconcile.Commit
			for i := range 60 {
				if w.commit("a", fmt.Sprint(i)); i == 5 { // before signatures were asked for
					fork = w.head()
				}
			}
			anchor := w.sign(ann)
			w.push()
			w.trust(reconcile.TrustAll, ann)
			w.mustFetch(anchor, "")
			_, merge := w.signedFork(ann, fork, 3, false)
			w.mustFetch(merge, anchor)

			hidden, next := w.signedFork(ann, fork, 3, true)
			_, err := w.fetch(next, merge)
			wantRejected(t, err, reconcile.GateUnverified, hidden.Short(), "not signed")
		})
	}
}

// A server may have filters, and not the one that leaves files out.
func TestServerWithoutTheFilter(t *testing.T) {
	w := newWorld(t)
	w.run(w.bare, "git", "config", "uploadpack.allowFilter", "true")
	w.run(w.bare, "git", "config", "uploadpackfilter.tree.allow", "false")
	anchor := w.pushed("a", "1")
	w.commit("a", "2")
	for _, remote := range []Remote{w.fetcher.opts.Remotes[0], w.overGit()} {
		if err := os.RemoveAll(w.store); err != nil {
			t.Fatal(err)
		}
		w.follow(remote, w.fetcher.opts.Limits)
		w.mustFetch(w.pushed("a", remote.URL), anchor)
	}
}

// Many commits from before signatures were asked for are not walked many times.
func TestPolicyAllAndAVeryOldBranch(t *testing.T) {
	w := newWorld(t)
	w.imported(3000)
	w.git("fetch", "-q", "origin")
	w.git("reset", "-q", "--hard", "origin/main")
	fork := reconcile.Commit(w.git("rev-parse", "HEAD~2000"))
	ann := newPen(t, "ann")
	w.commit("a", "1")
	anchor := w.sign(ann)
	w.push()
	w.trust(reconcile.TrustAll, ann)
	w.mustFetch(anchor, "")
	_, merge := w.signedFork(ann, fork, 1, false)
	w.mustFetch(merge, anchor)
}

// A store that was lost is deepened as far as it must be to see every commit.
func TestPolicyAllWithALostStore(t *testing.T) {
	w, ann, first := newSignedWorld(t)
	hidden, merge := w.signedFork(ann, first, 30, true) // more than the first deepening shows
	if err := os.RemoveAll(w.store); err != nil {
		t.Fatal(err)
	}
	_, err := w.fetch(merge, first)
	wantRejected(t, err, reconcile.GateUnverified, hidden.Short(), "not signed")
}

// A server says that a signed commit has no parents to show: its parent is not
// signed. It never passes, and is nobody's proof that the tip is bad.
func TestServerThatHidesAParent(t *testing.T) {
	w, ann, first := newSignedWorld(t)
	_, merge := w.signedFork(ann, first, 1, true)
	top := w.git("rev-parse", "side")
	honest := w.handler
	w.handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			honest.ServeHTTP(rw, r)
			return
		}
		body, _ := io.ReadAll(r.Body)
		if !bytes.Contains(body, []byte("deepen")) { // an empty pack: the store must be bad
			_, _ = io.WriteString(rw, "0008NAK\n0025\x01PACK\x00\x00\x00\x02\x00\x00\x00\x00"+emptySum+"0000")
			return
		}
		// Whatever is behind it is left out of the pack.
		w.run(w.bare, "sh", "-c", "echo "+top+" >shallow")
		defer w.run(w.bare, "rm", "-f", "shallow")
		answer := httptest.NewRecorder()
		r.Body = io.NopCloser(bytes.NewReader(body))
		honest.ServeHTTP(answer, r)
		var line bytes.Buffer
		_ = pktline.NewEncoder(&line).EncodeString("shallow " + top)
		rw.Header().Set("Content-Type", "application/x-git-upload-pack-result")
		_, _ = rw.Write(append(line.Bytes(), answer.Body.Bytes()...))
	})
	_, err := w.fetch(merge, first)
	wantSuspected(t, err, "cannot be seen", "whether it was accepted before")
}

// wantSuspected checks that the remote may be to blame, and that the text says each
// of words.
func wantSuspected(t *testing.T, err error, words ...string) {
	t.Helper()
	wantRejected(t, err, reconcile.GateUnverified, words...)
	if !suspicious(err) {
		t.Errorf("error %v is held against the commit alone, want the remote suspected", err)
	}
}

// An allowed rewind lets a branch be rewritten. It is no leave to skip signatures of
// what comes after the anchor as usual.
func TestRewindOfADescendantSkipsNothing(t *testing.T) {
	w, ann, first := newSignedWorld(t)
	unsigned := w.commit("a", "2")
	w.commit("a", "3")
	tip := w.sign(ann)
	w.push()
	_, err := w.fetcher.Fetch(t.Context(), Request{Remote: "origin", Tip: tip, Anchor: first, AllowRewind: tip})
	wantRejected(t, err, reconcile.GateUnverified, unsigned.Short(), "not signed")
}
