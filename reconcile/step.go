package reconcile

import "time"

// A Step says how far a revision has come before it is tried. Each step holds
// what the steps before it found out.
//
//sumtype:decl
type Step interface{ fetched() Fetched }

// The steps, in order.
type (
	// Fetched: verified, and its tree is in the store, or its registry on disk.
	Fetched struct {
		Revision Revision
		Behind   int // first-parent commits since the anchor before it
		Purpose  Purpose
		Took     Times // by phase, until this step
	}
	// Resolved: the registry says what it wants of this node.
	Resolved struct {
		Fetched
		Target Target
	}
	// Evaluated: the system that it describes has a name; nothing is built yet.
	Evaluated struct {
		Resolved
		Derivation Derivation
		Toplevel   Toplevel
		Manifest   Manifest // that says so; zero: this node evaluated it
		Audit      bool     // whether that is so, this node has to find out first
	}
	// Built: the system is in the store, with a GC root.
	Built struct{ Evaluated }
	// Ready: preflight passed. Checks are those that the trial is judged by.
	Ready struct {
		Built
		Checks  []Check
		Retires bool     // it has no agent, and may have none
		Units   []string // that are others than in the running system
	}
)

// A Manifest is one that was accepted.
type Manifest struct {
	Place  string    `json:"place"`           // where it was; empty: there is none
	Signer string    `json:"signer"`          // who signed it; empty: nobody
	Pinned time.Time `json:"pinned,omitzero"` // it is a pin of that date, which names no commit
}

// ManifestOf returns the manifest that named a step's system, if one did.
func ManifestOf(s Step) (Manifest, bool) {
	e, _ := evaluatedOf(s)
	return e.Manifest, e.Manifest.Place != ""
}

func (f Fetched) fetched() Fetched { return f }

// taking returns s, on whose phase d more was spent.
func taking(s Step, phase string, d time.Duration) Step {
	took := s.fetched().Took.plus(phase, d)
	switch s := s.(type) {
	case Fetched:
		s.Took = took
		return s
	case Resolved:
		s.Took = took
		return s
	case Evaluated:
		s.Took = took
		return s
	case Built:
		s.Took = took
		return s
	case Ready:
		s.Took = took
		return s
	}
	panic(unknown("step", s))
}

// FetchedOf returns what a step knows of its revision.
func FetchedOf(s Step) (Fetched, bool) {
	if s == nil {
		return Fetched{}, false
	}
	return s.fetched(), true
}

// evaluatedOf returns what a step knows of its system.
func evaluatedOf(s Step) (Evaluated, bool) {
	switch s := s.(type) {
	case nil, Fetched, Resolved:
		return Evaluated{}, false
	case Evaluated:
		return s, true
	case Built:
		return s.Evaluated, true
	case Ready:
		return s.Evaluated, true
	}
	panic(unknown("step", s))
}

// TargetOf returns what a step knows of its target.
func TargetOf(s Step) (Target, bool) {
	switch s := s.(type) {
	case nil, Fetched:
		return Target{}, false
	case Resolved:
		return s.Target, true
	case Evaluated:
		return s.Target, true
	case Built:
		return s.Target, true
	case Ready:
		return s.Target, true
	}
	panic(unknown("step", s))
}
