package source

import (
	"context"
	"errors"
	"os"
	"strconv"
	"testing"

	"github.com/infra-agent/infra-agent/reconcile"
)

func TestForcePushHolds(t *testing.T) {
	w := newWorld(t)
	base := w.commit("a", "1")
	w.pushed("a", "2")
	first := w.head()
	w.mustFetch(first, "")
	w.commit("a", "3")
	anchor := w.pushed("a", "4")
	w.mustFetch(anchor, first)
	for _, c := range []struct{ name, onto string }{
		{"above the shallow commit", string(first)},
		{"below the shallow commit", string(base)},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.t = t
			w.git("reset", "-q", "--hard", c.onto)
			tip := w.pushed("a", "other "+c.onto)
			w.packs.Store(0)
			_, err := w.fetch(tip, anchor)
			wantRejected(t, err, reconcile.GateUnverified, "diverged", anchor.Short(), "infra-agent allow-rewind "+string(tip))
			if n := w.packs.Load(); n != 1 {
				t.Errorf("asked for %d packs, want 1: more history cannot change the answer", n)
			}
			if _, err := os.Stat(w.tree); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the refused tree is there: %v", err)
			}
		})
	}
	t.Run("unrelated", func(t *testing.T) {
		w.t = t
		w.git("checkout", "-q", "--orphan", "else")
		_, err := w.fetch(w.pushed("x", "y"), anchor)
		wantRejected(t, err, reconcile.GateUnverified, "diverged")
		wantVerdict(t, err, reconcile.VerdictNotDescendant)
	})
}

func TestAllowRewind(t *testing.T) {
	w := newWorld(t)
	w.commit("a", "1")
	w.pushed("a", "2")
	anchor := w.pushed("a", "3")
	w.mustFetch(anchor, "")
	w.git("reset", "-q", "--hard", "HEAD~2")
	tip := w.pushed("a", "rewritten")
	req := Request{Remote: "origin", Tip: tip, Anchor: anchor}

	req.AllowRewind = anchor // another commit than the tip allows nothing
	_, err := w.fetcher.Fetch(context.Background(), req)
	wantRejected(t, err, reconcile.GateUnverified, "diverged")

	req.AllowRewind = tip
	if _, err := w.fetcher.Fetch(context.Background(), req); err != nil {
		t.Fatalf("Fetch with the rewind allowed: %v", err)
	}
	w.sameTree(tip)
	w.git("reset", "-q", "--hard", "HEAD~1")
	tip, req.Anchor = w.pushed("a", "rewritten again"), tip
	req.Tip, req.AllowRewind = tip, tip
	if _, err := w.fetcher.Fetch(context.Background(), req); err != nil {
		t.Fatalf("Fetch of a commit that was not refused before: %v", err)
	}
	if n := w.run(w.store, "git", "rev-list", "--count", string(tip)); n != "1" {
		t.Errorf("commits in the store after a rewind = %s, want 1", n)
	}
	next := w.pushed("a", "and on")
	if got := w.mustFetch(next, tip); got.Commits != 1 {
		t.Errorf("Commits after the rewind = %d, want 1", got.Commits)
	}
}

func TestAcceptedBeforeIsBehind(t *testing.T) {
	w := newWorld(t)
	old := w.commit("a", "1")
	anchor := w.pushed("a", "2")
	req := Request{Remote: "origin", Tip: old, Anchor: anchor, Accepted: []reconcile.Commit{old, anchor}}
	_, err := w.fetcher.Fetch(context.Background(), req)
	wantRejected(t, err, reconcile.GateSource, "behind", old.Short(), anchor.Short())
	if w.served.Load() != 0 {
		t.Errorf("asked the remote (%d bytes) for a commit that was accepted before", w.served.Load())
	}
	req.AllowRewind = old
	w.run(w.bare, "git", "update-ref", "refs/heads/main", string(old))
	if _, err := w.fetcher.Fetch(context.Background(), req); err != nil {
		t.Errorf("Fetch with the rewind allowed: %v", err)
	}
}

func TestAnchorThroughAMerge(t *testing.T) {
	w := newWorld(t)
	first := w.pushed("a", "1")
	w.mustFetch(first, "")
	anchor := w.pushed("a", "2")
	w.mustFetch(anchor, first)
	w.git("checkout", "-q", "-b", "side", string(first))
	w.commit("b", "1")
	w.commit("b", "2")
	w.git("merge", "-q", "--no-edit", "-m", "merge", string(anchor)) // the anchor is the second parent
	w.push()
	got := w.mustFetch(w.head(), anchor)
	if want := w.git("rev-list", "--first-parent", "--count", string(anchor)+"..HEAD"); strconv.Itoa(got.Commits) != want {
		t.Errorf("Commits = %d, want %s as git says", got.Commits, want)
	}
}

func TestAnchorOutOfReach(t *testing.T) {
	w := newWorld(t)
	w.imported(8300)
	tip := reconcile.Commit(w.run(w.bare, "git", "rev-parse", "main"))
	anchor := reconcile.Commit(w.run(w.bare, "git", "rev-list", "--max-parents=0", "main"))
	_, err := w.fetch(tip, anchor)
	wantRejected(t, err, reconcile.GateUnverified, "too far away", "the last 8192 commits", "infra-agent allow-rewind "+string(tip))
}
