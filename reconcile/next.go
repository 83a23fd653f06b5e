package reconcile

import "time"

// Next says what to do now. It is total and idempotent: the same record and
// observation give the same action.
func Next(r Record, o Observation) Action {
	act := decide(r, o)
	if o.Job == nil {
		if _, begins := act.(Run); begins && r.Work.Pause.lasts(o.Now) {
			return Wait{Until: r.Work.Pause.Until}
		}
		return act
	}
	// A running job is ended by a change of phase or of what is wanted. While a
	// trial is confirmed the next one waits for it.
	switch act := act.(type) {
	case Run:
		if _, confirming := r.Phase.(Confirming); !confirming && ends(act.Job, o.Job, r) {
			return Cancel{}
		}
		return Wait{Until: phaseEnd(r.Phase, o)}
	case Note:
		if e, entering := act.Event.(Entered); entering && !extends(r.Phase, e.Phase) {
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

// extends reports whether next is the same trial with more time.
func extends(now, next Phase) bool {
	p, confirming := now.(Confirming)
	q, confirms := next.(Confirming)
	return confirming && confirms && q.Until > p.Until
}

// phaseEnd returns when the phase's own deadline passes; zero: it has none.
func phaseEnd(p Phase, o Observation) time.Time {
	switch p := p.(type) {
	case Activating:
		return at(p.Since+o.Policy.Limits.Activate, o)
	case Confirming:
		return at(p.Until, o)
	case VerifyingRollback:
		return at(p.Since+verifyWithin(p, o), o)
	default:
		return time.Time{}
	}
}
