package agent_test

import (
	"testing"
	"testing/synctest"

	"github.com/infra-agent/infra-agent/agent/agenttest"
	"github.com/infra-agent/infra-agent/reconcile"
)

// Whoever asks after a verb was carried out sees what it did.
func TestAVerbIsSeenAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := agenttest.New()
		n.Start()
		defer n.Stop()
		rest(t, n)
		a := n.Agent()
		for range 200 {
			for _, v := range []reconcile.Verb{reconcile.Suspend{Reason: "x"}, reconcile.Resume{}} {
				if err := a.Command(t.Context(), v); err != nil {
					t.Fatal(err)
				}
				_, suspends := v.(reconcile.Suspend)
				if got := !a.Snapshot().Record.Suspended.Since.IsZero(); got != suspends {
					t.Fatalf("after %T: suspended is %v", v, got)
				}
			}
		}
	})
}
