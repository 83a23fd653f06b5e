package agent_test

import (
	"testing"
	"time"

	"github.com/infra-agent/infra-agent/agent/agenttest"
	"github.com/infra-agent/infra-agent/reconcile"
)

// A check that is slow, or hangs, keeps no commit away: least of all the one that mends it.
func TestASlowCheckKeepsNoCommitAway(t *testing.T) {
	slow := reconcile.Target{Checks: []reconcile.Check{{
		Name: "slow", Kind: reconcile.CheckExec, Required: true, Within: 5 * time.Minute, Interval: time.Second, Timeout: time.Minute, Successes: 1,
	}}}
	patient := func(takes time.Duration) func(*agenttest.Node, *agenttest.System) {
		return func(n *agenttest.Node, s *agenttest.System) {
			n.Policy.Confirm.Deadline, n.Policy.Checks = 5*time.Minute, nil
			s.CheckTakes = map[string]time.Duration{"slow": takes}
		}
	}
	played(t, slow, patient(45*time.Second), func(n *agenttest.Node) {
		if got := n.Slots().Default; got != "B" {
			t.Errorf("slow: the default is %s, want B", got)
			return
		}
		n.Do(func() { n.Systems["B"].CheckTakes = map[string]time.Duration{"slow": time.Hour} }) // it hangs from now on
		n.Push("c2", agenttest.Commit{Parent: "c1", System: "C"}, agenttest.System{Agent: agenttest.Agent})
		time.Sleep(20 * time.Minute)
		if got := n.Slots().Default; got != "C" {
			t.Errorf("hung: the default is %s, want the fix, C", got)
		}
	})
}
