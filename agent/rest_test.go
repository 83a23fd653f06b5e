package agent_test

import (
	"fmt"
	"slices"
	"testing/synctest"
	"time"

	"github.com/infra-agent/infra-agent/agent/agenttest"
	"github.com/infra-agent/infra-agent/reconcile"
)

// rest waits until the node is in sync with the branch, or held, for a while.
func rest(t interface{ Fatalf(string, ...any) }, n *agenttest.Node) {
	const patience, calm = 2 * time.Hour, 2
	still := 0
	for start := time.Now(); still < calm; {
		if time.Since(start) > patience {
			t.Fatalf("no rest after %v: %s", patience, condition(n))
		}
		time.Sleep(agenttest.PollInterval)
		synctest.Wait()
		if atRest(n) {
			still++
		} else {
			still = 0
		}
	}
}

// atRest reports whether the agent has nothing to do by itself but to look
// again at what holds it, or cannot do anything without a person.
func atRest(n *agenttest.Node) bool {
	if abandoned(n) {
		return true
	}
	a := n.Agent()
	for range 3 { // one that dies again and again is started again and again
		if a == nil {
			time.Sleep(time.Second)
			synctest.Wait()
			a = n.Agent()
		}
	}
	if a == nil {
		return false
	}
	s := a.Snapshot()
	switch p := s.Record.Phase.(type) {
	case reconcile.Stuck:
		return true
	case reconcile.Confirming:
		return p.Held != ""
	case reconcile.Idle:
	default:
		return false
	}
	if s.Observation.Job != nil || !s.Record.Work.Tidied {
		return false
	}
	for _, h := range s.Holds {
		switch h.Gate {
		case reconcile.GateLock, reconcile.GatePreflight: // passing
			return false
		default:
			return true
		}
	}
	return s.InSync()
}

// abandoned reports whether nobody is left to go back, and people wanted it so:
// the running system has no agent that lives, and either the guard could not go back and was
// not to reboot, or a person approved the system, or it was to be promoted whatever
// its health.
func abandoned(n *agenttest.Node) bool {
	slots, r := n.Slots(), n.Record()
	var gone, gaveUp bool
	n.Do(func() {
		s := n.Systems[slots.Running]
		gone = s.Agent == "" || s.AgentDies
		d, inFlight := reconcile.DeploymentOf(r.Phase)
		gaveUp = inFlight && slices.Contains(n.Diary.GaveUp, d.ID)
	})
	switch {
	case !gone:
		return false
	case gaveUp:
		return true
	}
	return slots.Default == slots.Running && approved(n, slots.Running)
}

// approved reports whether a person ever confirmed t, or brought it here.
func approved(n *agenttest.Node, t reconcile.Toplevel) (is bool) {
	n.Do(func() { is = n.Diary.ByHand[t] })
	return is || slices.ContainsFunc(n.Writes(0), func(r reconcile.Record) bool {
		p, confirming := r.Phase.(reconcile.Confirming)
		return confirming && p.Approved && p.Deployment.New.Toplevel == t
	})
}

// condition says what the node does, for a test that failed.
func condition(n *agenttest.Node) string {
	a := n.Agent()
	if a == nil {
		return fmt.Sprintf("no agent; slots %+v", n.Slots())
	}
	s := a.Snapshot()
	return fmt.Sprintf("%s, job %v, holds %v, slots %+v, tip %v", s.State(), s.Observation.Job, s.Holds, n.Slots(), s.Record.Work.Tip)
}
