package reconcile

import (
	"fmt"
	"time"
)

// A trial is begun, activated, judged and made permanent by the functions of this
// file, one for each phase. Where it goes wrong, ruling.go says what follows.

func arming(p Arming, r Record, o Observation) Action {
	d := p.Deployment
	switch {
	case o.Boot != d.Boot:
		return Note{Aborted{Why: "the node rebooted before the trial began", At: o.Now}}
	case r.Work.Armed:
		return enter(Activating{Trial: p.Trial, Attempt: 1, Since: o.Uptime}, o)
	}
	var job Job = Arm{d}
	if !p.Measured {
		job = Measure{d}
	}
	if r.Work.Last.Job == KeyOf(job) && !r.Work.Last.OK {
		return Note{Aborted{Gate: GatePreflight, Why: "the trial could not begin: " + r.Work.Last.Why, At: o.Now}}
	}
	return Run{job}
}

func activating(p Activating, r Record, o Observation) Action {
	d, limit := p.Deployment, o.Policy.Limits.Activate
	if next, gone := lost(p.Trial, Cause{Reason: ReasonDeadline, Why: "the guard went back to the old system"}, o); gone {
		return next
	}
	if o.Guard.ID == d.ID && o.Guard.Until == 0 { // it is off only when it has tried to go back
		return rollBack(p.Trial, Cause{Reason: ReasonDeadline, Why: "the guard could not bring the old system back"}, o)
	}
	if a := r.Work.Activation; a != nil && a.Attempt == p.Attempt {
		return activated(p, *a, o)
	}
	switch {
	case o.Uptime >= p.Since+limit:
		return p.unactivated(Cause{Reason: ReasonDeadline, Why: fmt.Sprintf("the activation took longer than %v", limit)}, o)
	case o.Guard.ID != d.ID || !o.Guard.Alive:
		return Run{SetGuard{d, p.Since + ArmedFor(o.Policy, d.Confirm)}}
	}
	return Run{Activate{d, p.Attempt, p.Baseline}}
}

// activated judges how the trial unit ended.
func activated(p Activating, a Activation, o Observation) Action {
	fresh, unbegun := triage(p.Trial, a), a.Hold != "" && p.Attempt > 1
	switch {
	case a.Hold != "" && p.Attempt == 1 && o.Slots.Running == p.Deployment.Old.Toplevel: // it refused to begin
		return Note{Aborted{Gate: a.Hold, Why: a.Why, At: o.Now}}
	case a.Exit == 0, a.Exit == 4 && len(fresh) == 0:
		return p.confirm(o, "", Cause{})
	case a.Exit == 4:
		return p.unactivated(Cause{Reason: ReasonUnit, Why: "failed while it was activated: " + list(fresh), Outside: a.Node || subset(fresh, a.Outside)}, o)
	case a.Exit >= 0:
		return p.unactivated(Cause{Reason: ReasonActivation, Why: fmt.Sprintf("switch-to-configuration exited %d: %s", a.Exit, a.Why), Outside: unbegun || a.Node}, o)
	case p.Attempt == 1:
		// Without an exit code the switch may have ended anywhere, even
		// with /run/current-system flipped and services stopped.
		return enter(Activating{Trial: p.Trial, Attempt: 2, Since: p.Since}, o)
	}
	return p.unactivated(Cause{Reason: ReasonActivation, Why: "switch-to-configuration was killed twice: " + a.Why, Outside: unbegun}, o)
}

// confirm begins to judge the new system: held where held says why, and kept all the
// same where flaw says what is wrong with it.
func (p Activating) confirm(o Observation, held string, flaw Cause) Action {
	until := o.Uptime + p.Deployment.Confirm.Deadline
	return enter(Confirming{Trial: p.Trial, Since: o.Uptime, Until: until, Held: held, Flaw: flaw}, o)
}

// unactivated: the activation failed. A system that does not run cannot be kept.
func (p Activating) unactivated(c Cause, o Observation) Action {
	if o.Slots.Running != p.Deployment.New.Toplevel {
		return rollBack(p.Trial, c, o)
	}
	switch rule(p.Deployment.Rollback, troubleActivation) {
	case rulingHold:
		return p.confirm(o, c.Why, Cause{})
	case rulingKeep:
		return p.confirm(o, "", c)
	case rulingBack:
	}
	return rollBack(p.Trial, c, o)
}

