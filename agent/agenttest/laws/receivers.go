package laws

import (
	"slices"
	"testing"

	"github.com/infra-agent/infra-agent/agent"
	"github.com/infra-agent/infra-agent/reconcile"
)

// An Audience is what the laws of [agent.Receivers] need.
type Audience struct {
	Receivers agent.Receivers
	Heard     func() []string       // the notices that arrived, by name
	Next      func() reconcile.Told // what the next agent begins with, once this one has ended
}

// Receivers are the laws of [agent.Receivers].
var Receivers = []Law[Audience]{
	{"what is told arrives once, in order", func(t testing.TB, a Audience) {
		one := reconcile.Notice{ID: "promoted/1", Kind: reconcile.NoticePromoted}
		two := reconcile.Notice{ID: "stuck/2", Kind: reconcile.NoticeStuck}
		told := reconcile.Told{Begun: true, Deployment: "1"}
		a.Receivers.Tell(told, []reconcile.Notice{one})
		a.Receivers.Tell(told, nil)
		told.Deployment = "2"
		a.Receivers.Tell(told, []reconcile.Notice{two})
		if got := a.Heard(); !slices.Equal(got, []string{one.ID, two.ID}) {
			t.Errorf("got %q", got)
		}
	}},
	{"the next agent knows what was told", func(t testing.TB, a Audience) {
		told := reconcile.Told{Begun: true, Deployment: "1", Standing: map[string]reconcile.Standing{"held": {Of: "node", Told: true}}}
		a.Receivers.Tell(told, nil)
		if got := a.Next(); !got.Equal(told) {
			t.Errorf("got %+v, want %+v", got, told)
		}
	}},
}
