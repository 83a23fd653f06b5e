package agent_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/infra-agent/infra-agent/agent/agenttest"
	"github.com/infra-agent/infra-agent/reconcile"
)

// played runs a node until it comes to rest after a push of c1.
func played(t *testing.T, target reconcile.Target, change func(*agenttest.Node, *agenttest.System), then func(*agenttest.Node)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n, s := agenttest.New(), agenttest.System{Agent: agenttest.Agent}
		if change != nil {
			change(n, &s)
		}
		n.Start()
		defer n.Stop()
		n.Push("c1", agenttest.Commit{Parent: "c0", System: "B", Target: target}, s)
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		then(n)
	})
}

func holds(n *agenttest.Node, gate reconcile.Gate) bool {
	return slices.ContainsFunc(n.Agent().Snapshot().Holds, func(h reconcile.Hold) bool { return h.Gate == gate })
}

func TestAMissingSecretHoldsAndItsArrivalReleases(t *testing.T) {
	target := reconcile.Target{Secrets: []reconcile.Secret{{Path: "/run/secrets/key"}}}
	played(t, target, nil, func(n *agenttest.Node) {
		if !holds(n, reconcile.GateSecrets) || n.Slots().Running != "A" || len(n.Diary.Trials) != 0 {
			t.Errorf("runs %s with holds %v, want A, held for the secret", n.Slots().Running, n.Agent().Snapshot().Holds)
		}
		n.Do(func() { n.Secrets = map[string]bool{"/run/secrets/key": true} })
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if n.Slots().Default != "B" {
			t.Errorf("slots %+v, want B once the secret is there", n.Slots())
		}
	})
}

// A remote that answers polls and serves nothing keeps no commit from the node that
// another one has, though its own is newer, or older.
func TestAFaultyRemoteHidesNothing(t *testing.T) {
	for _, c := range []struct {
		order []string
		fault agenttest.Fault
		shows reconcile.Commit
	}{
		{[]string{"origin", "mirror"}, agenttest.Silent, "c2"},
		{[]string{"origin", "mirror"}, agenttest.Lying, "c2"},
		{[]string{"mirror", "origin"}, agenttest.Lying, "c2"},
		{[]string{"origin", "mirror"}, agenttest.Silent, "c9"},
		{[]string{"origin", "mirror"}, agenttest.Lying, "c9"},
	} {
		faulty := func(n *agenttest.Node, _ *agenttest.System) {
			n.Order, n.Faulty = c.order, map[string]agenttest.Fault{"origin": c.fault}
			n.Remotes["mirror"] = "c0"
		}
		played(t, reconcile.Target{}, faulty, func(n *agenttest.Node) {
			n.Push("c2", agenttest.Commit{Parent: "c1", System: "C"}, agenttest.System{Agent: agenttest.Agent, BuildTakes: 10 * time.Minute})
			n.Do(func() { n.Remotes["origin"] = c.shows })
			time.Sleep(time.Hour)
			synctest.Wait()
			if n.Slots().Default != "C" || n.Diary.Hot != "" {
				t.Errorf("%+v: slots %+v, holds %v, without a pause %q; want C", c, n.Slots(), n.Agent().Snapshot().Holds, n.Diary.Hot)
			}
		})
	}
}

// A mistake of the agent that a commit reaches ends a job, and not the agent: the
// next commit is taken.
func TestACommitThatTripsTheAgent(t *testing.T) {
	played(t, reconcile.Target{}, nil, func(n *agenttest.Node) {
		a := n.Agent()
		n.Push("c2", agenttest.Commit{Parent: "c1", System: "C", Trips: true}, agenttest.System{Agent: agenttest.Agent})
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if h := n.Agent().Snapshot().Holds; len(h) != 1 || !strings.Contains(h[0].Why, "a bug in infra-agent: index out of range") || n.Slots().Running != "B" {
			t.Errorf("holds %v, runs %s, want held for the bug, on B", h, n.Slots().Running)
		}
		n.Push("c3", agenttest.Commit{Parent: "c2", System: "D"}, agenttest.System{Agent: agenttest.Agent})
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if n.Slots().Default != "D" || n.Agent() != a {
			t.Errorf("slots %+v, the same agent: %t, want D, true", n.Slots(), n.Agent() == a)
		}
	})
}

