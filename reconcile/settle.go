package reconcile

import (
	"fmt"
	"maps"
	"time"
)

// entered changes the phase, and blocks a system that is being rolled back
// before anything is undone.
func entered(r Record, e Entered) Record {
	before, unwritten := r.Phase, r.Work.Unwritten
	_, was := before.(Confirming)
	_, is := e.Phase.(Confirming)
	if was && !is {
		note := spent
		if _, confirmed := e.Phase.(Promoting); confirmed {
			note = took
		}
		r = note(r, "confirm", e.At.Sub(r.Tally.Entered))
	}
	r.Phase = e.Phase
	if !was || !is { // an extended or approved trial keeps what was seen of it
		r.Tally.Entered = e.At
		r.Work = Work{Remotes: r.Work.Remotes, Tip: r.Work.Tip, Steps: r.Work.Steps}
	}
	switch p := e.Phase.(type) {
	case Confirming:
		r = mark(r, StageRunning, builtRevision(r, p.Deployment), e.At)
	case RollingBack:
		if p.Promoted {
			r = owe(r, Debt{Kind: DebtRestore, System: p.Deployment.Old.Toplevel, Since: e.At})
		}
		if !GoingBack(before) {
			if p.Cause.Reason != ReasonOperator { // that one is blocked in any case
				p.Cause = p.Cause.whileUnwritten(unwritten)
			}
			r.Phase = p
			r = counted(block(r, p.Trial, p.Cause, e.At), p.Cause, e.At)
		}
	case VerifyingRollback:
		if !GoingBack(before) {
			p.Cause = p.Cause.whileUnwritten(unwritten)
			r.Phase = p
			r = counted(block(r, p.Trial, p.Cause, e.At), p.Cause, e.At)
		}
		r = mark(r, StageRunning, Revision{Commit: p.Deployment.Old.Revision}, e.At)
	case Stuck:
		r.Tally.RollbackFailed = true
	case Arming:
		if _, begins := before.(Idle); begins {
			r.Tally.Spent = p.Deployment.Took
		}
	case Idle, Activating, Promoting, RebootingBack:
	default:
		panic(unknown("phase", p))
	}
	return r
}

// whileUnwritten returns c as an outside cause where the record could not be written: without
// that no system can be kept, whatever it is like.
func (c Cause) whileUnwritten(why string) Cause {
	if why != "" {
		c.Why, c.Outside = c.Why+"; the record could not be written: "+why, true
	}
	return c
}

// measured keeps the baseline, and what is due once the node is drained.
func measured(r Record, e Measured) Record {
	base := e.Baseline
	switch p := r.Phase.(type) {
	case Idle:
		r.Work.Lookout = Lookout{Trial: Trial{Deployment: e.Deployment, Baseline: base}, At: e.At}
	case Arming:
		if owes(r, DebtUndrain) { // of an earlier deployment: what is red now may be so for that
			base.Checks = maps.Clone(base.Checks)
			maps.DeleteFunc(base.Checks, func(_ string, green bool) bool { return !green })
		}
		p.Baseline, p.Measured = base, true
		r.Phase = p
		if undrain := p.Deployment.Undrain; len(undrain) > 0 {
			r = owe(r, Debt{Kind: DebtUndrain, Commands: undrain, Since: e.At})
		}
	default: // too late: nothing begins any more
	}
	return r
}

// block remembers that the trial's system failed, so that it is not tried again by
// itself. The first loss of power during a trial does not block it, since it may be an
// accident, and neither does a failure that the commit cannot have caused.
func block(r Record, t Trial, c Cause, at time.Time) Record {
	top := t.Deployment.New.Toplevel
	switch c.Reason {
	case ReasonTesting:
		return r
	case ReasonReboot, ReasonOperator, ReasonDeadline:
		if t.Deployment.Testing() { // a person ended it, or the guard while the machine slept: that says nothing about the system
			return r
		}
	}
	switch {
	case c.Reason == ReasonReboot:
		r.Losses = plus(r.Losses, top)
		if r.Losses[top] < 2 {
			return r
		}
	case c.Outside:
		r = postponed(r, trialKey(top), GatePreflight, c.Why, at, 1)
		if c.Reason != ReasonFollow { // it waits for a poll, too
			return r
		}
	}
	r.Blocked = with(r.Blocked, top, Block{Cause: c, Revision: t.Deployment.New.Revision, At: at, UntilPoll: c.Outside, Judged: t.Deployment.New.Care.Judged})
	return r
}

