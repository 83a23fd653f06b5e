package crowd

import (
	"crypto/sha1" //nolint:gosec // it makes names like git's
	"fmt"
	"hash/fnv"
	"strconv"
	"time"

	"github.com/infra-agent/infra-agent/reconcile"
)

// A node on its way to a commit.
type node struct {
	i    int
	wave string
	now  time.Time

	old, tip reconcile.System
	pushed   time.Time
	begins   time.Time // to build it: its window opens
	tries    time.Time
	ends     time.Time
	last     time.Time // when the commit before ended
	fails    bool      // the trial
	held     bool      // by a person, for ever
}

// waves are per cent of the nodes: how many are in the wave or an earlier one, and how much of the time between two commits
// has passed when its windows begin to open.
var waves = []struct {
	name        string
	share, from int
}{{"canary", 2, 0}, {"early", 20, 10}, {"all", 100, 20}}

// node is one of the crowd at a moment: one in a hundred rolls a commit back, and one in two hundred is suspended.
func (c Crowd) node(i int, now time.Time) node {
	wave := waves[0]
	for _, w := range waves[1:] {
		if i*100 >= wave.share*c.Nodes {
			wave = w
		}
	}
	k := now.UnixNano() / int64(c.Every)
	percent := c.Every / 100
	of := func(k int64) (pushed, begins, tries, ends time.Time) {
		pushed = time.Unix(0, k*int64(c.Every))
		begins = pushed.Add(percent * time.Duration(wave.from+chance("begins", i, k)%40))
		tries = begins.Add(percent * time.Duration(1+chance("builds", i, k)%10))
		return pushed, begins, tries, tries.Add(percent * time.Duration(1+chance("confirms", i, k)%10))
	}
	n := node{i: i, wave: wave.name, now: now, old: system(k - 1), tip: system(k), fails: chance("fails", i, k)%100 == 0, held: chance("held", i, 0)%200 == 0}
	n.pushed, n.begins, n.tries, n.ends = of(k)
	_, _, _, n.last = of(k - 1)
	return n
}

// chance is a number that looks like any other, and stays the same.
func chance(of string, i int, k int64) int {
	h := fnv.New32a()
	fmt.Fprint(h, of, i, " ", k)
	return int(h.Sum32() >> 1)
}

// system is what commit k describes.
func system(k int64) reconcile.System {
	revision := fmt.Sprintf("%x", sha1.Sum([]byte(strconv.FormatInt(k, 10))))
	return reconcile.System{Toplevel: reconcile.Toplevel("/nix/store/" + revision), Revision: reconcile.Commit(revision)}
}

// snapshot is what the agent of the node knows.
func (n node) snapshot() reconcile.Snapshot {
	s := n.behind()
	r, o, runs := &s.Record, &s.Observation, n.old
	idle := func(h reconcile.Gate) { s.Holds = []reconcile.Hold{{Gate: h}} }
	switch {
	case n.held:
		r.Suspended.Since = n.last
		idle(reconcile.GateSuspend)
	case n.now.Before(n.begins):
		idle(reconcile.GateWindow)
	case n.now.Before(n.tries):
		o.Job, s.JobSince = reconcile.Build{}, n.begins
	case n.now.Before(n.ends):
		r.Phase = reconcile.Confirming{Trial: reconcile.Trial{Deployment: reconcile.Deployment{Old: n.old, New: n.tip}}, Until: o.Uptime + n.ends.Sub(n.now)}
		r.Tally.Entered, runs = n.tries, n.tip
	case n.fails:
		r.Blocked = map[reconcile.Toplevel]reconcile.Block{n.tip.Toplevel: {}}
		r.Tally.Consecutive, r.Tally.Entered, r.Tally.LastRollback = 1, n.ends, n.ends
		r.Tally.LastDeployment[reconcile.ResultRolledBack] = n.ends
		idle(reconcile.GateBlocked)
	default:
		r.Good, r.Previous, runs = n.tip, n.old, n.tip
		r.Tally.Entered, r.Tally.OutOfSync = n.ends, time.Time{}
		r.Tally.LastDeployment[reconcile.ResultPromoted] = n.ends
	}
	o.Slots = reconcile.Slots{Running: runs.Toplevel, Profile: r.Good.Toplevel, Default: r.Good.Toplevel}
	at := func(c reconcile.Commit, reached time.Time) reconcile.Mark {
		return reconcile.Mark{Revision: c, Time: n.pushed, Reached: reached}
	}
	r.Tally.Marks = map[reconcile.Stage]reconcile.Mark{
		reconcile.StageSeen: at(n.tip.Revision, n.pushed), reconcile.StageVerified: at(n.tip.Revision, n.pushed), reconcile.StageBuilt: at(n.tip.Revision, n.tries),
		reconcile.StageRunning: at(runs.Revision, n.ends), reconcile.StageGood: at(r.Good.Revision, n.ends),
	}
	return s
}

// behind is a node that has seen the commit, and did nothing about it yet.
func (n node) behind() reconcile.Snapshot {
	took := n.ends.Sub(n.tries)
	r := reconcile.New()
	r.Anchor, r.Good, r.Heights = n.tip.Revision, n.old, map[reconcile.Commit]int{n.old.Revision: 1, n.tip.Revision: 2}
	r.Work.Tip = reconcile.Tip{Commit: n.tip.Revision, At: n.pushed}
	r.Work.Steps = map[reconcile.Purpose]reconcile.Step{reconcile.PurposeBranch: reconcile.Resolved{Target: reconcile.Target{
		Configuration: name(n.i), Environment: []string{"production", "test"}[n.i%2], Wave: n.wave, Roles: []reconcile.Role{"base", reconcile.Role(fmt.Sprint("role-", n.i%20))},
	}}}
	r.Tally = reconcile.Tally{
		Deployments:    map[reconcile.Result]int{reconcile.ResultPromoted: int(n.pushed.Unix() % 1e6)},
		LastDeployment: map[reconcile.Result]time.Time{reconcile.ResultPromoted: n.last},
		Entered:        n.last, OutOfSync: n.pushed, LastPollOK: n.now,
		Took: map[string]time.Duration{"fetch": took / 50, "evaluate": took / 10, "build": n.tries.Sub(n.begins), "activate": took / 20, "confirm": took, "promote": took / 50},
	}
	check := reconcile.CheckCount{Passed: int(n.now.Unix() % 1e6), Last: reconcile.CheckResult{OK: true, Took: took / 1000}}
	return reconcile.Snapshot{
		Record:      r,
		Observation: reconcile.Observation{Now: n.now, Uptime: 24 * time.Hour, Boot: "b", Booted: n.old.Toplevel},
		Counters: reconcile.Counters{
			Polls: map[reconcile.PollResult]int{reconcile.PollUnchanged: int(n.now.Unix() % 1e6)}, LastPoll: n.now,
			Checks: map[string]reconcile.CheckCount{"answers": check},
		},
		Reload: reconcile.Reload{At: n.last}, Generations: map[reconcile.Toplevel]int{n.old.Toplevel: 1, n.tip.Toplevel: 2},
	}
}
