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

// An end is what a node is like when it has come to rest.
type end struct {
	running, profile, boot reconcile.Toplevel
	blocked                bool // B is
	held                   reconcile.Gate
}

var (
	promoted = end{running: "B", profile: "B", boot: "B"}
	refused  = end{running: "A", profile: "A", boot: "A"}
	blocked  = end{running: "A", profile: "A", boot: "A", blocked: true, held: reconcile.GateBlocked}
)

// faults are what a commit c1 with the system B can break, and how the node must
// end, wherever the agent dies or the power is cut.
var faults = []struct {
	name   string
	system agenttest.System
	commit agenttest.Commit
	want   end
}{
	{name: "nothing", system: agenttest.System{Agent: agenttest.Agent}, want: promoted},
	{name: "another agent", system: agenttest.System{Agent: agenttest.Other}, want: promoted},
	{name: "the switch lock is taken at first", system: agenttest.System{Agent: agenttest.Agent, Locked: 2}, want: promoted},
	{name: "the switch is killed once", system: agenttest.System{Agent: agenttest.Agent, Killed: 1}, want: promoted},
	{name: "the boot loader fails twice", system: agenttest.System{Agent: agenttest.Agent, Unpromotable: 2}, want: promoted},
	{name: "the boot loader fails for a while", system: agenttest.System{Agent: agenttest.Agent, Unpromotable: 4}, want: promoted},
	{name: "no signature", commit: agenttest.Commit{Unsigned: true}, want: held(refused, reconcile.GateUnverified)},
	{name: "does not evaluate", system: agenttest.System{Unevaluable: true}, want: held(refused, reconcile.GateEvaluate)},
	{name: "does not build", system: agenttest.System{Unbuildable: true}, want: held(refused, reconcile.GateBuild)},
	{name: "needs a reboot", system: agenttest.System{Agent: agenttest.Agent, Reboot: true}, want: held(refused, reconcile.GateReboot)},
	{name: "activation exits 1", system: agenttest.System{Agent: agenttest.Agent, Exit: 1}, want: blocked},
	{name: "a unit fails", system: agenttest.System{Agent: agenttest.Agent, Failing: "db.service"}, want: blocked},
	{name: "the switch hangs", system: agenttest.System{Agent: agenttest.Agent, Hangs: true}, want: blocked},
	{name: "the switch is killed each time", system: agenttest.System{Agent: agenttest.Agent, Killed: 99}, want: blocked},
	{name: "the check is red", system: agenttest.System{Agent: agenttest.Agent, Red: true}, want: blocked},
	{name: "the network is lost", system: agenttest.System{Agent: agenttest.Agent, Cut: true}, want: blocked},
	{name: "no agent", system: agenttest.System{}, want: blocked},
	{name: "an agent that dies", system: agenttest.System{Agent: agenttest.Other, AgentDies: true}, want: blocked},
	{name: "the check is red, and another agent", system: agenttest.System{Agent: agenttest.Other, Red: true}, want: blocked},
}

func held(e end, gate reconcile.Gate) end { e.held = gate; return e }

// TestEnds shows how each fault ends when nothing else happens.
func TestEnds(t *testing.T) {
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			got, points := play(t, f.commit, f.system, nil)
			if got != f.want {
				t.Errorf("ended %+v, want %+v", got, f.want)
			}
			t.Logf("%d points", len(points))
		})
	}
}

// TestCrashAnywhere ends the agent, or the power, at each numbered point of each
// fault: before and after everything that the agent does to the node, and in the
// middle of each switch. The end must be the same as without.
func TestCrashAnywhere(t *testing.T) {
	total := 0
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			_, points := play(t, f.commit, f.system, nil)
			for at := range points {
				for _, power := range []bool{false, true} {
					accident := []agenttest.Accident{{Point: at, Power: power}}
					if got, _ := play(t, f.commit, f.system, accident); got != f.want {
						t.Errorf("power %t, %d %s: ended %+v, want %+v", power, at, points[at], got, f.want)
					}
					total++
				}
			}
		})
	}
	t.Logf("%d accidents", total)
}

// TestCrashInRecovery lets the agent die, and again while what follows repairs
// what it left; the second time the power may be cut, too.
func TestCrashInRecovery(t *testing.T) {
	total := 0
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			_, points := play(t, f.commit, f.system, nil)
			for at := range points {
				// Strides that have no factor in common meet all pairs of kinds of points.
				for _, later := range []int{1, 2 + at%5, 7 + at%11} {
					for _, power := range []bool{false, true} {
						accidents := []agenttest.Accident{{Point: at}, {Point: at + later, Power: power}}
						if got, all := play(t, f.commit, f.system, accidents); got != f.want {
							t.Errorf("at %d %s, then power %t at %d: ended %+v, want %+v\n%s",
								at, points[at], power, at+later, got, f.want, around(all, at+later))
						}
						total++
					}
				}
			}
		})
	}
	t.Logf("%d pairs of accidents", total)
}

