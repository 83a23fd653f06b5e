package laws

import (
	"errors"
	"testing"

	"github.com/infra-agent/infra-agent/agent"
	"github.com/infra-agent/infra-agent/reconcile"
)

// A Repository is what the laws of [agent.Source] need: First has the children Second and
// Aside, and the branch shows Second.
type Repository struct {
	Source               agent.Source
	First, Second, Aside reconcile.Commit

	Remote, Silent string                    // names; Silent does not answer
	Move           func(to reconcile.Commit) // the branch
}

func (r Repository) fetch(t testing.TB, remote string, tip, anchor, rewind reconcile.Commit) (agent.Tree, error) {
	t.Helper()
	return r.Source.Fetch(t.Context(), reconcile.Fetch{
		Tip: reconcile.Tip{Commit: tip, Remote: remote}, Purpose: reconcile.PurposeBranch, Anchor: anchor, Rewind: rewind,
	})
}

// Source are the laws of [agent.Source].
var Source = []Law[Repository]{
	{"a commit is fetched, with its tree", func(t testing.TB, r Repository) {
		for _, anchor := range []reconcile.Commit{"", r.First, r.Second} {
			tree, err := r.fetch(t, r.Remote, r.Second, anchor, "")
			if err != nil || tree.Revision.Commit != r.Second || tree.Dir == "" || tree.Revision.Time.IsZero() {
				t.Errorf("from %q: got %+v, %v", anchor, tree.Revision, err)
			}
		}
	}},
	{"one that does not come after the accepted one is rejected, unless a person allows it", func(t testing.TB, r Repository) {
		r.Move(r.Aside)
		_, err := r.fetch(t, r.Remote, r.Aside, r.Second, "")
		if e, is := errors.AsType[*reconcile.RejectedError](err); !is || e.Gate != reconcile.GateUnverified || e.Verdict != reconcile.VerdictNotDescendant {
			t.Errorf("got %v", err)
		}
		if tree, err := r.fetch(t, r.Remote, r.Aside, r.Second, r.Aside); err != nil || tree.Revision.Commit != r.Aside {
			t.Errorf("allowed: got %+v, %v", tree.Revision, err)
		}
	}},
	{"the files of one that was fetched can be had again, when a newer one was", func(t testing.TB, r Repository) {
		r.Move(r.First)
		before, err := r.fetch(t, r.Remote, r.First, "", "")
		if err != nil {
			t.Fatal(err)
		}
		r.Move(r.Second)
		if _, err := r.fetch(t, r.Remote, r.Second, r.First, ""); err != nil {
			t.Fatal(err)
		}
		again, err := r.Source.Again(t.Context(), reconcile.Fetched{Revision: before.Revision, Purpose: reconcile.PurposeBranch})
		if err != nil || again.Revision.Commit != r.First || again.Dir == "" || again.Verify != nil && again.Verify(again.Dir) != nil {
			t.Errorf("got %+v, %v", again.Revision, err)
		}
	}},
	{"the silence of a remote says nothing about the commit", func(t testing.TB, r Repository) {
		_, err := r.fetch(t, r.Silent, r.Second, r.First, "")
		if _, rejected := reconcile.RejectedBy(err); err == nil || rejected {
			t.Errorf("got %v", err)
		}
	}},
}