func TestDrainAroundAnActivation(t *testing.T) {
	target := reconcile.Target{Drain: [][]string{{"drain"}}, Undrain: [][]string{{"undrain"}}}
	for _, c := range []struct {
		name   string
		change func(*agenttest.Node, *agenttest.System)
		want   string // that runs in the end
	}{
		{"promoted", nil, "B"},
		{"rolled back", func(_ *agenttest.Node, s *agenttest.System) { s.Exit = 1 }, "A"},
	} {
		played(t, target, c.change, func(n *agenttest.Node) {
			if got := n.Diary.Commands; !slices.Equal(got, []string{"drain", "undrain"}) || string(n.Slots().Running) != c.want {
				t.Errorf("%s: ran %v and runs %s, want drain, undrain and %s", c.name, got, n.Slots().Running, c.want)
			}
		})
	}
	broken := func(program string) func(*agenttest.Node, *agenttest.System) {
		return func(n *agenttest.Node, _ *agenttest.System) { n.Broken = map[string]bool{program: true} }
	}
	played(t, target, broken("drain"), func(n *agenttest.Node) {
		if len(n.Diary.Trials) != 0 || !slices.Contains(n.Diary.Commands, "undrain") || !holds(n, reconcile.GatePreflight) {
			t.Errorf("a drain that fails: %d trials, ran %v, holds %v, want no trial, undrain, and a hold", len(n.Diary.Trials), n.Diary.Commands, n.Agent().Snapshot().Holds)
		}
	})
	played(t, target, broken("undrain"), func(n *agenttest.Node) {
		owed := n.Record().Owed
		if len(owed) != 1 || owed[0].Kind != reconcile.DebtUndrain || owed[0].Tries < 5 || n.Slots().Default != "B" {
			t.Errorf("an undrain that fails: owed %+v, slots %+v, want a debt of five tries and more, and B", owed, n.Slots())
		}
	})
}

func TestAnAgentThatDiedUndrains(t *testing.T) {
	target := reconcile.Target{Drain: [][]string{{"drain"}}, Undrain: [][]string{{"undrain"}}}
	for _, power := range []bool{false, true} {
		played(t, target, nil, func(n *agenttest.Node) {
			n.Push("c2", agenttest.Commit{Parent: "c1", System: "C", Target: target}, agenttest.System{Agent: agenttest.Agent})
			for drained := false; !drained; {
				time.Sleep(100 * time.Millisecond)
				synctest.Wait()
				n.Do(func() { drained = slices.Equal(n.Diary.Commands, []string{"drain", "undrain", "drain"}) })
			}
			if power {
				n.CutPower()
			} else {
				n.KillAgent()
			}
			time.Sleep(20 * time.Minute)
			synctest.Wait()
			if got := n.Diary.Commands[len(n.Diary.Commands)-1]; got != "undrain" || n.Slots().Running != "C" {
				t.Errorf("power cut %t: ran %v and runs %s, want undrain at the end, and C", power, n.Diary.Commands, n.Slots().Running)
			}
		})
	}
}

