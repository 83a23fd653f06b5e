package agent_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/infra-agent/infra-agent/agent/agenttest"
	"github.com/infra-agent/infra-agent/reconcile"
)

// While the window of a trial goes on, its agent shows that it follows its branch, and waits for no
// poll and no pause: both take at most five seconds more than the window.
func TestToShowThatItFollowsTakesNoTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const step = 2 * time.Second // a fetch and an evaluation, which go on beside the window
		n := agenttest.New()
		n.Start()
		defer n.Stop()
		rest(t, n)
		n.Push("c1", agenttest.Commit{Parent: "c0", System: "B", Takes: step}, agenttest.System{Agent: agenttest.Agent, Settings: "2", EvaluateTakes: step})
		rest(t, n)
		n.Push("c2", agenttest.Commit{Parent: "c1", System: "C", Takes: step}, agenttest.System{Agent: agenttest.Other, Settings: "2", EvaluateTakes: step})
		rest(t, n)
		history := n.Record().History
		if len(history) != 2 {
			t.Fatalf("deployed %d times, want twice", len(history))
		}
		for _, o := range history {
			beyond := o.Took["confirm"] - n.Policy.Confirm.Window
			t.Logf("%s: %v beyond the window", o.To, beyond)
			if o.Result != reconcile.ResultPromoted || beyond > 5*time.Second {
				t.Errorf("%s: %s, and %v beyond the window", o.To, o.Result, beyond)
			}
		}
	})
}

// With settings that only look on, no later commit would be deployed, not even a fix: that is not for a commit to bring.
func TestSettingsThatOnlyLookOnAreHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := agenttest.New()
		n.Start()
		defer n.Stop()
		rest(t, n)
		n.Push("c1", agenttest.Commit{Parent: "c0", System: "B"}, agenttest.System{Agent: agenttest.Agent, Settings: "2", Observes: true})
		time.Sleep(5 * time.Minute) // it is looked at again and again
		if holds := n.Agent().Snapshot().Holds; n.Slots().Running != "A" || !slices.ContainsFunc(holds, func(h reconcile.Hold) bool { return h.Gate == reconcile.GatePreflight }) {
			t.Errorf("it runs %s, held by %+v", n.Slots().Running, holds)
		}
		n.Push("c2", agenttest.Commit{Parent: "c1", System: "C"}, agenttest.System{Agent: agenttest.Agent})
		rest(t, n)
		if n.Slots().Default != "C" {
			t.Errorf("after the fix: %+v", n.Slots())
		}
	})
}