// TestCrashAtFirstStart does the same for the adoption of a node.
func TestCrashAtFirstStart(t *testing.T) {
	first := func(accidents []agenttest.Accident) (good reconcile.Toplevel, points []string) {
		synctest.Test(t, func(*testing.T) {
			n := agenttest.New()
			n.Counting, n.Accidents = true, accidents
			n.Start()
			defer n.Stop()
			time.Sleep(2 * time.Minute)
			good = n.Record().Good.Toplevel
			n.Do(func() { points = n.Diary.Points })
		})
		return good, points
	}
	_, points := first(nil)
	if len(points) == 0 {
		t.Fatal("no points")
	}
	for at := range points {
		for _, power := range []bool{false, true} {
			if good, _ := first([]agenttest.Accident{{Point: at, Power: power}}); good != "A" {
				t.Errorf("power %t, %d %s: good is %q, want A", power, at, points[at], good)
			}
		}
	}
}

// play lets a node that is in sync meet the commit, and the accidents, and
// returns how it is when it has come to rest, and the points that it passed.
func play(t *testing.T, c agenttest.Commit, s agenttest.System, accidents []agenttest.Accident) (got end, points []string) {
	t.Helper()
	c.Parent, c.System = "c0", "B"
	synctest.Test(t, func(t *testing.T) {
		n := agenttest.New()
		n.Start()
		defer n.Stop()
		rest(t, n)
		n.Do(func() { n.Counting, n.Accidents = true, accidents })
		n.Push("c1", c, s)
		rest(t, n)
		rec, slots := n.Record(), n.Slots()
		_, isBlocked := rec.Blocked["B"]
		got = end{running: slots.Running, profile: slots.Profile, boot: slots.Default, blocked: isBlocked}
		if holds := n.Agent().Snapshot().Holds; len(holds) > 0 {
			got.held = holds[0].Gate
		}
		n.Do(func() {
			points = n.Diary.Points
			if n.Diary.AtOnce > 0 {
				t.Errorf("accidents %v: %d activations at once", accidents, n.Diary.AtOnce)
			}
			for id, times := range n.Diary.Reboots {
				if times > 1 {
					t.Errorf("accidents %v: %d reboots for deployment %s", accidents, times, id)
				}
			}
		})
		if slices.ContainsFunc(n.Units(), func(string) bool { return true }) {
			t.Errorf("accidents %v: units are left: %v", accidents, n.Units())
		}
	})
	return got, points
}

// rest waits until the node is in sync with the branch, or held, for a while.
func rest(t interface{ Fatalf(string, ...any) }, n *agenttest.Node) {
	const patience, calm = 2 * time.Hour, 3
	still := 0
	for start := time.Now(); still < calm; {
		if time.Since(start) > patience {
			t.Fatalf("no rest after %v: %s", patience, condition(n))
		}
		time.Sleep(agenttest.PollInterval)
		if atRest(n) {
			still++
		} else {
			still = 0
		}
	}
}

// atRest reports whether the agent has nothing to do by itself but to look
// again at what holds it, or cannot do anything without a person.
func atRest(n *agenttest.Node) bool {
	a := n.Agent()
	if a == nil {
		return false
	}
	s := a.Snapshot()
	switch s.Record.Phase.(type) {
	case reconcile.Stuck:
		return true
	case reconcile.Idle:
	default:
		return false
	}
	if s.Observation.Job != nil || !s.Record.Work.Tidied {
		return false
	}
	for _, h := range s.Holds {
		switch h.Gate {
		case reconcile.GateLock, reconcile.GatePreflight: // passing
			return false
		default:
			return true
		}
	}
	return s.InSync()
}

func condition(n *agenttest.Node) string {
	a := n.Agent()
	if a == nil {
		return fmt.Sprintf("no agent; slots %+v", n.Slots())
	}
	s := a.Snapshot()
	return fmt.Sprintf("%s, job %v, holds %v, slots %+v, tip %v", s.State(), s.Observation.Job, s.Holds, n.Slots(), s.Record.Work.Tip)
}

// around shows the points before an accident.
func around(points []string, at int) string {
	from, to := max(0, at-8), min(len(points), at+2)
	text := ""
	for i := from; i < to; i++ {
		text += fmt.Sprintf("  %d %s\n", i, points[i])
	}
	return text
}
