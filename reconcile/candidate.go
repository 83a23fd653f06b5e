package reconcile

import "slices"

// A Purpose says what a commit on its way is for.
type Purpose string

// The purposes. Commits of the branch become the good system, and so does one that the
// branch has left behind; those of the testing branch are only tried; a rollback is what
// a person asked for.
const (
	PurposeBranch   Purpose = "branch"
	PurposeEarlier  Purpose = "earlier"
	PurposeTesting  Purpose = "testing"
	PurposeRollback Purpose = "rollback"
)

// A Candidate is a commit on its way to its trial, whatever it is for.
type Candidate struct {
	Purpose Purpose
	Tip     Tip
	Step    Step // how far it has come; nil: it is not fetched
}

// candidates lists what may be brought on its way, in order of precedence.
//
// The newest commit of the branch comes first, and ends the build of an earlier one, but
// only once: when a build was ended for it, the next build is let end, and what it built
// is tried before anything newer is fetched. So however often people push, and whatever
// a remote shows, a node deploys after two builds at most. An earlier commit also goes on
// where the newest one cannot be used.
func candidates(r Record) []Candidate {
	branch, testing := r.branch(), r.testing()
	earlier, is := r.earlier()
	switch {
	case !is:
		return []Candidate{branch, testing}
	case r.Work.Overtaken != "" && isBuilt(earlier.Step):
		return []Candidate{earlier, branch, testing}
	default:
		return []Candidate{branch, earlier, testing}
	}
}

// branch is the newest commit of the branch.
func (r Record) branch() Candidate {
	c := Candidate{Purpose: PurposeBranch, Tip: r.Work.Tip}
	if s := r.Work.Steps[PurposeBranch]; s != nil && s.fetched().Revision.Commit == c.Tip.Commit {
		c.Step = s
	}
	return c
}

// earlier is a commit of the branch that was evaluated, and describes another system than
// the good one, before the branch moved on.
func (r Record) earlier() (Candidate, bool) {
	for _, p := range []Purpose{PurposeBranch, PurposeEarlier} {
		s, evaluated := evaluatedOf(r.Work.Steps[p])
		commit := s.Revision.Commit
		if evaluated && commit != r.Work.Tip.Commit && s.Toplevel != r.Good.Toplevel && slices.Contains(r.Accepted, commit) {
			return Candidate{PurposeEarlier, Tip{Commit: commit, Remote: r.Work.Tip.Remote}, r.Work.Steps[p]}, true
		}
	}
	return Candidate{}, false
}

func (r Record) testing() Candidate {
	tip, _ := testingTip(r)
	c := Candidate{Purpose: PurposeTesting, Tip: tip}
	if s := r.Work.Steps[PurposeTesting]; s != nil && s.fetched().Revision.Commit == tip.Commit {
		c.Step = s
	}
	return c
}

// room lists the reasons for which a branch that waits lets others go on: "" is a branch
// that wants nothing.
var room = map[Purpose][]Gate{
	PurposeEarlier: {GateUnverified, GateSource, GateIdentity, GateEvaluate, GateBuild, GateBlocked},
	PurposeTesting: {"", GateBlocked, GateEvaluate, GateBuild},
}

// bringOn takes the first candidate that may go on one step further. The hold is the
// branch's.
func bringOn(r Record, o Observation) (Action, Hold) {
	rest, branch, firm := Wait{}, Hold{}, false
	asked := false // the branch
	for _, c := range candidates(r) {
		if asked && (firm || !slices.Contains(room[c.Purpose], branch.Gate)) {
			continue
		}
		act, h := next(c, r, o)
		if c.Purpose == PurposeBranch {
			asked, branch, firm = true, h, usableTip(c, r, o).Gate != ""
		}
		wait, waits := act.(Wait)
		if !waits {
			return act, branch
		}
		rest.Until = sooner(rest.Until, wait.Until)
	}
	return rest, branch
}

