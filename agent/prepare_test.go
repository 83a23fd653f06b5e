package agent_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/infra-agent/infra-agent/agent/agenttest"
)

// What waits while later commits are fetched has no root of its own: its tree is had again.
func TestATreeThatWasCollected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := agenttest.New()
		n.Start()
		defer n.Stop()
		n.Push("c1", agenttest.Commit{Parent: "c0", System: "B"}, agenttest.System{Agent: agenttest.Agent, EvaluateTakes: 30 * time.Second})
		time.Sleep(15 * time.Second)
		n.Do(func() { n.NoTree = true })
		time.Sleep(30 * time.Minute)
		synctest.Wait()
		if n.Slots().Default != "B" || len(n.Diary.Unverified) > 0 {
			t.Errorf("slots %+v, %v, want B", n.Slots(), n.Diary.Unverified)
		}
	})
}
