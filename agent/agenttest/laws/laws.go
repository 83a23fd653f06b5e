// Package laws says what every implementation of the agent's ports does, as far as the
// agent relies on it. The simulated ports of package agenttest and the real ones are held
// against the same laws, so that what the simulation proves is true of a node.
package laws

import (
	"errors"
	"testing"

	"github.com/infra-agent/infra-agent/agent"
	"github.com/infra-agent/infra-agent/reconcile"
)

// A Law is one thing that is true of a port in every world W.
type Law[W any] struct {
	Name  string
	Holds func(t testing.TB, w W)
}

// A Node is what the laws of a node's ports need: it runs Old, which is its profile and
// its boot default, and no unit of the agent's is in memory.
type Node struct {
	Ports agent.Ports

	Old, New  reconcile.Toplevel // healthy
	WithAgent reconcile.Toplevel
	Failing   reconcile.Toplevel // runs, but for FailingUnit
	Hanging   reconcile.Toplevel // its activation never ends
	Refused   reconcile.Toplevel // by the boot loader

	Record string        // file of the agent's record
	Lock   func() func() // takes NixOS's switch lock; what it returns gives it back

	FailingUnit  string
	Works, Fails []string         // commands
	Secret       reconcile.Secret // that is there
}

// errBusy is why a switch may not begin.
var errBusy = errors.New("the guard goes back")

// counted returns a begin that counts how often something was begun.
func counted(times *int) func(start func() error) error {
	return func(start func() error) error {
		*times++
		return start()
	}
}

func refused(func() error) error { return errBusy }

func (n Node) deployment(id string, to reconcile.Toplevel) reconcile.Deployment {
	return reconcile.Deployment{ID: id, Old: reconcile.System{Toplevel: n.Old}, New: reconcile.System{Toplevel: to}}
}

// try is a trial that is begun, and ends.
func (n Node) try(t testing.TB, d reconcile.Deployment) reconcile.Activation {
	t.Helper()
	begun := 0
	a, err := n.Ports.Switch.Trial(t.Context(), d, 1, counted(&begun))
	if err != nil || begun != 1 || a.Attempt != 1 {
		t.Fatalf("the trial: %+v, %v, begun %d times", a, err, begun)
	}
	return a
}

// back ends a deployment as it was before.
func (n Node) back(t testing.TB, d reconcile.Deployment) {
	t.Helper()
	begun := 0
	a, err := n.Ports.Switch.GoBack(t.Context(), d, 1, counted(&begun))
	if err != nil || begun != 1 || a.Attempt != 1 || a.Exit != 0 || a.Hold != "" {
		t.Fatalf("the way back: %+v, %v, begun %d times", a, err, begun)
	}
	n.tidy(t)
	n.expect(t, n.Old, n.Old)
}

// tidy stops every unit of the agent's.
func (n Node) tidy(t testing.TB) {
	t.Helper()
	for _, u := range n.leftovers(t) {
		if err := n.Ports.Units.Stop(t.Context(), u); err != nil {
			t.Fatal(err)
		}
	}
	if left := n.leftovers(t); len(left) > 0 {
		t.Errorf("left after all units were stopped: %v", left)
	}
}

func (n Node) leftovers(t testing.TB) []string {
	t.Helper()
	left, err := n.Ports.Units.Leftovers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return left
}

// expect compares the links.
func (n Node) expect(t testing.TB, running, byDefault reconcile.Toplevel) {
	t.Helper()
	want := reconcile.Slots{Running: running, Profile: byDefault, Default: byDefault}
	if got := n.Ports.Links.Slots(); got != want {
		t.Errorf("the links are %+v, want %+v", got, want)
	}
}
