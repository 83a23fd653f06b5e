package reconcile

import (
	"fmt"
	"time"
)

// Next says what to do now. It is total and idempotent: the same record and
// observation give the same action.
func Next(r Record, o Observation) Action {
	act := decide(r, o)
	if o.Job == nil {
		pause := r.Work.NotBefore.Sub(o.Now)
		if _, ok := act.(Run); ok && pause > 0 && pause <= longestPause { // or the clock was set back
			return Wait{Until: r.Work.NotBefore}
		}
		return act
	}
	// A running job is ended by a change of phase or of what is wanted. While a
	// trial is confirmed the next one waits for it.
	switch act := act.(type) {
	case Run:
		if _, confirming := r.Phase.(Confirming); !confirming && act.Job.Key() != o.Job.Key() && !again(act.Job, r) {
			return Cancel{}
		}
		return Wait{Until: phaseEnd(r.Phase, o)}
	case Note:
		if _, entering := act.Event.(Entered); entering {
			return Cancel{}
		}
		return act
	case Wait, Cancel:
		return act
	}
	panic(unknown("action", act))
}

func decide(r Record, o Observation) Action {
	if r.Unreadable != "" { // never guess, never deploy
		return Wait{}
	}
	if d, ok := DeploymentOf(r.Phase); ok && foreign(d, o) {
		return Note{Abandoned{At: o.Now}}
	}
	switch p := r.Phase.(type) {
	case Idle:
		act, _ := idle(r, o)
		return act
	case Arming:
		return arming(p, r, o)
	case Activating:
		return activating(p, r, o)
	case Confirming:
		return confirming(p, r, o)
	case Promoting:
		return promoting(p, r, o)
	case RollingBack:
		return rollingBack(p, r, o)
	case VerifyingRollback:
		return verifyingRollback(p, r, o)
	case RebootingBack:
		return rebootingBack(p, r, o)
	case Stuck:
		return stuck(p, o)
	}
	panic(unknown("phase", r.Phase))
}

// foreign reports whether a person switched to a third system.
func foreign(d Deployment, o Observation) bool {
	run := o.Slots.Running
	return run != "" && run != d.Old.Toplevel && run != d.New.Toplevel
}

// guardActs reports whether the deployment's guard is going back just now.
func guardActs(d Deployment, o Observation) bool { return o.Guard.ID == d.ID && o.Guard.Claimed }

func enter(p Phase, o Observation) Action { return Note{Entered{Phase: p, At: o.Now}} }

// at turns a point on the boot-time clock into wall-clock time.
func at(uptime time.Duration, o Observation) time.Time { return o.Now.Add(uptime - o.Uptime) }

// phaseEnd returns when the phase's own deadline passes; zero: it has none.
func phaseEnd(p Phase, o Observation) time.Time {
	switch p := p.(type) {
	case Activating:
		return at(p.Since+o.Policy.Limits.Activate, o)
	case Confirming:
		return at(p.Until, o)
	case VerifyingRollback:
		return at(p.Since+o.Policy.Limits.VerifyRollback, o)
	default:
		return time.Time{}
	}
}

func arming(p Arming, r Record, o Observation) Action {
	d := p.Deployment
	switch {
	case o.Boot != d.Boot:
		return Note{Aborted{Why: "the node rebooted before the trial began", At: o.Now}}
	case r.Work.Armed:
		return enter(Activating{Trial: Trial{d, r.Work.Baseline}, Attempt: 1, Since: o.Uptime}, o)
	case r.Work.Last.Key == (Arm{d}).Key() && !r.Work.Last.OK:
		return Note{Aborted{Gate: GatePreflight, Why: "the trial could not begin: " + r.Work.Last.Why, At: o.Now}}
	}
	return Run{Arm{d}}
}

