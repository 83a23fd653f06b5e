package laws

import (
	"errors"
	"testing"
	"time"

	"github.com/infra-agent/infra-agent/agent"
	"github.com/infra-agent/infra-agent/reconcile"
)

// A Watch is what the laws of [agent.Guard] need: nothing is guarded.
type Watch struct {
	Guard agent.Guard
}

// state compares what the guard's file says.
func (w Watch) state(t testing.TB, want reconcile.GuardState) {
	t.Helper()
	if got, err := w.Guard.State(); err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}

// Guard are the laws of [agent.Guard].
var Guard = []Law[Watch]{
	{"a deadline is what it was set to last, until the guard is off", func(t testing.TB, w Watch) {
		d := reconcile.Deployment{ID: "1", Old: reconcile.System{Toplevel: "A"}}
		w.state(t, reconcile.GuardState{})
		for _, step := range []struct {
			do   func() error
			want reconcile.GuardState
		}{
			{func() error { return w.Guard.Arm(d, time.Hour, reconcile.Recovery{}) }, reconcile.GuardState{ID: "1", Until: time.Hour}},
			{func() error { return w.Guard.Move("1", 2*time.Hour) }, reconcile.GuardState{ID: "1", Until: 2 * time.Hour}},
			{func() error { return w.Guard.Disarm("2") }, reconcile.GuardState{ID: "1", Until: 2 * time.Hour}},
			{func() error { return w.Guard.Bound(d, time.Minute, reconcile.Recovery{}) }, reconcile.GuardState{ID: "1", Until: time.Minute}},
			{func() error { return w.Guard.Bound(d, time.Hour, reconcile.Recovery{}) }, reconcile.GuardState{ID: "1", Until: time.Minute}}, // it is put off by nobody
			{func() error { return w.Guard.NoteReboot("1") }, reconcile.GuardState{ID: "1", Rebooted: true}},
			{func() error { return w.Guard.Arm(d, time.Hour, reconcile.Recovery{}) }, reconcile.GuardState{ID: "1", Until: time.Hour, Rebooted: true}},
			{func() error { return w.Guard.Disarm("1") }, reconcile.GuardState{ID: "1", Rebooted: true}},
		} {
			if err := step.do(); err != nil {
				t.Error(err)
			}
			w.state(t, step.want)
		}
	}},
	{"what may begin only under a guard begins before its deadline, or not at all", func(t testing.TB, w Watch) {
		begun := 0
		begin := func(uptime time.Duration) error {
			return w.Guard.Begin("1", func() time.Duration { return uptime }, func() error { begun++; return nil })
		}
		if err := begin(0); err == nil {
			t.Error("it begins without a guard")
		}
		if err := w.Guard.Arm(reconcile.Deployment{ID: "1"}, time.Hour, reconcile.Recovery{}); err != nil {
			t.Fatal(err)
		}
		if err := begin(time.Hour); err == nil {
			t.Error("it begins at the deadline")
		}
		if err := begin(time.Hour - 1); err != nil || begun != 1 {
			t.Errorf("got %v, begun %d times", err, begun)
		}
		refused := errors.New("refused")
		if err := w.Guard.Begin("1", func() time.Duration { return 0 }, func() error { return refused }); !errors.Is(err, refused) {
			t.Errorf("got %v of what does not begin", err)
		}
	}},
	{"a guard that is off is not moved", func(t testing.TB, w Watch) {
		if err := w.Guard.Move("1", time.Hour); err == nil {
			t.Error("it was")
		}
		w.state(t, reconcile.GuardState{})
	}},
}
