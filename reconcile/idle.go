package reconcile

import (
	"fmt"
	"slices"
)

// idle decides while nothing is in flight: a suspension that is over ends, debts are paid, what earlier deployments
// left is tidied up, then the running system must be the good one, an agent that is
// no part of it ends, what another tool has activated is looked at, and then the first candidate that may go on is
// brought on. The hold says why the branch waits.
func idle(r Record, o Observation) (Action, Hold) {
	if r.Suspended.over(o.Now) {
		return Note{Resumed{}}, Hold{}
	}
	if act := pay(r, o, DebtKinds...); act != nil {
		return act, Hold{}
	}
	if !r.Work.Tidied {
		return Run{Tidy{Keep: keep(r, o)}}, Hold{}
	}
	act, h := ownSystem(r, o)
	if act == nil && o.Orphan && len(r.Owed) == 0 {
		return retire(r), Hold{}
	}
	if act == nil && h.Gate == "" {
		act = lookOn(r, o)
	}
	if act == nil {
		act = Wait{Until: h.Until}
		if h.Gate == "" {
			act, h = bringOn(r, o)
		}
	}
	if rest, resting := act.(Wait); resting {
		look := nextBaseline(r, o)
		if !look.IsZero() && !look.After(o.Now) {
			return Run{looksOut(r, o)}, h
		}
		act = Wait{Until: sooner(sooner(rest.Until, nextDebt(r, o)), look)}
	}
	return act, h
}

// retire ends the agent, once.
func retire(r Record) Action {
	if r.Work.Last.Job == KeyOf(Retire{}) && r.Work.Last.OK {
		return Wait{}
	}
	return Run{Retire{}}
}

// ownSystem makes sure that the running system is the good one: it adopts, or
// holds over a system that somebody else put there. No action and no hold: all is well.
func ownSystem(r Record, o Observation) (Action, Hold) {
	s := o.Slots
	drift := func(why string) (Action, Hold) {
		return nil, Hold{Gate: GateDrift, Why: why, Hint: `make running system, profile and boot default agree, or run "infra-agent adopt"`}
	}
	switch {
	case s.Running == "":
		return drift("/run/current-system cannot be read")
	case o.Policy.Observe && s.Running == r.Good.Toplevel: // profile and boot default are the other tool's
	case o.Policy.Observe:
		return Note{Adopted{System: s.Running, At: o.Now}}, Hold{}
	case s == r.Foreign.Accepted && s.Running == r.Good.Toplevel:
	case s.Running != r.Good.Toplevel && s.agree():
		return Note{Adopted{System: s.Running, ByHand: r.Good.Toplevel != "", At: o.Now}}, Hold{}
	case s.Running == r.Good.Toplevel && owes(r, DebtRestore): // it cannot be made the default yet: the next commit may mend that
	case s.Profile != s.Running:
		return drift(fmt.Sprintf("the running system %s is not the system profile %s", s.Running, s.Profile))
	case !s.agree():
		return drift(fmt.Sprintf("the running system %s is not the boot default %s", s.Running, s.Default))
	}
	return nil, Hold{}
}

// keep lists the toplevels that must not be garbage collected, without repeats.
func keep(r Record, o Observation) []Toplevel {
	all := []Toplevel{o.Slots.Running, o.Booted, r.Good.Toplevel, r.Previous.Toplevel}
	slices.Sort(all)
	return slices.DeleteFunc(slices.Compact(all), func(t Toplevel) bool { return t == "" })
}