func activating(p Activating, r Record, o Observation) Action {
	d, limit := p.Deployment, o.Policy.Limits.Activate
	if next, gone := lost(p.Trial, o); gone {
		return next
	}
	switch ended := o.Guard.ID == d.ID && o.Guard.Until == 0; { // the guard is off only when it has gone back
	case ended && o.Slots.Running == d.Old.Toplevel:
		return goneBack(p.Trial, Cause{ReasonDeadline, "the guard went back to the old system"}, o)
	case ended:
		return rollBack(p.Trial, ReasonDeadline, "the guard could not bring the old system back", o)
	}
	if a := r.Work.Activation; a != nil && a.Attempt == p.Attempt {
		fresh := triage(p.Trial, a.Failed)
		switch {
		case a.Hold != "" && p.Attempt == 1 && o.Slots.Running == d.Old.Toplevel: // it refused to begin
			return Note{Aborted{Gate: a.Hold, Why: a.Why, At: o.Now}}
		case a.Exit == 0, a.Exit == 4 && len(fresh) == 0:
			return enter(Confirming{Trial: p.Trial, Since: o.Uptime, Until: o.Uptime + d.Confirm.Deadline}, o)
		case a.Exit == 4:
			return rollBack(p.Trial, ReasonUnit, fmt.Sprintf("failed while it was activated: %s", list(fresh)), o)
		case a.Exit >= 0:
			return rollBack(p.Trial, ReasonActivation, fmt.Sprintf("switch-to-configuration exited %d: %s", a.Exit, a.Why), o)
		case p.Attempt == 1:
			// Without an exit code the switch may have ended anywhere, even
			// with /run/current-system flipped and services stopped.
			return enter(Activating{Trial: p.Trial, Attempt: 2, Since: p.Since}, o)
		}
		return rollBack(p.Trial, ReasonActivation, "switch-to-configuration was killed twice: "+a.Why, o)
	}
	switch {
	case o.Uptime >= p.Since+limit:
		return rollBack(p.Trial, ReasonDeadline, fmt.Sprintf("the activation took longer than %v", limit), o)
	case o.Guard.ID != d.ID || !o.Guard.Alive:
		return Run{SetGuard{d, p.Since + max(limit, d.Confirm.Deadline)}}
	}
	return Run{Activate{d, p.Attempt, p.Baseline}}
}

func confirming(p Confirming, r Record, o Observation) Action {
	d, w := p.Deployment, r.Work.Watch
	if next, gone := lost(p.Trial, o); gone {
		return next
	}
	if o.Slots.Running == d.Old.Toplevel {
		return goneBack(p.Trial, Cause{ReasonDeadline, "the guard went back to the old system"}, o)
	}
	own, current := o.Agent == o.TrialAgent, o.Slots.Running == d.New.Toplevel
	cause, failed := w.failure(p.Since, o.Uptime, superseded(d, r))
	switch {
	case p.Approved && current:
		return enter(Promoting{Trial: p.Trial, Try: 1}, o)
	case p.Held != "":
		return Wait{}
	case failed && d.Rollback == RollbackHold:
		return enter(Confirming{Trial: p.Trial, Since: p.Since, Until: p.Until, Held: cause.Why}, o)
	case failed && d.Rollback == RollbackNever && current:
		return enter(Promoting{Trial: p.Trial, Try: 1}, o)
	case failed:
		return rollBack(p.Trial, cause.Reason, cause.Why, o)
	case d.Testing() && overtaken(d, r) != "":
		return rollBack(p.Trial, ReasonTesting, overtaken(d, r), o)
	case d.Testing() && own && current && o.Uptime >= p.Until:
		if reds := w.Reds(); len(reds) > 0 {
			return rollBack(p.Trial, reds[0].Reason, "its time is over; "+w.story(), o)
		}
		return rollBack(p.Trial, ReasonTesting, "its time is over; "+w.verdict(d.Confirm.Window), o)
	case o.Uptime >= p.Until && d.Rollback == RollbackHold:
		return enter(Confirming{Trial: p.Trial, Since: p.Since, Until: p.Until, Held: "not confirmed in time: " + w.unconfirmed()}, o)
	case o.Uptime >= p.Until && d.Rollback == RollbackNever && own && current:
		return enter(Promoting{Trial: p.Trial, Try: 1}, o)
	case o.Uptime >= p.Until && !own:
		return rollBack(p.Trial, ReasonAgent, "the new system's agent did not take over in time", o)
	case o.Uptime >= p.Until:
		return rollBack(p.Trial, ReasonDeadline, fmt.Sprintf("not confirmed within %v: %s", d.Confirm.Deadline, w.unconfirmed()), o)
	case own && current && w.stable(d.Confirm.Window) && o.AgentUp >= d.Confirm.Window && !d.Testing():
		return enter(Promoting{Trial: p.Trial, Try: 1}, o)
	case o.TrialAgent == "":
		return rollBack(p.Trial, ReasonAgent, "the new system has no infra-agent", o)
	case p.Guard() != 0 && (o.Guard.ID != d.ID || !o.Guard.Alive || o.Guard.Until != p.Guard()):
		return Run{SetGuard{d, p.Guard()}}
	case p.Guard() == 0 && o.Guard.ID == d.ID && o.Guard.Until != 0:
		return Run{SetGuard{d, 0}}
	case o.Uptime < p.Since+d.Confirm.Settle:
		return Wait{Until: at(p.Since+d.Confirm.Settle, o)}
	}
	if next := w.nextSampling(d.Confirm, d.New.Checks); w.Last > 0 && o.Uptime < next {
		return Wait{Until: at(min(next, p.Until), o)}
	}
	return Run{Sample{d, w.due(d.New.Checks, o.Uptime), p.Baseline}}
}

