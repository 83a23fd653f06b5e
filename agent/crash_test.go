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
type row struct {
	name    string
	b       agenttest.System
	running reconcile.Toplevel
	blocked bool // B
	target  reconcile.Target
}

var ends = []row{
	{name: "healthy", b: agenttest.System{Agent: agenttest.Agent}, running: "B"},
	{name: "brings another agent", b: agenttest.System{Agent: agenttest.Other}, running: "B"},
	{name: "activation fails", b: agenttest.System{Agent: agenttest.Agent, Exit: 2}, running: "A", blocked: true},
	{name: "unit fails", b: agenttest.System{Agent: agenttest.Agent, Exit: 4, Failing: "db.service"}, running: "A", blocked: true},
	{name: "check is red", b: agenttest.System{Agent: agenttest.Agent, Red: true}, running: "A", blocked: true},
	{name: "cuts the network", b: agenttest.System{Agent: agenttest.Agent, Cut: true}, running: "A", blocked: true},
	{name: "has no agent", running: "A", blocked: true},
	{name: "takes its agent off, and the check is red", b: agenttest.System{Red: true}, running: "A", blocked: true, target: reconcile.Target{Retire: true}},
	{name: "brings other settings", b: agenttest.System{Agent: agenttest.Agent, Settings: "2"}, running: "B"},
	{name: "its settings reach no remote", b: agenttest.System{Agent: agenttest.Agent, Settings: "2", Deaf: true}, running: "A", blocked: true},
	{name: "its settings reach no remote, and it takes the old ones' token away", b: agenttest.System{Agent: agenttest.Agent, Settings: "2", Deaf: true, Takes: true}, running: "A", blocked: true},
	{name: "its settings verify nothing", b: agenttest.System{Agent: agenttest.Agent, Settings: "2", Distrust: true}, running: "A", blocked: true},
	{name: "its Nix builds nothing", b: agenttest.System{Agent: agenttest.Agent, Settings: "2", Jams: true}, running: "A", blocked: true},
	{name: "its settings find no node", b: agenttest.System{Agent: agenttest.Other, Settings: "2", Lost: true}, running: "A", blocked: true},
	{name: "its settings describe another system", b: agenttest.System{Agent: agenttest.Agent, Settings: "2", Strays: true}, running: "A", blocked: true},
	{name: "its agent dies", b: agenttest.System{Agent: agenttest.Other, AgentDies: true}, running: "A", blocked: true},
	{name: "its switch hangs", b: agenttest.System{Agent: agenttest.Agent, Hangs: true}, running: "A", blocked: true},
	{name: "its switch is killed once", b: agenttest.System{Agent: agenttest.Agent, Killed: 1}, running: "B"},
	{name: "cannot be promoted at first", b: agenttest.System{Agent: agenttest.Agent, Unpromotable: 1}, running: "B"},
	{name: "drains, with everything that a registry can ask for", b: agenttest.System{Agent: agenttest.Agent}, running: "B", target: everything},
	{name: "a check of the registry is red", b: agenttest.System{Agent: agenttest.Agent, Red: true}, running: "A", blocked: true, target: everything},
	// What the drain made red says nothing: it must not hide what the new system makes red.
	{name: "drains, and the check is red then", b: agenttest.System{Agent: agenttest.Agent, Red: true}, running: "A", blocked: true, target: drains},
}

var drains = reconcile.Target{Drain: [][]string{{"drain"}}, Undrain: [][]string{{"undrain"}}}

var everything = reconcile.Target{
	Drain: drains.Drain, Undrain: drains.Undrain, Secrets: []reconcile.Secret{{Path: "/run/secrets/key"}}, Rollback: reconcile.RollbackAuto,
	Windows: []reconcile.Window{{Text: "always", Days: [7]bool{true, true, true, true, true, true, true}, Zone: time.UTC}},
	Checks: []reconcile.Check{
		{Name: "api", Kind: reconcile.CheckHTTP, Required: true, Within: 2 * time.Second, Interval: time.Second, Timeout: time.Second, Successes: 2},
		{Name: "depth", Kind: "quantum", Required: true, Interval: time.Second, Timeout: time.Second, Successes: 1}, // only a later agent knows it
		{Name: "info", Kind: reconcile.CheckTCP, Within: 2 * time.Second, Interval: time.Second, Timeout: time.Second, Successes: 1},
	},
}

// end is what is left when everything has come to rest.
type end struct {
	slots   reconcile.Slots
	phase   string
	blocked bool
	points  []string
	drained bool   // and nobody undrained it
	untold  string // what is wrong with the notices
	job     string // that runs still
	whole   bool   // no switch was left half way
	atOnce  int    // activations that began while another one ran
}

