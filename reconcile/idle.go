package reconcile

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// idle decides while nothing is in flight. The hold is set when something is
// wanted, or amiss, and must wait.
func idle(r Record, o Observation) (Action, Hold) {
	if !r.Work.Tidied {
		return Run{Tidy{Keep: keep(r, o)}}, Hold{}
	}
	if act := pay(r, o); act != nil {
		return act, Hold{}
	}
	if act, h := ownSystem(r, o); act != nil || h.Gate != "" {
		if act == nil {
			return held(h)
		}
		return act, h
	}
	act, h := follow(r, o)
	if rest, resting := act.(Wait); resting && leavesRoom(h) {
		act = spare(rest, r, o)
	}
	if rest, resting := act.(Wait); resting {
		act = Wait{Until: sooner(rest.Until, nextDebt(r, o))}
	}
	return act, h
}

// sooner returns the earlier time; zero is never.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// follow brings the node to what the branch describes.
func follow(r Record, o Observation) (Action, Hold) {
	if h := usableTip(r); h.Gate != "" {
		return held(h)
	}
	tip := r.Work.Tip
	if h := unusable(r, o, tip); h.Gate != "" {
		return held(h)
	}
	if r.Work.Step == nil || r.Work.Step.fetched().Revision.Commit != tip.Commit {
		return Run{Fetch{Tip: tip, Anchor: r.Anchor, Accepted: r.Accepted, Rewind: r.Rewind}}, Hold{}
	}
	if s, ok := evaluatedOf(r.Work.Step); ok && s.Toplevel == r.Good.Toplevel {
		return converged(s, r, o), Hold{}
	}
	return advance(r.Work.Step, r, o)
}

func held(h Hold) (Action, Hold) { return Wait{Until: h.Until}, h }

// advance takes a revision one step further towards its trial.
func advance(step Step, r Record, o Observation) (Action, Hold) {
	switch s := step.(type) {
	case Fetched:
		return Run{Resolve{s}}, Hold{}
	case Resolved:
		if h := ordered(s.Target, r); h.Gate != "" {
			return held(h)
		}
		return Run{Evaluate{s}}, Hold{}
	case Evaluated:
		return evaluated(s, r, o)
	case Built:
		if h := wanted(s.Evaluated, r, o); h.Gate != "" {
			return held(h)
		}
		return Run{Preflight{From: s, Old: o.Slots.Running}}, Hold{}
	case Ready:
		if h := wanted(s.Evaluated, r, o); h.Gate != "" {
			return held(h)
		}
		mode := s.Target.Rollback
		if s.Testing {
			mode = RollbackAlways
		}
		d := deployment(r.Good, System{s.Toplevel, s.Revision.Commit, s.Checks}, mode, o)
		d.Drain, d.Undrain = s.Target.Drain, s.Target.Undrain
		return enter(Arming{Trial: Trial{Deployment: d}}, o), Hold{}
	}
	panic(unknown("step", step))
}

// deployment starts the attempt to bring the node from old to new.
func deployment(old, new System, mode RollbackMode, o Observation) Deployment {
	if mode == "" {
		mode = o.Policy.Rollback
	}
	return Deployment{
		ID: o.Now.UTC().Format("20060102T150405"), Old: old, New: new, Boot: o.Boot,
		Started: o.Now, Rollback: mode, Confirm: o.Policy.Confirm,
	}
}

// ownSystem makes sure that the running system is the good one: it adopts, or
// holds over a system that somebody else put there.
func ownSystem(r Record, o Observation) (Action, Hold) {
	s := o.Slots
	drift := func(why string) (Action, Hold) {
		return nil, Hold{Gate: GateDrift, Why: why, Hint: `make running system, profile and boot default agree, or run "infra-agent adopt"`}
	}
	switch {
	case s.Running == "":
		return drift("/run/current-system cannot be read")
	case s == r.Foreign.Accepted && s.Running == r.Good.Toplevel:
	case s.Running != r.Good.Toplevel && s.agree():
		return Note{Adopted{System: s.Running, ByHand: r.Good.Toplevel != "", At: o.Now}}, Hold{}
	case s.Profile != s.Running:
		return drift(fmt.Sprintf("the running system %s is not the system profile %s", s.Running, s.Profile))
	case !s.agree():
		return drift(fmt.Sprintf("the running system %s is not the boot default %s", s.Running, s.Default))
	}
	if tip := r.Foreign.Tip; tip != "" && (r.Work.Tip.Commit == tip || r.Work.Tip.Commit == "") {
		return nil, Hold{
			Gate: GateDrift, Why: "a person switched by hand; waiting for a commit after " + tip.Short(),
			Hint: `run "infra-agent retry" to deploy the branch over it`,
		}
	}
	return nil, Hold{}
}