func confirming(p Confirming, r Record, o Observation) Action {
	d, w := p.Deployment, r.Work.Watch
	if next, gone := lost(p.Trial, w.unconfirmed("the guard went back to the old system", r), o); gone {
		return next
	}
	if o.Slots.Running == d.Old.Toplevel {
		return goneBack(p.Trial, Cause{Reason: ReasonOperator, Why: "somebody switched back to the old system"}, o)
	}
	own, current := o.Own(d), o.Slots.Running == d.New.Toplevel
	if p.Approved && current {
		flaw := p.Flaw
		if p.Held != "" {
			flaw = Cause{Reason: ReasonOperator, Why: p.Held} // a person takes it all the same
		}
		return enter(Promoting{Trial: p.Trial, Try: 1, Flaw: flaw}, o)
	}
	if p.Held == "" {
		if next, decided := judge(p, r, own, current, o); decided {
			return next
		}
	}
	proof := follows(p, r, o)
	undrain := pay(r, o, DebtUndrain) // before the checks are judged
	until, armed := p.GuardUntil(own && proof.done), o.Guard.ID == d.ID && o.Guard.Until != 0
	switch {
	case until != 0 && (!armed || !o.Guard.Alive || o.Guard.Until != until), until == 0 && armed:
		return Run{SetGuard{d, until}}
	case undrain != nil:
		return undrain
	case o.Uptime < p.Since+d.Confirm.Settle && p.Held == "":
		return Wait{Until: sooner(at(p.Since+d.Confirm.Settle, o), nextDebt(r, o))}
	case own && proof.job != nil && (w.Last > 0 || p.Held != "") && !r.Work.Following.Pause.lasts(o.Now):
		return Run{proof.job}
	case p.Held != "":
		return Wait{}
	}
	if next := w.nextSampling(d.Confirm, d.New.Checks); w.Last > 0 && o.Uptime < next {
		return Wait{Until: sooner(at(min(next, p.Until), o), nextDebt(r, o))}
	}
	return Run{Sample{d, w.due(d.New.Checks, o.Uptime), p.Baseline}}
}

// judge decides what follows from what was seen of the trial so far; false: nothing yet.
func judge(p Confirming, r Record, own, current bool, o Observation) (Action, bool) {
	d, w, proof := p.Deployment, r.Work.Watch, follows(p, r, o)
	cause, failed := w.failure(p.Since, o.Uptime, superseded(d, r))
	cause.Outside = cause.Outside || stillDrained(cause, r)
	furthest := p.Since + d.Confirm.DeadlineMax
	deaf := failed && cause.Reason == ReasonConnectivity && rule(d.Rollback, troubleRed) != rulingBack
	switch {
	case own && proof.wrong:
		return p.rule(troubleDeaf, proof.cause(), current, proof.done, o)
	case deaf && o.Uptime >= p.Until: // no later commit would reach a system without network, so it is not kept in any mode
		return p.rule(troubleDeaf, cause, current, proof.done, o)
	case failed && !deaf && (o.Uptime < p.Until || rule(d.Rollback, troubleRed) != rulingKeep):
		return p.rule(troubleRed, cause, current, proof.done, o)
	case d.Testing() && overtaken(d, r) != "":
		return rollBack(p.Trial, Cause{Reason: ReasonTesting, Why: overtaken(d, r)}, o), true
	case o.Uptime >= p.Until && !own:
		return p.rule(troubleNoAgent, Cause{Reason: ReasonAgent, Why: "the new system's agent did not take over in time"}, current, proof.done, o)
	case o.Uptime >= p.Until && o.AgentUp < d.Confirm.Window && rule(d.Rollback, troubleLate) != rulingBack:
		return p.rule(troubleNoAgent, Cause{Reason: ReasonAgent, Why: fmt.Sprintf("the new system's agent did not stay up for %v", d.Confirm.Window)}, current, proof.done, o)
	case own && (proof.outage || showing(o)) && o.Uptime >= p.Until && p.Until < furthest: // an outage of the git server, and a slow evaluation, are waited for
		return enter(Confirming{Trial: p.Trial, Since: p.Since, Until: furthest, Flaw: p.Flaw}, o), true
	case o.Uptime >= p.Until && !proof.done && ((proof.why != "" || w.stable(d.Confirm.Window)) && len(w.Red) == 0 || rule(d.Rollback, troubleLate) != rulingBack):
		return p.rule(troubleDeaf, proof.cause(), current, proof.done, o)
	case o.Uptime >= p.Until:
		return p.rule(troubleLate, p.late(w, r), current, proof.done, o)
	case own && current && proof.done && w.stable(d.Confirm.Window) && o.AgentUp >= d.Confirm.Window && !d.Testing():
		return enter(Promoting{Trial: p.Trial, Try: 1, Flaw: p.Flaw}, o), true
	case o.TrialAgent == "" && !d.New.Retires:
		return p.rule(troubleNoAgent, Cause{Reason: ReasonAgent, Why: "the new system has no infra-agent"}, current, proof.done, o)
	}
	return nil, false
}

// showing reports whether a step of the proof that the agent follows is being taken.
func showing(o Observation) bool { return o.Job != nil && PurposeOf(o.Job) == PurposeFollow }

// late says why a trial was not confirmed in time.
func (p Confirming) late(w Watch, r Record) Cause {
	reds := w.Reds()
	switch {
	case !p.Deployment.Testing():
		return w.unconfirmed(fmt.Sprintf("not confirmed within %v", p.Until-p.Since), r)
	case len(reds) > 0:
		return Cause{Reason: reds[0].Reason, Why: "its time is over; " + w.story(), Outside: reds[0].Outside}
	default:
		return Cause{Reason: ReasonTesting, Why: "its time is over; " + w.verdict(p.Deployment.Confirm.Window)}
	}
}

