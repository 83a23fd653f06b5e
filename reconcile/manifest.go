package reconcile

// A manifest says which system a commit describes, so that this node need not evaluate. What
// is in the way of that passes: a manifest may come late, be corrected, or name what is not in
// a binary cache yet. So one memory is enough, and it ends with the commit; in the mode prefer
// it ends in an evaluation.

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

// unaudited holds a commit whose manifest says something else than this node's evaluation. What
// keeps the node from evaluating is no reason to wait.
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
