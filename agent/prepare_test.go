package agent_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/infra-agent/infra-agent/agent/agenttest"
	"github.com/infra-agent/infra-agent/reconcile"
)

// What waits while later commits are fetched has no root of its own: its tree is had again, which
// may take longer than an evaluation.
func TestATreeThatWasCollected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := agenttest.New()
		n.Policy.Limits.Fetch, n.Policy.Limits.Evaluate = 2*time.Minute, 40*time.Second
		n.Start()
		defer n.Stop()
		n.Push("c1", agenttest.Commit{Parent: "c0", System: "B", Takes: time.Minute}, agenttest.System{Agent: agenttest.Agent, EvaluateTakes: 50 * time.Second})
		for job := reconcile.Job(nil); job == nil || reconcile.KeyOf(job).Kind != "evaluate"; job = n.Agent().Snapshot().Observation.Job {
			time.Sleep(time.Second)
		}
		time.Sleep(45 * time.Second)
		if last := n.Agent().Snapshot().Record.Work.Last; last.Why != "not done within 40s" {
			t.Fatalf("the evaluation ended with %+v", last)
		}
		n.Do(func() { n.NoTree, n.Systems["B"].EvaluateTakes = true, 0 })
		time.Sleep(30 * time.Minute)
		synctest.Wait()
		if n.Slots().Default != "B" || len(n.Diary.Unverified) > 0 {
			t.Errorf("slots %+v, %v, want B", n.Slots(), n.Diary.Unverified)
		}
	})
}
