package reconcile

import (
	"fmt"
	"time"
)

// A Verb is an operator's wish that changes something.
//
//sumtype:decl
type Verb interface{ verb() }

// The verbs.
type (
	Sync    struct{} // poll now
	Suspend struct { // no deployment leaves Idle
		Reason string
		Until  time.Time // zero: until Resume
	}
	Resume      struct{}                   // ends a suspension
	LetRetire   struct{}                   // "confirm --retire": the next system may have no agent
	Approve     struct{}                   // "confirm": skip the checks of the trial
	CancelTrial struct{}                   // "cancel": roll back now
	Extend      struct{ By time.Duration } // more time to confirm
	StepBack    struct{}                   // "rollback": deploy the previous good system
	Retry       struct{}                   // forget what failed
	Adopt       struct{}                   // take the running system as good, drift included
	AllowRewind struct{ To Commit }        // accept this revision once
)

func (Sync) verb()        {}
func (Suspend) verb()     {}
func (Resume) verb()      {}
func (LetRetire) verb()   {}
func (Approve) verb()     {}
func (CancelTrial) verb() {}
func (Extend) verb()      {}
func (StepBack) verb()    {}
func (Retry) verb()       {}
func (Adopt) verb()       {}
func (AllowRewind) verb() {}

// A RefusedError says why a verb cannot be carried out now.
type RefusedError struct {
	Why  string
	Hint string
}

func (e *RefusedError) Error() string { return e.Why }

func refuse(hint, format string, args ...any) error {
	return &RefusedError{Why: fmt.Sprintf(format, args...), Hint: hint}
}

// Command turns an operator's wish into the events that fulfil it, or refuses
// with a [*RefusedError].
func Command(r Record, o Observation, v Verb) ([]Event, error) {
	if r.Unreadable != "" {
		return nil, refuse("read the runbook in docs/state.md", "the record cannot be used: %s", r.Unreadable)
	}
	if _, sync := v.(Sync); sync {
		return []Event{Synced{}}, nil
	}
	if GoingBack(r.Phase) && Name(r.Phase) != "stuck" {
		return nil, refuse(`wait for "infra-agent status" to show idle`, "busy: a rollback is under way")
	}
	switch v := v.(type) {
	case Suspend:
		if !v.Until.IsZero() && !v.Until.After(o.Now) {
			return nil, refuse("", "a suspension until %s would be over already", v.Until.Format(time.RFC3339))
		}
		return []Event{Suspended{Reason: v.Reason, Until: v.Until, At: o.Now}}, nil
	case Resume:
		if r.Suspended.Since.IsZero() {
			return nil, refuse("", "not suspended")
		}
		return []Event{Resumed{}}, nil
	case Retry:
		return []Event{Retried{}}, nil
	case LetRetire:
		return []Event{Retiring{}}, nil
	case AllowRewind:
		return []Event{Rewound(v)}, nil
	case Approve:
		p, ok := r.Phase.(Confirming)
		if !ok {
			return nil, refuse(`"infra-agent status" shows what is in flight`, "nothing to confirm: the node is %s", Name(r.Phase))
		}
		if p.Deployment.Testing() {
			return nil, refuse("merge it into the branch, where it is tried again and made permanent", "a commit of the testing branch is only tried")
		}
		p.Approved = true
		return []Event{Entered{Phase: p, At: r.Tally.Entered}}, nil
	case Extend:
		return extend(r, v.By)
	case CancelTrial:
		return cancelTrial(r, o)
	case StepBack:
		return stepBack(r, o)
	case Adopt:
		return adopt(r, o)
	case Sync:
	}
	panic(unknown("verb", v))
}

func extend(r Record, by time.Duration) ([]Event, error) {
	p, ok := r.Phase.(Confirming)
	if !ok {
		return nil, refuse("", "nothing to extend: the node is %s", Name(r.Phase))
	}
	furthest := p.Since + p.Deployment.Confirm.DeadlineMax
	if by <= 0 || p.Until+by > furthest {
		return nil, refuse("confirm.deadline_max is the limit", "cannot extend by %v: at most %v more", by, max(0, furthest-p.Until))
	}
	p.Until += by
	return []Event{Entered{Phase: p, At: r.Tally.Entered}}, nil
}

func cancelTrial(r Record, o Observation) ([]Event, error) {
	cause := Cause{Reason: ReasonOperator, Why: "a person cancelled it"}
	var stay []Event
	if r.Back != "" {
		stay = []Event{SteppingBack{}}
	}
	switch p := r.Phase.(type) {
	case Arming:
		return append(stay, Aborted{At: o.Now}, Suspended{Reason: "cancelled by a person", At: o.Now}), nil
	case Activating:
		return []Event{Entered{Phase: RollingBack{Trial: p.Trial, Cause: cause, Attempt: 1}, At: o.Now}}, nil
	case Confirming:
		return []Event{Entered{Phase: RollingBack{Trial: p.Trial, Cause: cause, Attempt: 1}, At: o.Now}}, nil
	case Promoting:
		return nil, refuse(`"infra-agent rollback" goes back afterwards`, "too late: the system is being promoted")
	case Idle, RollingBack, VerifyingRollback, RebootingBack, Stuck:
		if len(stay) > 0 {
			return stay, nil
		}
		return nil, refuse(`"infra-agent suspend REASON" keeps the next one from starting`, "nothing to cancel: the node is %s", Name(p))
	}
	panic(unknown("phase", r.Phase))
}

func stepBack(r Record, o Observation) ([]Event, error) {
	if _, ok := r.Phase.(Idle); !ok {
		if _, ok := r.Phase.(Confirming); ok {
			return cancelTrial(r, o)
		}
		return nil, refuse(`"infra-agent cancel" ends a trial`, "busy: the node is %s", Name(r.Phase))
	}
	if r.Previous.Toplevel == "" || r.Previous.Toplevel == r.Good.Toplevel {
		return nil, refuse("", "there is no earlier good system to go back to")
	}
	if h := blocked(r.Previous.Toplevel, r); h.Gate != "" {
		return nil, refuse(`"infra-agent retry" forgets that it failed`, "the earlier good system is blocked: %s", r.Blocked[r.Previous.Toplevel].Why)
	}
	if o.Slots.Running != r.Good.Toplevel {
		return nil, refuse(`"infra-agent status" says why`, "the running system is not the good one")
	}
	return []Event{SteppingBack{To: r.Previous.Toplevel}}, nil
}

func adopt(r Record, o Observation) ([]Event, error) {
	if _, ok := r.Phase.(Idle); !ok {
		if _, ok := r.Phase.(Stuck); !ok {
			return nil, refuse("", "busy: the node is %s", Name(r.Phase))
		}
	}
	if o.Slots.Running == "" {
		return nil, refuse("", "/run/current-system cannot be read")
	}
	events := []Event{Accepted{Slots: o.Slots, At: o.Now}}
	if _, ok := r.Phase.(Stuck); ok {
		events = append([]Event{Abandoned{At: o.Now}}, events...)
	}
	return events, nil
}
