package agent_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/infra-agent/infra-agent/agent/agenttest"
	"github.com/infra-agent/infra-agent/reconcile"
)

// I14: whatever is pushed and however often, the time between two deployments that are
// wanted is bounded: by two builds, and by what comes before and after them.
func TestPushesDoNotStarveANode(t *testing.T) {
	const around = 3 * time.Minute // polls, fetches, trials
	for _, build := range []time.Duration{20 * time.Second, 5 * time.Minute, 2 * time.Hour} {
		for _, often := range []time.Duration{2, 9, 40} {
			for _, unsigned := range []bool{false, true} {
				t.Run(fmt.Sprintf("builds of %v, %d pushes in each, unsigned ones between: %t", build, often, unsigned), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						n := agenttest.New()
						n.Policy.Limits.Build = 3 * time.Hour
						n.Start()
						defer n.Stop()
						rest(t, n)
						begun := time.Now()
						keepPushing(n, build, build/often, unsigned)
						synctest.Wait()
						for _, gap := range gaps(n, begun) {
							if gap > 2*build+around {
								t.Errorf("%v without a deployment, with builds of %v", gap, build)
							}
						}
					})
				})
			}
		}
	}
}

// keepPushing pushes new systems for about six builds. What is unsigned is on the branch
// at every third poll.
func keepPushing(n *agenttest.Node, build, every time.Duration, unsigned bool) {
	last := reconcile.Commit("c0")
	for begun, i := time.Now(), 1; time.Since(begun) < 6*build+10*time.Minute; i++ {
		c := reconcile.Commit(fmt.Sprintf("c%d", i))
		what := agenttest.Commit{Parent: last, System: reconcile.Toplevel(fmt.Sprintf("S%d", i)), Unsigned: unsigned && i%3 == 0}
		if !what.Unsigned {
			last = c
		}
		n.Push(c, what, agenttest.System{Agent: agenttest.Agent, BuildTakes: build})
		if unsigned {
			every = agenttest.PollInterval
		}
		time.Sleep(every)
	}
}

// gaps returns the times between two deployments, and the one since the last.
func gaps(n *agenttest.Node, last time.Time) []time.Duration {
	var all []time.Duration
	for _, r := range n.Writes(0) {
		if d, inFlight := reconcile.DeploymentOf(r.Phase); inFlight && d.Started.After(last) {
			all, last = append(all, d.Started.Sub(last)), d.Started
		}
	}
	return append(all, time.Since(last))
}
