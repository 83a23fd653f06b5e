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
// wanted is bounded: by two tries of what takes long, and by what comes before and after them.
func TestPushesDoNotStarveANode(t *testing.T) {
	const around = 3 * time.Minute // polls, trials, and what does not take long
	for step, slow := range map[string]func(*agenttest.Commit, *agenttest.System, time.Duration){
		"fetches":     func(c *agenttest.Commit, _ *agenttest.System, d time.Duration) { c.Takes = d },
		"evaluations": func(_ *agenttest.Commit, s *agenttest.System, d time.Duration) { s.EvaluateTakes = d },
		"builds":      func(_ *agenttest.Commit, s *agenttest.System, d time.Duration) { s.BuildTakes = d },
	} {
		for _, takes := range []time.Duration{20 * time.Second, 5 * time.Minute, 2 * time.Hour} {
			for _, often := range []time.Duration{2, 9, 40} {
				for _, unsigned := range []bool{false, true} {
					if unsigned && step != "builds" { // what cannot be verified takes as long to get, or is not evaluated
						continue
					}
					t.Run(fmt.Sprintf("%s of %v, %d pushes in each, unsigned ones between: %t", step, takes, often, unsigned), func(t *testing.T) {
						t.Parallel()
						synctest.Test(t, func(t *testing.T) {
							n := agenttest.New()
							l := &n.Policy.Limits
							l.Fetch, l.Evaluate, l.Build = 3*time.Hour, 3*time.Hour, 3*time.Hour
							n.Start()
							defer n.Stop()
							rest(t, n)
							begun := time.Now()
							keepPushing(n, takes, takes/often, unsigned, slow)
							synctest.Wait()
							for _, gap := range gaps(n, begun) {
								if gap > 2*takes+around {
									t.Errorf("%v without a deployment, with %s of %v", gap, step, takes)
								}
							}
						})
					})
				}
			}
		}
	}
}

// keepPushing pushes new systems, of which something takes long, for about six times as
// long. What is unsigned is on the branch at every third poll.
func keepPushing(n *agenttest.Node, takes, every time.Duration, unsigned bool, slow func(*agenttest.Commit, *agenttest.System, time.Duration)) {
	last := reconcile.Commit("c0")
	for begun, i := time.Now(), 1; time.Since(begun) < 6*takes+10*time.Minute; i++ {
		c := reconcile.Commit(fmt.Sprintf("c%d", i))
		what := agenttest.Commit{Parent: last, System: reconcile.Toplevel(fmt.Sprintf("S%d", i)), Unsigned: unsigned && i%3 == 0}
		if !what.Unsigned {
			last = c
		}
		s := agenttest.System{Agent: agenttest.Agent}
		slow(&what, &s, takes)
		n.Push(c, what, s)
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
