package laws

import (
	"testing"

	"github.com/infra-agent/infra-agent/agent"
	"github.com/infra-agent/infra-agent/reconcile"
)

// A Way is what the laws of [agent.Follower] need: how an agent follows its branch.
type Way struct {
	Follower     agent.Follower
	Change       func() // the running system gets other settings
	Old          reconcile.Toplevel
	WithoutAgent reconcile.Toplevel

	Answers func(answers bool) // whether a remote answers the settings of Old
}

func (w Way) ask(t testing.TB, old reconcile.Toplevel) reconcile.OldPoll {
	t.Helper()
	got, err := w.Follower.AskOld(t.Context(), reconcile.Deployment{ID: "1", Old: reconcile.System{Toplevel: old}})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// Follower are the laws of [agent.Follower].
var Follower = []Law[Way]{
	{"the state is the same until something changes", func(t testing.TB, w Way) {
		before := w.Follower.FollowState()
		if again := w.Follower.FollowState(); again != before || before.Print == "" || before.Stale != "" {
			t.Errorf("got %+v, then %+v", before, again)
		}
		w.Change()
		if after := w.Follower.FollowState(); after.Print == before.Print {
			t.Errorf("got %+v after a change", after)
		}
	}},
	{"the old settings answer where a remote does", func(t testing.TB, w Way) {
		for _, answers := range []bool{true, false, true} {
			w.Answers(answers)
			want := reconcile.OldSilent
			if answers {
				want = reconcile.OldAnswered
			}
			if got := w.ask(t, w.Old); got != want {
				t.Errorf("got %v, want %v", got, want)
			}
		}
	}},
	{"a system without an agent has nobody to ask", func(t testing.TB, w Way) {
		w.Answers(true)
		if got := w.ask(t, w.WithoutAgent); got != reconcile.OldSilent {
			t.Errorf("got %v", got)
		}
	}},
}
