package source

import (
	"testing"
	"time"

	"github.com/infra-agent/infra-agent/reconcile"
)

// both is what a node with a testing branch follows.
var both = Branches{Branch: "main", Testing: "testing"}

// pushTesting commits on top of the branch and pushes to the testing branch alone.
func (w *world) pushTesting(name, content string) reconcile.Commit {
	w.t.Helper()
	c := w.commit(name, content)
	w.git("push", "-q", "-f", "origin", "HEAD:testing")
	w.git("reset", "-q", "--hard", "HEAD^")
	return c
}

// One question asks for both branches, over every transport, whichever way the
// server answers.
func TestTipsOfBothBranches(t *testing.T) {
	w := newWorld(t)
	main := w.pushed("a", "1")
	_, overSSH := w.overSSH()
	remotes := map[string]Remote{
		"http": {Name: "origin", URL: w.url}, "path": {Name: "origin", URL: w.bare}, "ssh": overSSH, "git": w.overGit(),
	}
	ask := func(name string, want Tips) {
		t.Helper()
		for _, older := range []int{0, 1} {
			a := newAsker(t, remotes[name], both)
			a.older = older
			if got, err := a.tips(t.Context(), both); err != nil || got != want {
				t.Errorf("%s: tips = %+v, %v, want %+v", name, got, err, want)
			}
			a.close()
		}
	}
	for name := range remotes {
		ask(name, Tips{Commit: main})
	}
	testing := w.pushTesting("a", "2")
	for name := range remotes {
		ask(name, Tips{Commit: main, Testing: testing})
	}
}

// A commit of the testing branch is got and verified as any other one is, and the
// branch goes on from where it was, at the price of one commit.
func TestFetchOfTheTestingBranch(t *testing.T) {
	w := newWorld(t)
	for range 30 {
		w.commit("a", time.Now().String())
	}
	anchor := w.pushed("a", "1")
	w.follow(Remote{Name: "origin", URL: w.url, Timeout: time.Minute}, w.fetcher.opts.Limits)
	w.fetcher.opts.Testing = "testing"
	w.mustFetch(anchor, "")
	tip := w.pushTesting("a", "2")
	fetch := func(tip reconcile.Commit) (Result, error) {
		return w.fetcher.Fetch(t.Context(), Request{Remote: "origin", Testing: true, Tip: tip, Anchor: anchor})
	}
	got, err := fetch(tip)
	if err != nil || got.Commits != 1 {
		t.Fatalf("Fetch = %+v, %v, want one commit", got, err)
	}
	w.sameTree(tip)
	w.mustFetch(w.pushed("a", "3"), anchor)
	if n := w.run(w.store, "git", "rev-list", "--all", "--count"); n != "2" {
		t.Errorf("%s commits of the branch in the store, want the new one and the anchor", n)
	}
	_, err = fetch(tip)
	if err != nil {
		t.Errorf("the testing branch's commit descends from the anchor: %v", err)
	}
	anchor = w.pushed("a", "4")
	w.mustFetch(anchor, "")
	_, err = fetch(tip)
	wantRejected(t, err, reconcile.GateUnverified, "diverged")
}

// The store may have been made anew for a commit of the testing branch. Its history
// is not downloaded with the next commit of the branch.
func TestABranchWhoseAnchorIsNotInTheStore(t *testing.T) {
	w := newWorld(t)
	for range 40 {
		w.commit("a", time.Now().String())
	}
	anchor := w.pushed("a", "1")
	w.fetcher.opts.Testing = "testing"
	tip := w.pushTesting("b", "2")
	if _, err := w.fetcher.Fetch(t.Context(), Request{Remote: "origin", Testing: true, Tip: tip}); err != nil {
		t.Fatal(err)
	}
	if got := w.mustFetch(w.pushed("a", "3"), anchor); got.Commits != 1 {
		t.Errorf("Commits = %d, want 1", got.Commits)
	}
	if n := w.run(w.store, "git", "rev-list", "--count", string(w.head())); n != "16" {
		t.Errorf("%s commits of the branch in the store, want the 16 of a store that looks for its anchor", n)
	}
}
