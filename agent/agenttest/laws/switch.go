package laws

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/infra-agent/infra-agent/reconcile"
)

// Switch are the laws of [agent.Switch], [agent.Units] and [agent.Links]. Each leaves the
// node as it found it.
var Switch = []Law[Node]{
	{"the links say what runs and what boots", func(t testing.TB, n Node) {
		n.expect(t, n.Old, n.Old)
		if got := n.Ports.Links.Booted(); got != n.Old {
			t.Errorf("booted is %s", got)
		}
		if a, none := n.Ports.Links.AgentOf(n.WithAgent), n.Ports.Links.AgentOf("/nix/store/none"); a == "" || none != "" {
			t.Errorf("agents: %q of a system that has one, %q of a system that is not there", a, none)
		}
	}},
	{"a switch that may not begin changes nothing", func(t testing.TB, n Node) {
		d := n.deployment("refused", n.New)
		if _, err := n.Ports.Switch.Trial(t.Context(), d, 1, refused); !errors.Is(err, errBusy) {
			t.Errorf("the trial: %v", err)
		}
		if _, err := n.Ports.Switch.GoBack(t.Context(), d, 1, refused); !errors.Is(err, errBusy) {
			t.Errorf("the way back: %v", err)
		}
		n.expect(t, n.Old, n.Old)
		if left := n.leftovers(t); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
	}},
	{"what is asked when it is too late changes nothing", func(t testing.TB, n Node) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		begun := 0
		if a, err := n.Ports.Switch.Trial(ctx, n.deployment("late", n.New), 1, counted(&begun)); err == nil {
			t.Errorf("the trial: %+v", a)
		}
		if err := n.Ports.Switch.Promote(ctx, n.deployment("late", n.New), 1); err == nil {
			t.Error("it was promoted")
		}
		n.tidy(t)
		n.expect(t, n.Old, n.Old)
	}},
	{"a trial runs, and is no default", func(t testing.TB, n Node) {
		d := n.deployment("healthy", n.New)
		if a := n.try(t, d); a.Exit != 0 || a.Hold != "" || len(a.Failed) > 0 {
			t.Errorf("got %+v", a)
		}
		n.expect(t, n.New, n.Old)
		u, err := n.Ports.Units.Units(t.Context(), d, nil)
		if err != nil || len(u.Active) == 0 || len(u.Failed) > 0 {
			t.Errorf("its units: %+v, %v", u, err)
		}
		n.back(t, d)
	}},
	{"a trial that is over is not begun again", func(t testing.TB, n Node) {
		d := n.deployment("again", n.New)
		first, begun := n.try(t, d), 0
		if a, err := n.Ports.Switch.Trial(t.Context(), d, 1, counted(&begun)); err != nil || begun > 0 || a.Exit != first.Exit {
			t.Errorf("got %+v, %v, begun %d times", a, err, begun)
		}
		n.back(t, d)
	}},
	{"no trial is begun behind a way back", func(t testing.TB, n Node) {
		d := n.deployment("behind", n.New)
		n.try(t, d)
		if a, err := n.Ports.Switch.GoBack(t.Context(), d, 1, func(start func() error) error { return start() }); err != nil || a.Exit != 0 {
			t.Fatalf("the way back: %+v, %v", a, err)
		}
		begun := 0
		if a, err := n.Ports.Switch.Trial(t.Context(), d, 2, counted(&begun)); err != nil || begun > 0 || a.Exit == 0 {
			t.Errorf("got %+v, %v, begun %d times", a, err, begun)
		}
		n.tidy(t)
		n.expect(t, n.Old, n.Old)
	}},
	{"a unit that fails is named, and is gone with its system", func(t testing.TB, n Node) {
		d := n.deployment("failing", n.Failing)
		if a := n.try(t, d); a.Exit != 4 || a.Hold != "" || !slices.Contains(a.Failed, n.FailingUnit) {
			t.Errorf("got %+v", a)
		}
		n.expect(t, n.Failing, n.Old)
		if u, err := n.Ports.Units.Units(t.Context(), d, nil); err != nil || !slices.Contains(u.Failed, n.FailingUnit) {
			t.Errorf("its units: %+v, %v", u, err)
		}
		n.back(t, d)
		if u, err := n.Ports.Units.Units(t.Context(), d, nil); err != nil || slices.Contains(u.Failed, n.FailingUnit) {
			t.Errorf("the old system's units: %+v, %v", u, err)
		}
	}},
	{"the way back ends a trial that hangs", func(t testing.TB, n Node) {
		d := n.deployment("hanging", n.Hanging)
		ended := make(chan reconcile.Activation, 1)
		go func() {
			a, _ := n.Ports.Switch.Trial(t.Context(), d, 1, func(start func() error) error { return start() })
			ended <- a
		}()
		for n.Ports.Links.Slots().Running != n.Hanging {
			time.Sleep(20 * time.Millisecond)
		}
		n.back(t, d)
		if a := <-ended; a.Exit == 0 {
			t.Errorf("the trial ended with %+v", a)
		}
	}},
	{"a promotion makes a system the default, and can be made again", func(t testing.TB, n Node) {
		d := n.deployment("promoted", n.New)
		n.try(t, d)
		for range 2 {
			if err := n.Ports.Switch.Promote(t.Context(), d, 1); err != nil {
				t.Fatal(err)
			}
			n.expect(t, n.New, n.New)
		}
		if err := n.Ports.Switch.Restore(t.Context(), n.Old); err != nil {
			t.Fatal(err)
		}
		n.expect(t, n.New, n.Old)
		n.back(t, d)
	}},
	{"a boot loader that refuses a system will do so again", func(t testing.TB, n Node) {
		d := n.deployment("refused", n.Refused)
		n.try(t, d)
		if gate, rejected := reconcile.RejectedBy(n.Ports.Switch.Promote(t.Context(), d, 1)); !rejected || gate != reconcile.GatePreflight {
			t.Errorf("its promotion is rejected: %t, by %q", rejected, gate)
		}
		if err := n.Ports.Switch.Restore(t.Context(), n.Old); err != nil {
			t.Fatal(err)
		}
		n.back(t, d)
	}},
	{"a system passes preflight, but not while another switch runs", func(t testing.TB, n Node) {
		unlock := n.Lock()
		_, err := n.Ports.Switch.Preflight(t.Context(), n.WithAgent, false, n.Record)
		unlock()
		if gate, rejected := reconcile.RejectedBy(err); !rejected || gate != reconcile.GateLock {
			t.Errorf("locked: %v", err)
		}
		if got, err := n.Ports.Switch.Preflight(t.Context(), n.WithAgent, true, n.Record); err != nil || got.Retires || got.Observes {
			t.Errorf("got %+v, %v", got, err)
		}
		if got, err := n.Ports.Switch.Preflight(t.Context(), n.New, true, n.Record); err != nil || got.Retires != (n.Ports.Links.AgentOf(n.New) == "") {
			t.Errorf("of a system that need have no agent: %+v, %v", got, err)
		}
	}},
	{"stopping what is not there is no error", func(t testing.TB, n Node) {
		if err := n.Ports.Units.Stop(t.Context(), "infra-agent-trial-none-1.service"); err != nil {
			t.Error(err)
		}
	}},
}

// Programs are the laws of [agent.Programs].
var Programs = []Law[Node]{
	{"a command that fails is an error", func(t testing.TB, n Node) {
		if err := n.Ports.Programs.Exec(t.Context(), n.Works); err != nil {
			t.Error(err)
		}
		if err := n.Ports.Programs.Exec(t.Context(), n.Fails); err == nil {
			t.Errorf("%v: no error", n.Fails)
		}
	}},
	{"a secret that is not there is a hold", func(t testing.TB, n Node) {
		if err := n.Ports.Programs.Secrets(t.Context(), []reconcile.Secret{n.Secret}); err != nil {
			t.Error(err)
		}
		err := n.Ports.Programs.Secrets(t.Context(), []reconcile.Secret{n.Secret, {Path: "/run/no-secret"}})
		if gate, _ := reconcile.RejectedBy(err); gate != reconcile.GateSecrets {
			t.Errorf("got %v", err)
		}
	}},
}