// converged: the revision describes the system that is good already.
func converged(s Evaluated, r Record, o Observation) Action {
	if r.Good.Revision == s.Revision.Commit {
		return Wait{}
	}
	return Note{Converged{Revision: s.Revision, Checks: MergeChecks(o.Policy.Checks, s.Target.Checks), At: o.Now}}
}

func evaluated(s Evaluated, r Record, o Observation) (Action, Hold) {
	h := blocked(s.Toplevel, r)
	if h.Gate == "" {
		h = failure(r, o, derivationKey(s.Derivation))
	}
	if h.Gate != "" {
		return held(h)
	}
	return Run{Build{s}}, Hold{}
}

// ordered holds a node that the registry holds or pins.
func ordered(t Target, r Record) Hold {
	because := func(reason string) string {
		if reason == "" {
			return ""
		}
		return ": " + reason
	}
	switch {
	case t.Hold != "":
		return Hold{Gate: GateHold, Why: "the registry holds this node: " + t.Hold, Hint: "remove hold from the node's table in the registry"}
	case t.Pin != "" && r.Good.pinned(t.Pin):
		return Hold{Gate: GateHold, Why: "the registry pins this node to " + t.Pin + ", which it runs" + because(t.PinReason)}
	case t.Pin != "":
		return Hold{
			Gate: GateHold, Why: fmt.Sprintf("the registry pins this node to %s, and it runs %s%s", t.Pin, r.Good.Revision.Short(), because(t.PinReason)),
			Hint: `a pin only keeps a node where it is: to go back to an older commit, revert on the branch`,
		}
	}
	return Hold{}
}

func (s System) pinned(to string) bool {
	return s.Revision != "" && strings.HasPrefix(string(s.Revision), to)
}

// wanted holds while a built system must not be tried.
func wanted(s Evaluated, r Record, o Observation) Hold {
	t := s.Toplevel
	if h := blocked(t, r); h.Gate != "" {
		return h
	}
	if h := suspended(r); h.Gate != "" {
		return h
	}
	if at := opens(s.Target.Windows, o.Now); at.After(o.Now) {
		var texts []string
		for _, w := range s.Target.Windows {
			texts = append(texts, w.Text)
		}
		return Hold{
			Gate: GateWindow, Why: fmt.Sprintf("it is built and waits for a maintenance window (%s)", strings.Join(texts, "; ")), Until: at,
		}
	}
	if h := failure(r, o, trialKey(t)); h.Gate != "" {
		return h
	}
	return failure(r, o, toplevelKey(t))
}

func fetchKey(c Commit, remote string) string { return "fetch " + string(c) + " " + remote }

func revisionKey(c Commit) string       { return "revision " + string(c) }
func derivationKey(d Derivation) string { return "derivation " + string(d) }
func toplevelKey(t Toplevel) string     { return "toplevel " + string(t) }
func trialKey(t Toplevel) string        { return "trial " + string(t) } // it outlives preflight

// keep lists the toplevels that must not be garbage collected, without repeats.
func keep(r Record, o Observation) []Toplevel {
	all := []Toplevel{o.Slots.Running, o.Booted, r.Good.Toplevel, r.Previous.Toplevel}
	slices.Sort(all)
	return slices.DeleteFunc(slices.Compact(all), func(t Toplevel) bool { return t == "" })
}

// MergeChecks returns both sets sorted by name; a check of the second replaces
// one of the first that has its name.
func MergeChecks(first, second []Check) []Check {
	merged := slices.Clone(second)
	for _, c := range first {
		if !slices.ContainsFunc(second, func(s Check) bool { return s.Name == c.Name }) {
			merged = append(merged, c)
		}
	}
	slices.SortFunc(merged, func(a, b Check) int { return strings.Compare(a.Name, b.Name) })
	return merged
}
