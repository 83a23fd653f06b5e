package reconcile

import "slices"

// Why the node does not deploy, for people.

// Holds returns every reason why the node does not deploy, the deciding one first.
func Holds(r Record, o Observation) []Hold {
	if r.Unreadable != "" {
		return []Hold{{Gate: GateState, Why: r.Unreadable, Hint: "read the runbook in docs/state.md before you move the record away"}}
	}
	var all []Hold
	if _, ok := r.Phase.(Idle); ok {
		act, h := idle(r, o)
		if run, wanted := act.(Run); wanted && PurposeOf(run.Job) != PurposeTesting && o.Job == nil && r.Work.Pause.lasts(o.Now) {
			h = pausing(r)
		}
		all = append(all, h)
		if h.Gate != "" {
			all = append(all, allClosed(r.branch(), r, o)...)
		}
	}
	var holds []Hold
	for _, h := range append(all, leftAlone(r.branch(), r, o), suspended(r, o), silentSource(r)) {
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
	case KeyOf(Fetch{}).Kind:
		h.Gate = GateSource
	case KeyOf(Resolve{}).Kind:
		h.Gate = GateIdentity
	}
	return h
}