// rule takes what ruling.go says of the trouble. What is not current, or whose agent has
// not stayed up, or not shown that it follows, cannot be kept yet.
func (p Confirming) rule(t trouble, c Cause, current, follows bool, o Observation) (Action, bool) {
	switch rule(p.Deployment.Rollback, t) {
	case rulingHold:
		return enter(Confirming{Trial: p.Trial, Since: p.Since, Until: p.Until, Held: c.Why, Flaw: p.Flaw}, o), true
	case rulingKeep:
		if !current || o.AgentUp < p.Deployment.Confirm.Window || !follows {
			return nil, false
		}
		return enter(Promoting{Trial: p.Trial, Try: 1, Flaw: c}, o), true
	case rulingBack:
	}
	return rollBack(p.Trial, c, o), true
}

// GuardUntil returns when the guard goes back, on the boot-time clock; 0: it is off.
// own says that the new system's agent has taken over, and follows the branch. Until then
// nobody else could hear a person's wish, so the guard is armed in every mode.
func (p Confirming) GuardUntil(own bool) time.Duration {
	if own && (rule(p.Deployment.Rollback, troubleLate) != rulingBack || p.Held != "") {
		return 0
	}
	return p.Until + guardGrace
}

// Guarded returns when the guard goes back, as the agent wants it now, on the boot-time
// clock; 0: it is off.
func (p Confirming) Guarded(r Record, o Observation) time.Duration {
	return p.GuardUntil(o.Own(p.Deployment) && follows(p, r, o).done)
}

// superseded reports whether a newer revision waits behind d.
func superseded(d Deployment, r Record) bool {
	return r.Work.Tip.Commit != "" && r.Work.Tip.Commit != d.New.Revision && r.Work.Tip.Commit != r.Anchor
}

// lost handles what every phase before promotion has in common: a reboot ends
// the trial, because the boot default is the old system; and the guard may have
// decided first, for the given cause as far as the agent knows.
func lost(t Trial, guard Cause, o Observation) (Action, bool) {
	d := t.Deployment
	switch {
	case o.Boot != d.Boot:
		return goneBack(t, Cause{Reason: ReasonReboot, Why: "the node rebooted before the trial was confirmed"}, o), true
	case guardActs(d, o):
		return Wait{Until: o.Now.Add(time.Second)}, true
	case o.Slots.Running == d.Old.Toplevel && o.Guard.ID == d.ID && (o.Guard.Until == 0 || o.Uptime >= o.Guard.Until): // on a full disk it cannot write that it did
		return goneBack(t, guard, o), true
	}
	return nil, false
}

func promoting(p Promoting, r Record, o Observation) Action {
	d := p.Deployment
	back := func(c Cause) Action {
		return enter(RollingBack{Trial: p.Trial, Cause: c, Attempt: 1, Promoted: true}, o)
	}
	job := Promote{d, p.Try}
	switch {
	case guardActs(d, o):
		return Wait{Until: o.Now.Add(time.Second)}
	case o.Boot != d.Boot && o.Slots.Running == d.Old.Toplevel:
		return back(Cause{Reason: ReasonReboot, Why: "the node rebooted into the old system while the new one was promoted"})
	case o.Slots.Running == d.Old.Toplevel && !o.Slots.agree():
		return back(Cause{Reason: ReasonOperator, Why: "a person switched back to the old system while the new one was promoted"})
	case o.Slots.Running == d.Old.Toplevel: // the guard was faster
		return goneBack(p.Trial, Cause{Reason: ReasonDeadline, Why: "the guard went back to the old system"}, o)
	case p.Flaw.Reason == ReasonPromotion: // it is kept all the same, and made the default later
		return Note{Promoted{At: o.Now}}
	case r.Work.Last.Job != KeyOf(job):
		return Run{job}
	case r.Work.Last.OK:
		return Note{Promoted{At: o.Now}}
	case p.Try < PromoteTries && r.Work.Pause.lasts(o.Now):
		return Wait{Until: r.Work.Pause.Until}
	case p.Try < PromoteTries:
		return enter(Promoting{Trial: p.Trial, Try: p.Try + 1, Flaw: p.Flaw}, o)
	}
	cause := Cause{Reason: ReasonPromotion, Why: r.Work.Last.Why, Outside: !r.Work.Last.Rejected}
	if rule(d.Rollback, troublePromotion) == rulingKeep {
		return enter(Promoting{Trial: p.Trial, Try: p.Try, Flaw: cause}, o)
	}
	return back(cause)
}

// subset reports whether all of a are in b.
func subset(a, b []string) bool {
	in := map[string]bool{}
	for _, s := range b {
		in[s] = true
	}
	for _, s := range a {
		if !in[s] {
			return false
		}
	}
	return true
}
