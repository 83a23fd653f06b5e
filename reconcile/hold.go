package reconcile

import (
	"fmt"
	"slices"
	"time"
)

// A Hold is why nothing is deployed now.
type Hold struct {
	Gate  Gate      `json:"gate"`
	Why   string    `json:"why"`
	Hint  string    `json:"hint,omitempty"` // what a person can do
	Until time.Time `json:"until,omitzero"` // when it is looked at again by itself; zero: when something changes
}

// Holds returns every reason why the node does not deploy, the deciding one first.
func Holds(r Record, o Observation) []Hold {
	if r.Unreadable != "" {
		return []Hold{{Gate: GateState, Why: r.Unreadable, Hint: "read the runbook in docs/state.md before you move the record away"}}
	}
	var all []Hold
	if _, ok := r.Phase.(Idle); ok {
		act, h := idle(r, o)
		if run, wanted := act.(Run); wanted && run.Job.purpose() != PurposeTesting && o.Job == nil && r.Work.Pause.lasts(o.Now) {
			h = pausing(r)
		}
		all = append(all, h)
		if h.Gate != "" {
			all = append(all, allClosed(r.branch(), r, o)...)
		}
	}
	var holds []Hold
	for _, h := range append(all, suspended(r), silentSource(r)) {
		if h.Gate != "" && !slices.ContainsFunc(holds, func(k Hold) bool { return k.Gate == h.Gate }) {
			holds = append(holds, h)
		}
	}
	return holds
}

// pausing says what failed for the moment, and when it is tried again.
func pausing(r Record) Hold {
	h := Hold{Gate: GatePreflight, Why: r.Work.Last.Why, Until: r.Work.Pause.Until}
	if h.Why == "" { // no job failed, but what one found could not be written down
		return Hold{Gate: GateState, Why: "the record could not be written", Hint: "the journal says why: is the disk full?", Until: h.Until}
	}
	switch r.Work.Last.Job.Kind {
	case Fetch{}.Key().Kind:
		h.Gate = GateSource
	case Resolve{}.Key().Kind:
		h.Gate = GateIdentity
	}
	return h
}

func suspended(r Record) Hold {
	if r.Suspended.Since.IsZero() {
		return Hold{}
	}
	return Hold{Gate: GateSuspend, Why: "suspended: " + r.Suspended.Reason, Hint: `run "infra-agent resume"`}
}

func blocked(t Toplevel, r Record) Hold {
	b, is := r.Blocked[t]
	if !is {
		return Hold{}
	}
	return Hold{
		Gate: GateBlocked, Why: fmt.Sprintf("this system failed here on %s: %s", b.At.UTC().Format(time.RFC3339), b.Why),
		Hint: `push a fix, or run "infra-agent retry"`,
	}
}

// failure holds while key has failed and is not to be tried yet.
func failure(r Record, o Observation, key FailureKey) Hold {
	f, failed := r.Failures[key]
	if !failed || !f.holds(o.Now) {
		return Hold{}
	}
	h := Hold{Gate: f.Gate, Why: f.Why, Until: f.After}
	switch {
	case f.Gate == GateUnverified, f.Gate == GateSource: // the reason says what to do
	case f.Gate == GateReboot:
		h.Hint = `run "nixos-rebuild boot" and reboot in a maintenance window`
	case f.After.IsZero():
		h.Hint = `push a fix, or run "infra-agent retry"`
	}
	return h
}
