package reconcile

import "slices"

// A candidate is brought on one step at a time, as far as the gates let it; back.go is the
// way back.

// room says which holds of the branch's own candidate let a candidate of another
// purpose go on. The empty gate stands for a branch that has nothing to do.
var room = map[Purpose][]Gate{
	PurposeEarlier: {GateUnverified, GateSource, GateIdentity, GateManifest, GateEvaluate, GateBuild, GateBlocked},
	PurposeTesting: {"", GateBlocked, GateManifest, GateEvaluate, GateBuild},
}

// bringOn takes the first candidate that may go on one step further. The hold that it
// returns is the one of what a person wants back, and else of the branch's own candidate.
func bringOn(r Record, o Observation) (Action, Hold) {
	rest, back, branch := Wait{}, Hold{}, Hold{}
	asked := false // the branch
	b := r.branch()
	firm := leftAlone(b, r, o).Gate != "" || usableTip(b, r, o).Gate != "" // nothing of the branch goes on, whatever its commit
	for _, c := range candidates(r) {
		if _, other := room[c.Purpose]; other && (firm || asked && !slices.Contains(room[c.Purpose], branch.Gate)) {
			continue
		}
		act, h := next(c, r, o)
		switch c.Purpose {
		case PurposeRollback:
			back = h
		case PurposeBranch:
			asked, branch = true, h
		}
		wait, waits := act.(Wait)
		if !waits {
			return act, branch
		}
		rest.Until = sooner(rest.Until, wait.Until)
	}
	if back.Gate != "" {
		back.Why = "the system before this one, which a person wants back, has to wait: " + back.Why
		return rest, back
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
	again := pinAgain(c, r, o)
	if !again.IsZero() && !again.After(o.Now) {
		f, _ := FetchedOf(c.Step)
		return Run{Plan{From: f, Accepted: r.Accepted, Pins: r.pins()}}, Hold{}
	}
	act, h := onward(c, r, o)
	if wait, waits := act.(Wait); waits {
		wait.Until = sooner(wait.Until, again)
		act = wait
	}
	return act, h
}

// onward takes a candidate that is fetched further.
func onward(c Candidate, r Record, o Observation) (Action, Hold) {
	if h := unplanned(c, r, o); h.Gate != "" && c.Tip.Commit == r.Good.Revision { // it runs already: that it has no manifest keeps nothing from it
		return Wait{Until: h.Until}, Hold{}
	}
	if s, is := c.Step.(Evaluated); is && s.Audit { // a manifest may falsely name the system that runs
		if h := closed(c, stepOf(c), r, o); h.Gate != "" {
			return held(h)
		}
		return Run{Audit{s}}, Hold{}
	}
	if s, ok := evaluatedOf(c.Step); ok && s.Toplevel == r.Good.Toplevel {
		return converged(c, s, r, o), Hold{}
	}
	if h := closed(c, stepOf(c), r, o); h.Gate != "" {
		return held(h)
	}
	switch s := c.Step.(type) {
	case Fetched:
		if planned(s, r, o) {
			return Run{Plan{From: s, Accepted: r.Accepted, Pins: r.pins()}}, Hold{}
		}
		return Run{Resolve{s}}, Hold{}
	case Resolved:
		return Run{Evaluate{From: s}}, Hold{}
	case Evaluated:
		return Run{Build{s}}, Hold{}
	case Built:
		return Run{Preflight{From: s, Old: o.Slots.Running, Retire: r.Retiring || s.Target.Retire}}, Hold{}
	case Ready:
		to := System{s.Toplevel, s.Revision.Commit, s.Checks, careOf(s.Target), s.Retires}
		if c.Purpose == PurposeRollback {
			to = r.Previous
		}
		d := deployment(c.Purpose, r.Good, to, s.Took, o)
		d.Subject = s.Revision.Subject
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

// deployment starts the attempt to bring the node from old to new. Rollback mode, drain
// and undrain are those of the system that is replaced when a person steps back to it,
// and else those of the new one.
func deployment(p Purpose, old, new System, took Times, o Observation) Deployment {
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
		Started: o.Now, Took: took, Asleep: o.Asleep, Rollback: mode, Recovery: o.Policy.recovery(), Confirm: o.Policy.Confirm.patientFor(new.Checks, took), Drain: care.Drain, Undrain: care.Undrain,
	}
}

func careOf(t Target) Care {
	return Care{Rollback: t.Rollback, Drain: t.Drain, Undrain: t.Undrain, Judged: judgedBy(t.Checks)}
}
