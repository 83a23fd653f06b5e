package agent_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/infra-agent/infra-agent/agent/agenttest"
	"github.com/infra-agent/infra-agent/reconcile"
)

// planned runs a node with manifests until it comes to rest after a push of c1, which nobody
// can evaluate.
func planned(t *testing.T, m reconcile.Manifests, late time.Duration, then func(*agenttest.Node)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := agenttest.New()
		n.Policy.Manifests, n.NoManifests = m, true
		n.Start()
		defer n.Stop()
		n.Push("c1", agenttest.Commit{Parent: "c0", System: "B"}, agenttest.System{Agent: agenttest.Agent, Unevaluable: true})
		time.Sleep(late)
		n.Do(func() { n.NoManifests = false })
		time.Sleep(30 * time.Minute)
		synctest.Wait()
		then(n)
	})
}

func TestAManifestComesInsteadOfAnEvaluation(t *testing.T) {
	for _, late := range []time.Duration{0, time.Hour} {
		planned(t, reconcile.Manifests{Mode: reconcile.ManifestOnly}, late, func(n *agenttest.Node) {
			if n.Slots().Default != "B" || n.Agent().Snapshot().Record.Good.Toplevel != "B" || len(n.Diary.Unverified) > 0 {
				t.Errorf("%v late: slots %+v, unverified %v, want B, which only its manifest names", late, n.Slots(), n.Diary.Unverified)
			}
		})
	}
}

func TestWithoutAManifestANodeThatPrefersThemEvaluates(t *testing.T) {
	planned(t, reconcile.Manifests{Mode: reconcile.ManifestPrefer, Wait: 10 * time.Minute}, time.Hour, func(n *agenttest.Node) {
		if !holds(n, reconcile.GateEvaluate) || n.Slots().Running != "A" || len(n.Diary.Unverified) > 0 {
			t.Errorf("runs %s with holds %v, want A: the evaluation failed; %v", n.Slots().Running, n.Agent().Snapshot().Holds, n.Diary.Unverified)
		}
	})
}

// A machine that says something else than what the node finds out itself is found, whatever it says.
func TestAnAuditHoldsALie(t *testing.T) {
	for _, says := range []reconcile.Toplevel{"A", "B"} {
		synctest.Test(t, func(t *testing.T) {
			n := agenttest.New()
			n.Policy.Manifests = reconcile.Manifests{Mode: reconcile.ManifestPrefer, Wait: time.Minute}
			n.Start()
			defer n.Stop()
			n.Push("c1", agenttest.Commit{Parent: "c0", System: "B", Manifest: says, Audited: true}, agenttest.System{Agent: agenttest.Agent})
			time.Sleep(30 * time.Minute)
			synctest.Wait()
			lie, audits := says == "A", n.Agent().Snapshot().Record.Tally.Audits
			if len(n.Diary.Unverified) > 0 || lie != holds(n, reconcile.GateManifest) || !lie && n.Slots().Default != "B" || lie && n.Slots().Default != "A" ||
				audits[reconcile.AuditDifferent] > 0 != lie || audits[reconcile.AuditSame] > 0 == lie {
				t.Errorf("the manifest says %s: slots %+v, holds %v, audits %v", says, n.Slots(), n.Agent().Snapshot().Holds, audits)
			}
		})
	}
}

// Wherever it dies, or the power is cut, a node ends on what the manifest names, and has evaluated nothing.
func TestCrashWithManifests(t *testing.T) {
	push := func(n *agenttest.Node) {
		n.Do(func() { n.Policy.Manifests.Mode = reconcile.ManifestOnly })
		n.KillAgent() // the next one has that policy
		time.Sleep(time.Minute)
		n.Push("c1", agenttest.Commit{Parent: "c0", System: "B"}, agenttest.System{Agent: agenttest.Agent, Unevaluable: true})
	}
	quiet := play(t, push)
	quiet.check(t, "B", false, "without an accident")
	for _, point := range []string{"before plan", "after copy"} {
		if !slices.Contains(quiet.points, point) {
			t.Errorf("it does not pass %q: %v", point, quiet.points)
		}
	}
	if slices.Contains(quiet.points, "before add the tree") {
		t.Error("a tree is added to the store, and nothing of it is evaluated")
	}
	for i, point := range quiet.points {
		play(t, push, agenttest.Accident{Point: i}).check(t, "B", false, "agent dies "+point)
		play(t, push, agenttest.Accident{Point: i, Power: true}).check(t, "B", false, "power is cut "+point)
	}
}