// push runs a node, pushes B as the row says, lets the accidents happen, and waits
// until nothing moves any more.
func push(t *testing.T, c row, accidents ...agenttest.Accident) end {
	t.Helper()
	return play(t, func(n *agenttest.Node) {
		n.Do(func() {
			n.Systems["A"].Drains = len(c.target.Drain) > 0
			c.b.Drains = n.Systems["A"].Drains
			n.Secrets = map[string]bool{"/run/secrets/key": true}
		})
		n.Push("c1", agenttest.Commit{Parent: "c0", System: "B", Target: c.target}, c.b)
	}, accidents...)
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
		if len(accidents) > 0 && accidents[0].Stall { // the guard gives each program ten minutes
			time.Sleep(time.Hour)
		}
		n.Do(func() { n.DiskFull = false })
		time.Sleep(6 * time.Minute)
		r := n.Record()
		_, blocked := r.Blocked["B"]
		e = end{slots: n.Slots(), whole: n.Whole(), phase: reconcile.Name(r.Phase), blocked: blocked}
		n.Do(func() { e.points, e.atOnce = n.Diary.Points, n.Diary.AtOnce })
		e.drained, e.untold = n.Drained(), untold(n)
		if a := n.Agent(); a != nil {
			if job := a.Snapshot().Observation.Job; job != nil {
				e.job = reconcile.KeyOf(job).Kind
			}
		}
		n.Stop()
	})
	return e
}

func (e end) check(t *testing.T, running reconcile.Toplevel, blocked bool, story string) {
	t.Helper()
	want := reconcile.Slots{Running: running, Profile: running, Default: running}
	if e.slots != want || !e.whole || e.drained || e.phase != "idle" || e.blocked != blocked {
		t.Errorf("%s: ends with %+v, whole: %v, drained: %v, %s, B blocked: %v; want all %s, true, false, idle, blocked: %v",
			story, e.slots, e.whole, e.drained, e.phase, e.blocked, running, blocked)
	}
	if e.untold != "" {
		t.Errorf("%s: %s", story, e.untold)
	}
}

// The agent dies, or the power is cut, before and after everything that is done.
func TestCrashAtEveryPoint(t *testing.T) {
	for row, c := range ends {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			quiet := push(t, c)
			quiet.check(t, c.running, c.blocked, "without an accident")
			for i := row % stride; i < len(quiet.points); i += stride {
				point := quiet.points[i]
				push(t, c, agenttest.Accident{Point: i}).check(t, c.running, c.blocked, "agent dies "+point)
				push(t, c, agenttest.Accident{Point: i, Power: true}).check(t, c.running, c.blocked, "power is cut "+point)
			}
			t.Logf("%d points, one in %d", len(quiet.points), stride)
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
	for row, c := range ends {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			points := push(t, c).points
			for i := row % stride; i < len(points); i += 3 * stride {
				again := agenttest.Accident{Point: i + 1 + i%5}
				push(t, c, agenttest.Accident{Point: i}, again).check(t, c.running, c.blocked, "agent dies "+points[i]+" and soon again")
			}
		})
	}
}

// sane checks what holds after every accident: one system everywhere, one of the
// two, and never two activations at once.
func (e end) sane(t *testing.T, running reconcile.Toplevel, story string) {
	t.Helper()
	s := e.slots
	if e.job != "" {
		t.Errorf("%s: the job %s does not end", story, e.job)
	}
	if e.atOnce > 0 || !e.whole || e.drained || e.phase != "idle" || s.Profile != s.Running || s.Default != s.Running || s.Running != "A" && s.Running != running {
		t.Errorf("%s: ends with %+v, whole: %v, drained: %v, %s, and %d activations began while another one ran; want all A or %s, true, false, idle, 0", story, s, e.whole, e.drained, e.phase, e.atOnce, running)
	}
}

// The machine sleeps past every deadline, before and after everything that is
// done. Guard and agent both wake up late, and must not act both.
func TestSleepAtEveryPoint(t *testing.T) {
	for row, c := range ends {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			points := push(t, c).points
			for i := row % stride; i < len(points); i += stride {
				e := push(t, c, agenttest.Accident{Point: i, Sleep: time.Hour})
				e.sane(t, c.running, "it sleeps "+points[i])
				if e.blocked && !c.blocked {
					t.Errorf("it sleeps %s: a healthy system is blocked", points[i])
				}
			}
		})
	}
}

// Something does not end: a program, a question, a unit. Its limit ends it, and what the
// limit is for goes on.
func TestStallAtEveryPoint(t *testing.T) {
	for row, c := range ends {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			points := push(t, c).points
			for i := row % (3 * stride); i < len(points); i += 3 * stride { // other points in other rows
				point := points[i]
				push(t, c, agenttest.Accident{Point: i, Stall: true}).sane(t, c.running, "it stalls "+point)
			}
		})
	}
}

// The disk fills, and the agent dies soon after: what it did since then is not in
// the record that the next one reads.
func TestFullDiskAtEveryPoint(t *testing.T) {
	for row, c := range ends {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			points := push(t, c).points
			for i := row % stride; i < len(points); i += 2 * stride {
				later := 1 + i*5%16
				dies := agenttest.Accident{Point: i + later}
				story := fmt.Sprintf("the disk fills %s, the agent dies %d points later", points[i], later)
				e := push(t, c, agenttest.Accident{Point: i, Full: true}, dies)
				e.sane(t, c.running, story)
				if e.blocked && !c.blocked {
					t.Errorf("%s: a healthy system is blocked", story)
				}
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
