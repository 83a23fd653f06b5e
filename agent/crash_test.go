package agent_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/infra-agent/infra-agent/agent/agenttest"
	"github.com/infra-agent/infra-agent/reconcile"
)

// How a commit that brings system B over the good system A ends. An accident on
// the way does not change it.
var ends = []struct {
	name    string
	b       agenttest.System
	running reconcile.Toplevel
	blocked bool // B
}{
	{"healthy", agenttest.System{Agent: agenttest.Agent}, "B", false},
	{"brings another agent", agenttest.System{Agent: agenttest.Other}, "B", false},
	{"activation fails", agenttest.System{Agent: agenttest.Agent, Exit: 2}, "A", true},
	{"unit fails", agenttest.System{Agent: agenttest.Agent, Exit: 4, Failing: "db.service"}, "A", true},
	{"check is red", agenttest.System{Agent: agenttest.Agent, Red: true}, "A", true},
	{"cuts the network", agenttest.System{Agent: agenttest.Agent, Cut: true}, "A", true},
	{"has no agent", agenttest.System{}, "A", true},
	{"brings other settings", agenttest.System{Agent: agenttest.Agent, Settings: "2"}, "B", false},
	{"its settings reach no remote", agenttest.System{Agent: agenttest.Agent, Settings: "2", Deaf: true}, "A", true},
	{"its settings verify nothing", agenttest.System{Agent: agenttest.Agent, Settings: "2", Distrust: true}, "A", true},
	{"its settings find no node", agenttest.System{Agent: agenttest.Other, Settings: "2", Lost: true}, "A", true},
	{"its settings describe another system", agenttest.System{Agent: agenttest.Agent, Settings: "2", Strays: true}, "A", true},
	{"its agent dies", agenttest.System{Agent: agenttest.Other, AgentDies: true}, "A", true},
	{"its switch hangs", agenttest.System{Agent: agenttest.Agent, Hangs: true}, "A", true},
	{"its switch is killed once", agenttest.System{Agent: agenttest.Agent, Killed: 1}, "B", false},
	{"cannot be promoted at first", agenttest.System{Agent: agenttest.Agent, Unpromotable: 1}, "B", false},
}

// end is what is left when everything has come to rest.
type end struct {
	slots   reconcile.Slots
	phase   string
	blocked bool
	points  []string
	whole   bool // no switch was left half way
	atOnce  int  // activations that began while another one ran
}

// push runs a node, pushes B with the fault, lets the accidents happen, and waits
// until nothing moves any more.
func push(t *testing.T, b agenttest.System, accidents ...agenttest.Accident) end {
	t.Helper()
	return play(t, func(n *agenttest.Node) { n.Push("c1", agenttest.Commit{Parent: "c0", System: "B"}, b) }, accidents...)
}

func play(t *testing.T, push func(*agenttest.Node), accidents ...agenttest.Accident) (e end) {
	t.Helper()
	synctest.Test(t, func(*testing.T) {
		n := agenttest.New()
		n.Start()
		time.Sleep(2 * time.Minute) // until A is adopted and c0 converged
		n.Do(func() { n.Counting, n.Accidents = true, accidents })
		push(n)
		time.Sleep(6 * time.Minute)
		n.Do(func() { n.DiskFull = false })
		time.Sleep(6 * time.Minute)
		r := n.Record()
		_, blocked := r.Blocked["B"]
		e = end{slots: n.Slots(), whole: n.Whole(), phase: reconcile.Name(r.Phase), blocked: blocked}
		n.Do(func() { e.points, e.atOnce = n.Diary.Points, n.Diary.AtOnce })
		n.Stop()
	})
	return e
}

func (e end) check(t *testing.T, running reconcile.Toplevel, blocked bool, story string) {
	t.Helper()
	want := reconcile.Slots{Running: running, Profile: running, Default: running}
	if e.slots != want || !e.whole || e.phase != "idle" || e.blocked != blocked {
		t.Errorf("%s: ends with %+v, whole: %v, %s, B blocked: %v; want all %s, true, idle, blocked: %v", story, e.slots, e.whole, e.phase, e.blocked, running, blocked)
	}
}

// The agent dies, or the power is cut, before and after everything that is done.
func TestCrashAtEveryPoint(t *testing.T) {
	for _, c := range ends {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			quiet := push(t, c.b)
			quiet.check(t, c.running, c.blocked, "without an accident")
			for i, point := range quiet.points {
				push(t, c.b, agenttest.Accident{Point: i}).check(t, c.running, c.blocked, "agent dies "+point)
				push(t, c.b, agenttest.Accident{Point: i, Power: true}).check(t, c.running, c.blocked, "power is cut "+point)
			}
			t.Logf("%d points", len(quiet.points))
		})
	}
}

