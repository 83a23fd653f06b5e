package agent_test

import (
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
}

// push runs a node, pushes B with the fault, lets the accidents happen, and waits
// until nothing moves any more.
func push(t *testing.T, b agenttest.System, accidents ...agenttest.Accident) (e end) {
	t.Helper()
	synctest.Test(t, func(*testing.T) {
		n := agenttest.New()
		n.Start()
		time.Sleep(2 * time.Minute) // until A is adopted and c0 converged
		n.Do(func() { n.Counting, n.Accidents = true, accidents })
		n.Push("c1", agenttest.Commit{Parent: "c0", System: "B"}, b)
		time.Sleep(12 * time.Minute)
		r := n.Record()
		_, blocked := r.Blocked["B"]
		e = end{slots: n.Slots(), phase: reconcile.Name(r.Phase), blocked: blocked}
		n.Do(func() { e.points = n.Diary.Points })
		n.Stop()
	})
	return e
}

func (e end) check(t *testing.T, running reconcile.Toplevel, blocked bool, story string) {
	t.Helper()
	want := reconcile.Slots{Running: running, Profile: running, Default: running}
	if e.slots != want || e.phase != "idle" || e.blocked != blocked {
		t.Errorf("%s: ends with %+v, %s, B blocked: %v; want all %s, idle, blocked: %v", story, e.slots, e.phase, e.blocked, running, blocked)
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
