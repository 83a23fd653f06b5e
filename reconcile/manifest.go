package reconcile

import (
	"slices"
	"time"
)

// A manifest says which system a commit describes, so that this node need not evaluate. Whatever
// fails on the way is tried again, since a manifest may come late, be corrected, or name what is
// not in a binary cache yet: all of it is one failure of the commit, [FailedManifest]. In the mode
// prefer the node evaluates after a while.

// planned reports whether a manifest is to say which system a commit describes.
func planned(f Fetched, r Record, o Observation) bool {
	switch m := o.Policy.Manifests; m.Mode {
	case ManifestOnly:
		return true
	case ManifestPrefer:
		tried, failed := r.Failures[manifestKey(f.Revision.Commit)]
		return !failed || tried.patience(m).lasts(o.Now)
	case ManifestOff, "":
		return false
	default:
		panic(unknown("mode", m.Mode))
	}
}

// patience is how long a manifest is waited for.
func (f Failure) patience(m Manifests) Pause {
	since := f.Since
	if since.IsZero() {
		since = f.At
	}
	return Pause{since, since.Add(m.Wait)}
}

// unplanned holds a commit until there is a manifest for it, or the node evaluates.
func unplanned(c Candidate, r Record, o Observation) Hold {
	f, fetched := c.Step.(Fetched)
	if !fetched || !planned(f, r, o) {
		return Hold{}
	}
	key, m := manifestKey(f.Revision.Commit), o.Policy.Manifests
	h := failure(r, o, key)
	if h.Gate != "" && m.Mode == ManifestPrefer {
		h.Until = sooner(h.Until, r.Failures[key].patience(m).Until)
	}
	return h
}

// unaudited holds a commit whose manifest says something else than this node's evaluation. Where
// the node could not evaluate, the commit goes on without an audit.
func unaudited(r Record, s Evaluated, e Failed) Record {
	if e.Gate != "" {
		r.Tally.Audits = plus(r.Tally.Audits, AuditDifferent)
		return rejected(r, revisionKey(s.Revision.Commit), e.Gate, e.Why, e.At)
	}
	s.Audit = false
	r.Work.Steps = stepped(r, s)
	return r
}

// uncopied remembers that what a manifest names could not be had. The manifest is asked for
// again: it may be another one then.
func uncopied(r Record, s Evaluated, e Failed) Record {
	c := s.Revision.Commit
	r.Work.Steps = eachStep(r, func(s Step) Step {
		if f := s.fetched(); f.Revision.Commit == c {
			return f
		}
		return s
	})
	return postponed(r, manifestKey(c), GateManifest, e.Why, e.At, e.Spread)
}

// pinEvery is how long a pin is believed.
const pinEvery = 5 * time.Minute

func (r Record) pins() (p Pins) {
	if len(r.Pins) == 0 {
		return p
	}
	p.Last = r.Pins[len(r.Pins)-1]
	for _, before := range r.Pins {
		if t := before.Toplevel; t != p.Last.Toplevel && t != r.Good.Toplevel {
			p.Gone = append(p.Gone, t)
		}
	}
	return p
}

// withPin remembers the pin that named a system.
func withPin(r Record, s Evaluated, at time.Time) Record {
	pin, all := Pin{s.Toplevel, s.Manifest.Pinned}, slices.Clone(r.Pins)
	if last := len(all) - 1; last >= 0 && all[last].Toplevel == pin.Toplevel {
		all[last] = pin
	} else {
		all = append(all, pin)
	}
	r.Pins, r.Work.PinAsked = all[max(0, len(all)-keepAccepted):], at
	return r
}

// knows reports whether a commit's system is known to be that one already, however far it has come.
func (r Record) knows(s Evaluated) bool {
	for _, known := range r.Work.Steps {
		if k, is := evaluatedOf(known); is && k.Revision.Commit == s.Revision.Commit && k.Purpose == s.Purpose && k.Toplevel == s.Toplevel {
			return true
		}
	}
	return false
}

// pinAgain returns when the pin that named the system of a candidate is to be asked for again; zero: there is none.
func pinAgain(c Candidate, r Record, o Observation) time.Time {
	s, is := evaluatedOf(c.Step)
	if !is || s.Manifest.Pinned.IsZero() {
		return time.Time{}
	}
	key := manifestKey(s.Revision.Commit)
	if h := failure(r, o, key); h.Gate != "" {
		return h.Until
	}
	if p := (Pause{r.Work.PinAsked, r.Work.PinAsked.Add(pinEvery)}); p.lasts(o.Now) {
		return p.Until
	}
	return o.Now
}
