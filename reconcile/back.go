package reconcile

import (
	"fmt"
	"time"
)

func rollBack(t Trial, reason Reason, why string, o Observation) Action {
	return enter(RollingBack{Trial: t, Cause: Cause{reason, why}, Attempt: 1}, o)
}

// goneBack: somebody else (the guard, or a reboot) has brought the old system back.
func goneBack(t Trial, c Cause, o Observation) Action {
	return enter(VerifyingRollback{Trial: t, Cause: c, Boot: o.Boot, Since: o.Uptime}, o)
}

func rollingBack(p RollingBack, r Record, o Observation) Action {
	d := p.Deployment
	job := GoBack{d, p.Attempt, p.Promoted, o.Uptime + o.Policy.Limits.Rollback}
	running := o.Slots.Running == d.Old.Toplevel
	// A promotion that had begun must be undone in the profile and the boot loader too.
	restored := running && (!p.Promoted || o.Slots.agree())
	switch {
	case guardActs(d, o):
		return Wait{Until: o.Now.Add(time.Second)}
	case o.Boot != d.Boot && running && !p.Promoted:
		return goneBack(p.Trial, p.Cause, o)
	case r.Work.Last.Key != job.Key():
		return Run{job}
	case restored && (r.Work.Last.OK || p.Attempt > 1): // without an exit code services may be stopped still
		return goneBack(p.Trial, p.Cause, o)
	case p.Attempt == 1:
		return enter(RollingBack{Trial: p.Trial, Cause: p.Cause, Attempt: 2, Promoted: p.Promoted}, o)
	}
	return lastResort(p.Trial, p.Cause, "the old system did not become current: "+r.Work.Last.Why, o)
}

// lastResort reboots once for a deployment, or asks for a person.
func lastResort(t Trial, c Cause, why string, o Observation) Action {
	c.Why += "; " + why
	if o.Policy.LastResort == LastResortStuck || o.Boot != t.Deployment.Boot || o.Guard.Rebooted {
		return enter(Stuck{Trial: t, Cause: c}, o)
	}
	return enter(RebootingBack{Trial: t, Cause: c, Since: o.Uptime}, o)
}

func verifyingRollback(p VerifyingRollback, r Record, o Observation) Action {
	d, w := p.Deployment, r.Work.Watch
	checks := d.Old.Checks
	switch {
	case o.Slots.Running == d.New.Toplevel:
		return enter(RollingBack{Trial: p.Trial, Cause: p.Cause, Attempt: 1, Promoted: true}, o)
	case o.Boot != p.Boot: // rebooted once more meanwhile
		return enter(VerifyingRollback{Trial: p.Trial, Cause: p.Cause, Boot: o.Boot, Since: o.Uptime}, o)
	case w.GreenSince > 0 && !w.Silent:
		return Note{RolledBack{At: o.Now}}
	case o.Uptime < p.Since+o.Policy.Limits.VerifyRollback:
		if next := w.nextSampling(d.Confirm, checks); w.Last > 0 && o.Uptime < next {
			return Wait{Until: at(next, o)}
		}
		return Run{Sample{d, w.due(checks, o.Uptime), p.Baseline}}
	case w.Silent && hosts(p.Baseline.Targets) >= minHosts && p.Cause.Reason == ReasonConnectivity &&
		o.Boot == d.Boot && !o.Guard.Rebooted && o.Policy.LastResort == LastResortReboot:
		return lastResort(p.Trial, p.Cause, "no target answers the old system either", o)
	}
	why := w.story()
	if why == "" && !w.Silent {
		why = fmt.Sprintf("its health could not be seen within %v", o.Policy.Limits.VerifyRollback)
	}
	return Note{RolledBack{At: o.Now, Unhealthy: why, Silent: w.Silent}}
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
	case r.Work.Last.Key == job.Key(), o.Guard.Rebooted: // asked for already: never twice
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
