package agent_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/infra-agent/infra-agent/agent/agenttest"
	"github.com/infra-agent/infra-agent/reconcile"
)

// Beside another tool the agent changes nothing, and says what it would have made of what that one deploys.
func TestAnObserverChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := agenttest.New()
		n.Policy.Observe = true
		n.Start()
		defer n.Stop()
		rest(t, n)
		n.Push("c1", agenttest.Commit{Parent: "c0", System: "B"}, agenttest.System{Agent: agenttest.Agent})
		rest(t, n)
		if s := n.Agent().Snapshot(); len(s.Holds) == 0 || s.Holds[0].Gate != reconcile.GateObserve || n.Slots() != (reconcile.Slots{Running: "A", Profile: "A", Default: "A"}) {
			t.Fatalf("with a new commit: %s", condition(n))
		}
		n.SwitchByHand("B", true)
		rest(t, n)
		n.Push("c2", agenttest.Commit{Parent: "c1", System: "C"}, agenttest.System{Agent: agenttest.Agent, Red: true})
		rest(t, n)
		n.SwitchByHand("C", true)
		rest(t, n)
		time.Sleep(5 * time.Minute)
		seen := n.Record().Observed
		if len(seen) != 2 || seen[0].Revision != "c1" || seen[0].Cause.Reason != "" || seen[1].Revision != "c2" || seen[1].Cause.Reason != reconcile.ReasonCheck {
			t.Errorf("it observed %+v", seen)
		}
		if want := (reconcile.Slots{Running: "C", Profile: "C", Default: "C"}); n.Slots() != want {
			t.Errorf("the node runs %+v, want what the other tool deployed", n.Slots())
		}
		if s := n.Agent().Snapshot(); !s.InSync() || len(s.Record.History) != 0 {
			t.Errorf("at last: %s, history %+v", condition(n), s.Record.History)
		}
	})
}