// A commit of the testing branch is never kept, and what ends its trial early says
// nothing about its system.
func TestCrashWhileTesting(t *testing.T) {
	push := func(n *agenttest.Node) {
		n.PushTesting("c1", agenttest.Commit{Parent: "c0", System: "B"}, agenttest.System{Agent: agenttest.Agent})
	}
	quiet := play(t, push)
	quiet.check(t, "A", false, "without an accident")
	if !slices.Contains(quiet.points, "before current-system is B") {
		t.Errorf("it was not tried: %v", quiet.points)
	}
	for i, point := range quiet.points {
		play(t, push, agenttest.Accident{Point: i}).check(t, "A", false, "agent dies "+point)
		play(t, push, agenttest.Accident{Point: i, Power: true}).check(t, "A", false, "power is cut "+point)
	}
}

// The agent dies, and once more while it recovers.
func TestCrashWhileRecovering(t *testing.T) {
	for _, c := range ends {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			points := push(t, c.b).points
			for i := 0; i < len(points); i += 3 {
				again := agenttest.Accident{Point: i + 1 + i%5}
				push(t, c.b, agenttest.Accident{Point: i}, again).check(t, c.running, c.blocked, "agent dies "+points[i]+" and soon again")
			}
		})
	}
}

// sane checks what holds after every accident: one system everywhere, one of the
// two, and never two activations at once.
func (e end) sane(t *testing.T, running reconcile.Toplevel, story string) {
	t.Helper()
	s := e.slots
	if e.atOnce > 0 || !e.whole || e.phase != "idle" || s.Profile != s.Running || s.Default != s.Running || s.Running != "A" && s.Running != running {
		t.Errorf("%s: ends with %+v, whole: %v, %s, and %d activations began while another one ran; want all A or %s, true, idle, 0", story, s, e.whole, e.phase, e.atOnce, running)
	}
}

// The machine sleeps past every deadline, before and after everything that is
// done. Guard and agent both wake up late, and must not act both.
func TestSleepAtEveryPoint(t *testing.T) {
	for _, c := range ends {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for i, point := range push(t, c.b).points {
				push(t, c.b, agenttest.Accident{Point: i, Sleep: time.Hour}).sane(t, c.running, "it sleeps "+point)
			}
		})
	}
}

// The disk fills, and the agent dies soon after: what it did since then is not in
// the record that the next one reads.
func TestFullDiskAtEveryPoint(t *testing.T) {
	for _, c := range ends {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			points := push(t, c.b).points
			for i := 0; i < len(points); i += 2 {
				later := 1 + i*5%16
				dies := agenttest.Accident{Point: i + later}
				push(t, c.b, agenttest.Accident{Point: i, Full: true}, dies).sane(t, c.running, fmt.Sprintf("the disk fills %s, the agent dies %d points later", points[i], later))
			}
		})
	}
}

// The way back stops half way, with current-system flipped and services stopped:
// it is begun anew, or the guard ends it, whatever the agent does.
func TestAWayBackThatStopsHalfWay(t *testing.T) {
	for _, c := range []struct {
		name string
		old  agenttest.System
		b    agenttest.System
	}{
		{"it is killed", agenttest.System{Agent: agenttest.Agent, Torn: 1}, agenttest.System{Agent: agenttest.Agent, Red: true}},
		{"it hangs", agenttest.System{Agent: agenttest.Agent, Endless: 1}, agenttest.System{Agent: agenttest.Agent, Red: true}},
		{"it hangs, and the agent dies again and again", agenttest.System{Agent: agenttest.Agent, Endless: 1}, agenttest.System{Agent: agenttest.Other, AgentDies: true, Exit: 2}},
	} {
		strike := func(n *agenttest.Node, s *agenttest.System) {
			*n.Systems["A"], *s = c.old, c.b
			n.Policy.Limits.VerifyRollback = 10 * time.Second // it ends before the guard would act
		}
		played(t, reconcile.Target{}, strike, func(n *agenttest.Node) {
			want := reconcile.Slots{Running: "A", Profile: "A", Default: "A"}
			if n.Slots() != want || !n.Whole() || reconcile.Name(n.Record().Phase) != "idle" || n.Diary.AtOnce > 0 {
				t.Errorf("%s: ends with %+v, whole: %v, %s, and %d activations began while another one ran; want all A, true, idle, 0",
					c.name, n.Slots(), n.Whole(), reconcile.Name(n.Record().Phase), n.Diary.AtOnce)
			}
		})
	}
}