// superseded reports whether a newer revision waits behind d.
func superseded(d Deployment, r Record) bool {
	return r.Work.Tip.Commit != "" && r.Work.Tip.Commit != d.New.Revision && r.Work.Tip.Commit != r.Anchor
}

// lost handles what every phase before promotion has in common: a reboot ends
// the trial, because the boot default is the old system; and the guard may have
// decided first.
func lost(t Trial, o Observation) (Action, bool) {
	switch {
	case o.Boot != t.Deployment.Boot:
		return goneBack(t, Cause{ReasonReboot, "the node rebooted before the trial was confirmed"}, o), true
	case guardActs(t.Deployment, o):
		return Wait{Until: o.Now.Add(time.Second)}, true
	}
	return nil, false
}

func promoting(p Promoting, r Record, o Observation) Action {
	d := p.Deployment
	back := func(reason Reason, why string) Action {
		return enter(RollingBack{Trial: p.Trial, Cause: Cause{reason, why}, Attempt: 1, Promoted: true}, o)
	}
	job := Promote{d, p.Try}
	switch {
	case guardActs(d, o):
		return Wait{Until: o.Now.Add(time.Second)}
	case o.Boot != d.Boot && o.Slots.Running == d.Old.Toplevel:
		return back(ReasonReboot, "the node rebooted into the old system while the new one was promoted")
	case o.Slots.Running == d.Old.Toplevel && !o.Slots.agree():
		return back(ReasonOperator, "a person switched back to the old system while the new one was promoted")
	case o.Slots.Running == d.Old.Toplevel: // the guard was faster
		return goneBack(p.Trial, Cause{ReasonDeadline, "the guard went back to the old system"}, o)
	case r.Work.Last.Key != job.Key():
		return Run{job}
	case r.Work.Last.OK:
		return Note{Promoted{At: o.Now}}
	case p.Try < PromoteTries:
		return enter(Promoting{Trial: p.Trial, Try: p.Try + 1}, o)
	}
	return back(ReasonPromotion, r.Work.Last.Why)
}

func list(units []string) string {
	const most = 5
	s := ""
	for i, u := range units {
		if i == most {
			return fmt.Sprintf("%s and %d more", s, len(units)-most)
		}
		if i > 0 {
			s += ", "
		}
		s += u
	}
	return s
}