func aborted(r Record, e Aborted) Record {
	d, _ := DeploymentOf(r.Phase)
	if e.Gate != "" {
		r = postponed(r, toplevelKey(d.New.Toplevel), e.Gate, e.Why, e.At, 1)
	}
	return idleAgain(r, e.At)
}

func promoted(r Record, e Promoted) Record {
	d, _ := DeploymentOf(r.Phase)
	flaw := Cause{}
	if p, is := r.Phase.(Promoting); is {
		flaw = p.Flaw
	}
	res := ResultPromoted
	if d.Purpose == PurposeRollback {
		res = ResultSteppedBack
	}
	r = outcome(r, res, flaw, e.At)
	r.Work.Steps = dropped(r.Work.Steps, PurposeEarlier)
	r.Previous, r.Good, r.Retiring = d.Old, d.New, false
	r.Foreign = Foreign{}
	if flaw.Reason == ReasonPromotion {
		r = owe(r, Debt{Kind: DebtRestore, System: d.New.Toplevel, Since: e.At})
	}
	r.Blocked = dropped(r.Blocked, d.New.Toplevel)
	if d.Purpose == PurposeRollback { // the branch must not bring back what a person has left
		left := Cause{Reason: ReasonOperator, Why: "a person rolled it back"}
		r.Blocked = with(r.Blocked, d.Old.Toplevel, Block{Cause: left, Revision: d.Old.Revision, At: e.At})
	}
	r.Losses, r.Failures = nil, dropped(r.Failures, trialKey(d.New.Toplevel))
	// The new system may bring other keys.
	r = forget(r, func(_ FailureKey, f Failure) bool { return f.Gate == GateUnverified })
	r.Tally.Consecutive, r.Tally.RollbackFailed = 0, false
	r.Tally.OutOfSync = time.Time{}
	if r.Work.Tip.Commit != "" && r.Work.Tip.Commit != d.New.Revision {
		r.Tally.OutOfSync = e.At
	}
	r = mark(r, StageGood, builtRevision(r, d), e.At)
	return idleAgain(r, e.At)
}

func rolledBack(r Record, e RolledBack) Record {
	cause, top := Cause{}, Toplevel("")
	switch p := r.Phase.(type) {
	case VerifyingRollback:
		cause, top = p.Cause, p.Deployment.New.Toplevel
	case Stuck:
		cause = p.Cause
	default: // the event does not come in other phases
	}
	res := ResultRolledBack
	switch {
	case cause.Reason == ReasonOperator:
		res = ResultCancelled
	case cause.Reason == ReasonTesting && e.Unhealthy == "":
		res = ResultTested
	case e.Unhealthy != "":
		res = ResultRollbackFailed
		cause.Why += "; the old system is not as it was: " + e.Unhealthy
	}
	r.Tally.RollbackFailed = e.Unhealthy != ""
	if b, is := r.Blocked[top]; is && cause.Reason == ReasonConnectivity && e.Silent {
		b.UntilPoll = true
		r.Blocked = with(r.Blocked, top, b)
		r = postponed(r, trialKey(top), GatePreflight, cause.Why, e.At, 1)
	}
	return idleAgain(outcome(r, res, cause, e.At), e.At)
}

// idleAgain ends a deployment. What was prepared is looked at again.
func idleAgain(r Record, at time.Time) Record {
	return untidy(entered(r, Entered{Phase: Idle{}, At: at}))
}

// untidy has the node tidied up, which drops the root of what was built.
func untidy(r Record) Record {
	r.Work.Tidied = false
	r.Work.Steps = eachStep(r, func(s Step) Step {
		if e, ok := evaluatedOf(s); ok {
			return e
		}
		return s
	})
	return r
}

// Retreat returns r in the direction of the old system: its phase, of that name, is one
// that a newer agent knows, which this node left in the middle of trial t. Without a
// deployment in it nothing was changed.
func Retreat(r Record, name string, t Trial) Record {
	r.Phase = Idle{}
	if t.Deployment.ID == "" {
		return r
	}
	c := Cause{Reason: ReasonAgent, Why: fmt.Sprintf("a newer infra-agent left it in the phase %q, which this one does not know", name)}
	return entered(r, Entered{Phase: RollingBack{Trial: t, Cause: c, Attempt: 1, Promoted: true}, At: t.Deployment.Started})
}