// The last agent judges the system without it, makes it permanent, and ends.
func TestAnAgentIsTakenOffItsNode(t *testing.T) {
	agentless := func(_ *agenttest.Node, s *agenttest.System) { s.Agent = "" }
	played(t, reconcile.Target{Retire: true}, agentless, func(n *agenttest.Node) {
		want := reconcile.Slots{Running: "B", Profile: "B", Default: "B"}
		if n.Slots() != want || n.Agent() != nil || n.Record().Good.Toplevel != "B" || !n.Record().Good.Retires {
			t.Errorf("ends with %+v, agent %v, good %+v, want B everywhere and no agent", n.Slots(), n.Agent(), n.Record().Good)
		}
	})
	played(t, reconcile.Target{}, agentless, func(n *agenttest.Node) {
		if n.Slots().Running != "A" || n.Agent() == nil {
			t.Errorf("not wanted: it runs %s", n.Slots().Running)
		}
		if err := n.Agent().Command(context.Background(), reconcile.LetRetire{}); err != nil {
			t.Fatal(err)
		}
		if err := n.Agent().Command(context.Background(), reconcile.Retry{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if n.Slots().Running != "B" || n.Agent() != nil || n.Record().Retiring {
			t.Errorf("wanted by a person: it runs %s with agent %v", n.Slots().Running, n.Agent())
		}
	})
}

// A drain that could not be taken back hides nothing, and is nobody's fault.
func TestADrainThatCannotBeTakenBack(t *testing.T) {
	undrainFails := func(n *agenttest.Node, s *agenttest.System) {
		n.Broken = map[string]bool{"undrain": true}
		n.Systems["A"].Drains, s.Drains = true, true
	}
	played(t, drains, undrainFails, func(n *agenttest.Node) {
		if n.Slots().Running != "A" || len(n.Record().Blocked) != 0 || len(n.Record().Owed) != 1 {
			t.Errorf("runs %s, blocked %v, owed %v, want A, nothing, and the undrain", n.Slots().Running, n.Record().Blocked, n.Record().Owed)
		}
		n.Push("c2", agenttest.Commit{Parent: "c1", System: "C", Target: drains}, agenttest.System{Agent: agenttest.Agent, Red: true, Drains: true})
		time.Sleep(20 * time.Minute)
		synctest.Wait()
		if n.Slots().Running != "A" || n.Slots().Default != "A" {
			t.Errorf("a system whose check is red runs, %+v: it was red before only because of the drain", n.Slots())
		}
		n.Do(func() { n.Broken = nil })
		n.Push("c3", agenttest.Commit{Parent: "c2", System: "D", Target: drains}, agenttest.System{Agent: agenttest.Agent, Drains: true})
		time.Sleep(20 * time.Minute)
		synctest.Wait()
		if n.Slots().Running != "D" || n.Drained() || len(n.Record().Owed) != 0 {
			t.Errorf("runs %s, drained %v, owed %v, want D and no debt", n.Slots().Running, n.Drained(), n.Record().Owed)
		}
	})
}

// A check that is red on a node which could not be undrained says nothing of the next system.
func TestADrainedNodeIsNoBaseline(t *testing.T) {
	undrainFails := func(n *agenttest.Node, _ *agenttest.System) { n.Broken = map[string]bool{"undrain": true} }
	played(t, drains, undrainFails, func(n *agenttest.Node) {
		if n.Slots().Running != "B" || len(n.Record().Owed) != 1 {
			t.Fatalf("runs %s, owed %v, want B, and the undrain", n.Slots().Running, n.Record().Owed)
		}
		n.Do(func() { n.Systems["B"].Drains = true }) // its check is red now
		n.Push("c2", agenttest.Commit{Parent: "c1", System: "C", Target: drains}, agenttest.System{Agent: agenttest.Agent, Red: true})
		time.Sleep(20 * time.Minute)
		synctest.Wait()
		if n.Slots().Running != "B" || n.Slots().Default != "B" {
			t.Errorf("a system whose check is red is kept: %+v", n.Slots())
		}
	})
}

// Results of checks that are gone are not shown any more: of a commit that dropped one,
// and of a system that went back.
func TestResultsOfChecksEndWithThem(t *testing.T) {
	extra := reconcile.Target{Checks: []reconcile.Check{{
		Name: "extra", Kind: reconcile.CheckTCP, Target: "x:1", Required: true, Within: 2 * time.Second, Interval: time.Second, Timeout: time.Second, Successes: 2,
	}}}
	shown := func(n *agenttest.Node) bool {
		_, is := n.Agent().Snapshot().Counters.Checks["extra"]
		return is
	}
	played(t, extra, nil, func(n *agenttest.Node) {
		if n.Slots().Running != "B" || !shown(n) {
			t.Errorf("runs %s, and its check is shown: %v", n.Slots().Running, shown(n))
		}
		n.Push("c2", agenttest.Commit{Parent: "c1", System: "C"}, agenttest.System{Agent: agenttest.Agent})
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if n.Slots().Running != "C" || shown(n) {
			t.Errorf("runs %s, and the check that is gone is shown: %v", n.Slots().Running, shown(n))
		}
	})
	played(t, extra, func(_ *agenttest.Node, s *agenttest.System) { s.Red = true }, func(n *agenttest.Node) {
		if n.Slots().Running != "A" || shown(n) {
			t.Errorf("went back to %s, and the check of the other system is shown: %v", n.Slots().Running, shown(n))
		}
	})
}
