package agent_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/infra-agent/infra-agent/agent/agenttest"
	"github.com/infra-agent/infra-agent/reconcile"
)

// A commit leaves the agent's part alone, and takes the name server away: the agent that runs
// still polls, over the connection that it has, and no fetch would ever reach a remote again.
func TestAKeptConnectionIsNoProof(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := agenttest.New()
		n.Start()
		defer n.Stop()
		time.Sleep(2 * time.Minute) // until A is adopted
		n.Push("c1", agenttest.Commit{Parent: "c0", System: "B"}, agenttest.System{Agent: agenttest.Agent, Nameless: true})
		time.Sleep(10 * time.Minute)
		n.Push("c2", agenttest.Commit{Parent: "c1", System: "C"}, agenttest.System{Agent: agenttest.Agent})
		time.Sleep(10 * time.Minute)
		tried := false
		for _, o := range n.Record().History {
			tried = tried || o.To == "B"
			if o.To == "B" && (o.Result != reconcile.ResultRolledBack || o.Cause.Reason != reconcile.ReasonFollow) {
				t.Errorf("B ended as %s: %+v", o.Result, o.Cause)
			}
		}
		if now := n.Slots(); !tried || now.Running != "C" || now.Default != "C" {
			t.Errorf("B was tried: %v; then %+v, want C", tried, now)
		}
	})
}
