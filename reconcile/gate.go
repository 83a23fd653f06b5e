package reconcile

import (
	"cmp"
	"fmt"
	"strings"
)

// A candidate goes on while every gate before its next step is open. Next, the status,
// the plan and the metrics read the same table, so a node that waits can always say why.

// A stage is the step that a candidate is to take next.
type stage int

const (
	toFetch stage = iota
	toResolve
	toEvaluate
	toBuild
	toPreflight
	toTry
)

func stepOf(c Candidate) stage {
	switch s := c.Step.(type) {
	case nil:
		return toFetch
	case Fetched:
		return toResolve
	case Resolved:
		return toEvaluate
	case Evaluated:
		if s.Audit { // it is evaluated here, too
			return toEvaluate
		}
		return toBuild
	case Built:
		return toPreflight
	case Ready:
		return toTry
	}
	panic(unknown("step", c.Step))
}

// gates, in the order in which they are asked. Each stands before a step, and before all
// that follow it.
var gates = []struct {
	before stage
	ask    func(c Candidate, r Record, o Observation) Hold // an open gate holds nothing
}{
	{toFetch, usableTip},
	{toFetch, refused},
	{toFetch, unfetchable},
	{toResolve, unplanned},
	{toEvaluate, ordered},
	{toEvaluate, onlyTried},
	{toBuild, leftAlone},
	{toBuild, failedHere},
	{toBuild, unbuildable},
	{toPreflight, bySuspension},
	{toPreflight, outsideWindows},
	{toPreflight, undone},
	{toPreflight, unready},
	{toTry, tooSlow},
	{toTry, onlyObserved},
}

// closed returns what the first closed gate before the step says.
func closed(c Candidate, s stage, r Record, o Observation) Hold {
	for _, g := range gates {
		if g.before > s {
			continue
		}
		if h := g.ask(c, r, o); h.Gate != "" {
			return h
		}
	}
	return Hold{}
}

// allClosed returns what every closed gate before the candidate's next step says.
func allClosed(c Candidate, r Record, o Observation) []Hold {
	var holds []Hold
	for _, g := range gates {
		if g.before > stepOf(c) {
			continue
		}
		if h := g.ask(c, r, o); h.Gate != "" {
			holds = append(holds, h)
		}
	}
	return holds
}

// leftAlone holds the branch where it was when a person switched by hand: what it describes may be the very system that
// they switched to, and then it is not left.
func leftAlone(c Candidate, r Record, _ Observation) Hold {
	tip := r.Foreign.Tip
	if c.Purpose != PurposeBranch || tip == "" || r.Work.Tip.Commit != tip && r.Work.Tip.Commit != "" {
		return Hold{}
	}
	return Hold{
		Gate: GateDrift, Why: "a person switched by hand; waiting for a commit after " + tip.Short(),
		Hint: `run "infra-agent retry" to deploy the branch over it`,
	}
}

// usableTip holds while the remotes give no commit to follow. Remotes that are
// silent do not: what is known already can be finished without them.
func usableTip(c Candidate, r Record, _ Observation) Hold {
	if c.Purpose != PurposeBranch {
		return Hold{}
	}
	for _, a := range r.Work.Remotes {
		if a.Missing && a.Remote == c.Tip.Remote || a.Missing && c.Tip.Commit == "" {
			return Hold{Gate: GateSource, Why: a.Remote + ": " + a.Why}
		}
	}
	switch {
	case c.Tip.Commit == "":
		if h := silentSource(r); h.Gate != "" {
			return h
		}
		return Hold{Gate: GateSource, Why: "no remote has answered yet"}
	case behind(c.Tip.Commit, r):
		return Hold{
			Gate: GateSource, Why: fmt.Sprintf("%s offers %s, which is older than the accepted %s", c.Tip.Remote, c.Tip.Commit.Short(), r.Anchor.Short()),
			Hint: fmt.Sprintf(`if the branch was moved back on purpose: "infra-agent allow-rewind %s"`, c.Tip.Commit),
		}
	}
	return Hold{}
}

// refused holds a commit that was refused, or whose registry or configuration is wrong.
func refused(c Candidate, r Record, o Observation) Hold {
	return failure(r, o, revisionKey(c.Tip.Commit))
}

// unfetchable holds while a commit's remote does not give it.
func unfetchable(c Candidate, r Record, o Observation) Hold {
	return failure(r, o, fetchKey(c.Tip.Commit, c.Tip.Remote))
}