// next takes a candidate one step further towards its trial, or says what holds it.
func next(c Candidate, r Record, o Observation) (Action, Hold) {
	if c.Purpose == PurposeTesting && !untried(c, r) {
		return Wait{}, Hold{}
	}
	if h := closed(c, toFetch, r, o); h.Gate != "" {
		return held(h)
	}
	if c.Step == nil {
		return Run{Fetch{Tip: c.Tip, Purpose: c.Purpose, Anchor: r.Anchor, Accepted: r.Accepted, Rewind: r.Rewind}}, Hold{}
	}
	if s, ok := evaluatedOf(c.Step); ok && s.Toplevel == r.Good.Toplevel {
		return converged(c, s, r, o), Hold{}
	}
	if h := closed(c, stepOf(c), r, o); h.Gate != "" {
		return held(h)
	}
	switch s := c.Step.(type) {
	case Fetched:
		return Run{Resolve{s}}, Hold{}
	case Resolved:
		return Run{Evaluate{s}}, Hold{}
	case Evaluated:
		return Run{Build{s}}, Hold{}
	case Built:
		return Run{Preflight{From: s, Old: o.Slots.Running}}, Hold{}
	case Ready:
		d := deployment(c.Purpose, r.Good, System{s.Toplevel, s.Revision.Commit, s.Checks, careOf(s.Target)}, o)
		return enter(Arming{Trial: Trial{Deployment: d}}, o), Hold{}
	}
	panic(unknown("step", c.Step))
}

func held(h Hold) (Action, Hold) { return Wait{Until: h.Until}, h }

// converged: the commit describes the system that is good already.
func converged(c Candidate, s Evaluated, r Record, o Observation) Action {
	if c.Purpose == PurposeTesting || r.Good.Revision == s.Revision.Commit {
		return Wait{}
	}
	return Note{Converged{Revision: s.Revision, Checks: MergeChecks(o.Policy.Checks, s.Target.Checks), Care: careOf(s.Target), At: o.Now}}
}

// deployment starts the attempt to bring the node from old to new. What it does to the
// node is what the system says that is replaced, for a rollback, and else the new one.
func deployment(p Purpose, old, new System, o Observation) Deployment {
	care := new.Care
	if p == PurposeRollback {
		care = old.Care
	}
	mode := care.Rollback
	switch {
	case p == PurposeTesting:
		mode = RollbackAlways
	case mode == "":
		mode = o.Policy.Rollback
	}
	return Deployment{
		ID: o.Now.UTC().Format("20060102T150405"), Purpose: p, Old: old, New: new, Boot: o.Boot,
		Started: o.Now, Rollback: mode, Confirm: o.Policy.Confirm, Drain: care.Drain, Undrain: care.Undrain,
	}
}

func careOf(t Target) Care { return Care{Rollback: t.Rollback, Drain: t.Drain, Undrain: t.Undrain} }

func isBuilt(s Step) bool {
	switch s.(type) {
	case Built, Ready:
		return true
	default:
		return false
	}
}

// stepped keeps how far a commit has come. A new one of the branch leaves room for the
// one before it, which may have come far; one that is built needs no other.
func stepped(r Record, s Step) map[Purpose]Step {
	all, f := r.Work.Steps, s.fetched()
	if f.Purpose == PurposeTesting {
		return with(all, PurposeTesting, s)
	}
	before := all[PurposeBranch]
	switch commit := f.Revision.Commit; {
	case before != nil && before.fetched().Revision.Commit != commit && commit != r.Work.Tip.Commit: // an earlier one goes on
		return with(all, PurposeEarlier, s)
	case before != nil && before.fetched().Revision.Commit != commit:
		if _, evaluated := evaluatedOf(before); evaluated {
			all = with(all, PurposeEarlier, before)
		}
	case isBuilt(s) && commit == r.Work.Tip.Commit:
		all = dropped(all, PurposeEarlier)
	}
	return with(all, PurposeBranch, s)
}

// eachStep returns every step as change makes it.
func eachStep(r Record, change func(Step) Step) map[Purpose]Step {
	all := cloned(r.Work.Steps)
	for p, s := range all {
		all[p] = change(s)
	}
	return all
}
