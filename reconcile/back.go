package reconcile

import (
	"fmt"
	"time"
)

func rollBack(t Trial, c Cause, o Observation) Action {
	return enter(RollingBack{Trial: t, Cause: overslept(t, c, o), Attempt: 1}, o)
}

// overslept returns c as an outside cause where it is a deadline that passed while the machine
// slept: nobody could confirm the system meanwhile.
func overslept(t Trial, c Cause, o Observation) Cause {
	if timed := c.Reason == ReasonDeadline || c.Reason == ReasonAgent; timed && o.Asleep > t.Deployment.Asleep && o.Boot == t.Deployment.Boot {
		c.Why, c.Outside = c.Why+"; the machine slept meanwhile", true
	}
	return c
}

// goneBack goes on from where somebody else (the guard, or a reboot) has brought the old system back.
func goneBack(t Trial, c Cause, o Observation) Action {
	return enter(VerifyingRollback{Trial: t, Cause: overslept(t, c, o), Boot: o.Boot, Since: o.Uptime}, o)
}

func rollingBack(p RollingBack, r Record, o Observation) Action {
	d := p.Deployment
	job := GoBack{d, p.Attempt, o.Uptime + d.RecoveryUnder(o.Policy).Switch}
	running := o.Slots.Running == d.Old.Toplevel
	a := r.Work.Activation
	ended := a != nil && a.Attempt == p.Attempt || r.Work.Last.Job == KeyOf(job)
	switch {
	case guardActs(d, o):
		return Wait{Until: o.Now.Add(time.Second)}
	case o.Boot != d.Boot && running && !p.Promoted:
		return goneBack(p.Trial, p.Cause, o)
	case !ended && (!running || !restoring(r)):
		return Run{job}
	case running && (p.Attempt > 1 || restoring(r) || wellActivated(p.Trial, a)): // without an exit code services may be stopped still
		return restored(p, r, o)
	case p.Attempt == 1:
		return enter(RollingBack{Trial: p.Trial, Cause: p.Cause, Attempt: 2, Promoted: p.Promoted}, o)
	}
	return lastResort(p.Trial, p.Cause, "the old system did not become current: "+wayBack(r), o)
}

// wellActivated reports whether a switch ended with 0, or with 4 because of units that
// were broken before the trial.
func wellActivated(t Trial, a *Activation) bool {
	return a != nil && (a.Exit == 0 || a.Exit == 4 && len(triage(t, *a)) == 0)
}

// restored sets profile and boot loader back where a promotion had begun, now that the old
// system runs. What cannot be set back stays a debt.
func restored(p RollingBack, r Record, o Observation) Action {
	if !p.Promoted || o.Slots.agree() || restoring(r) && r.Work.Errors >= PromoteTries {
		return goneBack(p.Trial, p.Cause, o)
	}
	return Run{Restore{System: p.Deployment.Old.Toplevel}}
}

// restoring reports whether the last job was one that sets profile and boot loader back.
func restoring(r Record) bool { return r.Work.Last.Job.Kind == KeyOf(Restore{}).Kind }

// wayBack says how the last way back ended.
func wayBack(r Record) string {
	if a := r.Work.Activation; a != nil {
		return fmt.Sprintf("switch-to-configuration exited %d: %s", a.Exit, a.Why)
	}
	return r.Work.Last.Why
}

// lastResort reboots once for a deployment, or asks for a person.
func lastResort(t Trial, c Cause, why string, o Observation) Action {
	c.Why += "; " + why
	if t.Deployment.RecoveryUnder(o.Policy).LastResort == LastResortStuck || o.Boot != t.Deployment.Boot || o.Guard.Rebooted {
		return enter(Stuck{Trial: t, Cause: c}, o)
	}
	return enter(RebootingBack{Trial: t, Cause: c, Since: o.Uptime}, o)
}

func verifyingRollback(p VerifyingRollback, r Record, o Observation) Action {
	d, w := p.Deployment, r.Work.Watch
	checks, undrain := d.Old.Checks, pay(r, o, DebtUndrain)
	limit := verifyWithin(p, o)
	switch {
	case o.Slots.Running == d.New.Toplevel:
		return enter(RollingBack{Trial: p.Trial, Cause: p.Cause, Attempt: 1, Promoted: true}, o)
	case undrain != nil:
		return undrain
	case o.Boot != p.Boot: // rebooted once more meanwhile
		return enter(VerifyingRollback{Trial: p.Trial, Cause: p.Cause, Boot: o.Boot, Since: o.Uptime}, o)
	case w.GreenSince > 0 && !w.Silent:
		return Note{RolledBack{At: o.Now}}
	case o.Uptime < p.Since+limit:
		if next := w.nextSampling(d.Confirm, checks); w.Last > 0 && o.Uptime < next {
			return Wait{Until: sooner(at(next, o), nextDebt(r, o))}
		}
		return Run{Sample{d, w.due(checks, o.Uptime), p.Baseline}}
	case w.Silent && hosts(p.Baseline.Targets) >= minHosts && p.Cause.Reason == ReasonConnectivity &&
		o.Boot == d.Boot && !o.Guard.Rebooted && d.RecoveryUnder(o.Policy).LastResort == LastResortReboot:
		return lastResort(p.Trial, p.Cause, "no target answers the old system either", o)
	}
	why := w.story()
	if why == "" && !w.Silent {
		why = fmt.Sprintf("its health could not be seen within %v", limit)
	}
	return Note{RolledBack{At: o.Now, Unhealthy: why, Silent: w.Silent}}
}

// verifyWithin is how long the old system may take to be healthy again, its checks' own
// time included.
func verifyWithin(p VerifyingRollback, o Observation) time.Duration {
	return p.Deployment.RecoveryUnder(o.Policy).Verify + healthTakes(p.Deployment.Old.Checks)
}

func rebootingBack(p RebootingBack, r Record, o Observation) Action {
	job := Reboot{p.Deployment}
	switch {
	case o.Boot != p.Deployment.Boot:
		return goneBack(p.Trial, p.Cause, o)
	case o.Uptime >= p.Since+limitReboot:
		c := p.Cause
		c.Why += "; the node did not reboot"
		return enter(Stuck{Trial: p.Trial, Cause: c}, o)
	case r.Work.Last.Job == KeyOf(job), o.Guard.Rebooted: // asked for already: never twice
		return Wait{Until: at(p.Since+limitReboot, o)}
	}
	return Run{job}
}

func stuck(p Stuck, o Observation) Action {
	if o.Slots.Running == p.Deployment.Old.Toplevel && o.Slots.agree() {
		return Note{RolledBack{At: o.Now, Unhealthy: "a person brought the old system back"}}
	}
	return Wait{}
}