// ordered holds a node that the registry holds or pins.
func ordered(c Candidate, r Record, _ Observation) Hold {
	t, _ := TargetOf(c.Step)
	because := ""
	if t.PinReason != "" {
		because = ": " + t.PinReason
	}
	switch {
	case t.Hold != "":
		return Hold{Gate: GateHold, Why: "the registry holds this node: " + t.Hold, Hint: "remove hold from the node's table in the registry"}
	case t.Pin != "" && r.Good.pinned(t.Pin):
		return Hold{Gate: GateHold, Why: "the registry pins this node to " + t.Pin + ", which it runs" + because}
	case t.Pin != "":
		return Hold{
			Gate: GateHold, Why: fmt.Sprintf("the registry pins this node to %s, and it runs %s%s", t.Pin, r.Good.Revision.Short(), because),
			Hint: `a pin only keeps a node where it is: to go back to an older commit, revert on the branch`,
		}
	}
	return Hold{}
}

func (s System) pinned(to string) bool {
	return s.Revision != "" && strings.HasPrefix(string(s.Revision), to)
}

// onlyTried holds what would be tried on a node that never goes back.
func onlyTried(c Candidate, _ Record, o Observation) Hold {
	t, _ := TargetOf(c.Step)
	if c.Purpose != PurposeTesting || cmp.Or(t.Rollback, o.Policy.Rollback) != RollbackNever {
		return Hold{}
	}
	return Hold{Gate: GateHold, Why: `this node never goes back (rollback = "never"), so nothing is only tried on it`}
}

// failedHere holds a system that was tried here, and failed. One that a check found wrong is
// tried again once the registry has other checks for this node.
func failedHere(c Candidate, r Record, _ Observation) Hold {
	s, _ := evaluatedOf(c.Step)
	b := r.Blocked[s.Toplevel]
	byCheck := b.Judged != "" && b.Reason == ReasonCheck
	if b.OfRevision && b.Revision != s.Revision.Commit || byCheck && b.Judged != judgedBy(s.Target.Checks) {
		return Hold{}
	}
	return blocked(s.Toplevel, r)
}

// unbuildable holds while a failed build is not to be tried again.
func unbuildable(c Candidate, r Record, o Observation) Hold {
	s, _ := evaluatedOf(c.Step)
	return failure(r, o, derivationKey(s.Derivation))
}

// bySuspension holds everything but what a person asks for by hand.
func bySuspension(c Candidate, r Record, o Observation) Hold {
	if c.Purpose == PurposeRollback {
		return Hold{}
	}
	return suspended(r, o)
}

// outsideWindows holds what is built until a maintenance window opens.
func outsideWindows(c Candidate, _ Record, o Observation) Hold {
	t, _ := TargetOf(c.Step)
	opens := opens(t.Windows, o.Now)
	if !opens.After(o.Now) {
		return Hold{}
	}
	var texts []string
	for _, w := range t.Windows {
		texts = append(texts, w.Text)
	}
	return Hold{Gate: GateWindow, Why: fmt.Sprintf("it is built and waits for a maintenance window (%s)", strings.Join(texts, "; ")), Until: opens}
}

// undone holds a system whose trial ended for a reason outside of it.
func undone(c Candidate, r Record, o Observation) Hold {
	s, _ := evaluatedOf(c.Step)
	return failure(r, o, trialKey(s.Toplevel))
}

// unready holds a system that preflight found an obstacle for.
func unready(c Candidate, r Record, o Observation) Hold {
	s, _ := evaluatedOf(c.Step)
	return failure(r, o, toplevelKey(s.Toplevel))
}

// tooSlow holds a system that no trial could confirm: a check takes longer than one may last.
func tooSlow(c Candidate, _ Record, o Observation) Hold {
	s, _ := c.Step.(Ready)
	f := o.Policy.Confirm
	for _, check := range Runnable(s.Checks) {
		if least := f.Least(check); check.Required && least >= f.DeadlineMax {
			return Hold{
				Gate: GatePreflight, Why: fmt.Sprintf("check %s takes %v to be green for confirm.window at best, and confirm.deadline_max is %v", check.Name, least, f.DeadlineMax),
				Hint: "lower its interval or successes in the registry or the settings, or raise confirm.deadline_max",
			}
		}
	}
	return Hold{}
}

// onlyObserved holds what would be tried.
func onlyObserved(c Candidate, _ Record, o Observation) Hold {
	if !o.Policy.Observe {
		return Hold{}
	}
	why := "nothing is tried in observe mode; " + cmp.Or(c.Tip.Commit.Short(), "the system before this one") + " would be"
	if s, is := c.Step.(Ready); is {
		why += ", and change " + cmp.Or(list(s.Units), "no unit")
	}
	return Hold{Gate: GateObserve, Why: why, Hint: `set mode = "deploy" to have it tried`}
}
