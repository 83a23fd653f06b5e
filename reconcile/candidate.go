package reconcile

import "slices"

// A Candidate is a commit on its way to its trial, whatever it is for.
type Candidate struct {
	Purpose Purpose
	Tip     Tip
	Step    Step // how far it has come; nil: it is not fetched
}

// candidates lists what may be brought on its way, in order of precedence.
//
// The newest commit of the branch comes first, and ends the fetch, evaluation or build of an
// earlier one, but only once: when one was ended, the next commit goes all its way, and is
// tried before anything newer is fetched. So however often people push, and whatever a remote
// shows, a node deploys after two evaluations and two builds at most. An earlier commit also
// goes on where the newest one cannot be used.
//
// The system that a person wants back comes before all of them; while something holds it,
// they go on, and the first that is promoted ends that wish.
func candidates(r Record) []Candidate {
	if back, wanted := r.back(); wanted {
		return append([]Candidate{back}, ofBranches(r)...)
	}
	return ofBranches(r)
}

func ofBranches(r Record) []Candidate {
	branch, testing := r.branch(), r.testing()
	earlier, is := r.earlier()
	switch {
	case !is:
		return []Candidate{branch, testing}
	case r.Work.Overtaken != "" && (earlier.Tip.Commit != r.Work.Overtaken || isBuilt(earlier.Step)):
		return []Candidate{earlier, branch, testing}
	default:
		return []Candidate{branch, earlier, testing}
	}
}

// back is the good system before this one, if a person wants it back. It was built once,
// and says itself by what it is judged.
func (r Record) back() (Candidate, bool) {
	if r.Back == "" || r.Back != r.Previous.Toplevel {
		return Candidate{}, false
	}
	c := Candidate{Purpose: PurposeRollback, Tip: Tip{Commit: r.Previous.Revision}}
	if ready, is := r.Work.Steps[PurposeRollback].(Ready); is && ready.Toplevel == r.Back {
		c.Step = ready
		return c, true
	}
	var b Built
	b.Purpose, b.Revision.Commit, b.Toplevel = PurposeRollback, r.Previous.Revision, r.Back
	c.Step = b
	return c, true
}

// branch is the newest commit of the branch.
func (r Record) branch() Candidate {
	c := Candidate{Purpose: PurposeBranch, Tip: r.Work.Tip}
	if s := r.Work.Steps[PurposeBranch]; s != nil && s.fetched().Revision.Commit == c.Tip.Commit {
		c.Step = s
	}
	return c
}

// earlier is the newest commit of the branch from before it moved on that was evaluated, that
// is on its way after another one was overtaken, or that waits for its manifest. It comes after
// the good one, and describes another system, as far as that is known.
func (r Record) earlier() (Candidate, bool) {
	var newest Candidate
	found := slices.Index(r.Accepted, r.Good.Revision)
	for _, p := range []Purpose{PurposeBranch, PurposeEarlier} {
		s := r.Work.Steps[p]
		if s == nil {
			continue
		}
		commit := s.fetched().Revision.Commit
		e, evaluated := evaluatedOf(s)
		if commit == r.Work.Tip.Commit || e.Toplevel == r.Good.Toplevel || !evaluated && !r.underWay(commit) && !r.awaitsManifest(s) {
			continue
		}
		if at := slices.Index(r.Accepted, commit); at > found {
			newest, found = Candidate{PurposeEarlier, Tip{Commit: commit, Remote: r.Work.Tip.Remote}, s}, at
		}
	}
	return newest, newest.Step != nil
}

// underWay reports whether a commit goes on because another one was overtaken. One that
// failed does not.
func (r Record) underWay(c Commit) bool {
	_, failed := r.Failures[revisionKey(c)]
	return r.Work.Overtaken != "" && r.Work.Overtaken != c && !failed
}

// patientTries is how often the manifest of a commit is asked for, in an hour or so, while a
// later commit does not take its place among those that wait. Pushes may come faster than
// whoever makes manifests works.
const patientTries = 15

// awaitsManifest reports whether a commit waits for its manifest, or is evaluated without it.
func (r Record) awaitsManifest(s Step) bool {
	if s == nil {
		return false
	}
	_, evaluated := evaluatedOf(s)
	tried := r.Failures[manifestKey(s.fetched().Revision.Commit)].Tries
	return !evaluated && tried > 0 && tried < patientTries
}

func (r Record) testing() Candidate {
	tip, _ := testingTip(r)
	c := Candidate{Purpose: PurposeTesting, Tip: tip}
	if s := r.Work.Steps[PurposeTesting]; s != nil && s.fetched().Revision.Commit == tip.Commit {
		c.Step = s
	}
	return c
}

func isBuilt(s Step) bool {
	switch s.(type) {
	case Built, Ready:
		return true
	default:
		return false
	}
}

// stepped records how far a commit has come. What is built for the branch takes the garbage
// collector's root of what was built for it before, which then has to be built again.
func stepped(r Record, s Step) map[Purpose]Step {
	all := placed(r, s)
	if f := s.fetched(); isBuilt(s) && f.Purpose == PurposeBranch {
		all = cloned(all)
		for _, p := range []Purpose{PurposeBranch, PurposeEarlier} {
			if e, evaluated := evaluatedOf(all[p]); evaluated && e.Revision.Commit != f.Revision.Commit {
				all[p] = e
			}
		}
	}
	return all
}

// placed puts a step in its place. When the branch has moved on, the commit before it stays as
// the earlier candidate if it was evaluated; once the newest commit is built, the earlier
// candidate is dropped.
func placed(r Record, s Step) map[Purpose]Step {
	all, f := r.Work.Steps, s.fetched()
	if f.Purpose != PurposeBranch {
		return with(all, f.Purpose, s)
	}
	before := all[PurposeBranch]
	_, fetched := s.(Fetched)
	switch commit := f.Revision.Commit; {
	case before != nil && before.fetched().Revision.Commit != commit && !fetched: // an earlier one goes on
		return with(all, PurposeEarlier, s)
	case before != nil && before.fetched().Revision.Commit != commit:
		_, evaluated := evaluatedOf(before)
		if evaluated || r.awaitsManifest(before) && !r.awaitsManifest(all[PurposeEarlier]) {
			all = with(all, PurposeEarlier, before)
		}
	case isBuilt(s) && commit == r.Work.Tip.Commit:
		all = dropped(all, PurposeEarlier)
	}
	return with(all, PurposeBranch, s)
}

// eachStep returns every step as change makes it.
func eachStep(r Record, change func(Step) Step) map[Purpose]Step {
	all := cloned(r.Work.Steps)
	for p, s := range all {
		all[p] = change(s)
	}
	return all
}

// untried reports whether the testing branch shows a commit that is neither accepted nor
// tried.
func untried(c Candidate, r Record) bool {
	commit := c.Tip.Commit
	return commit != "" && commit != r.Anchor && !slices.Contains(r.Accepted, commit) && !slices.Contains(r.Tested, commit)
}

// testingTip returns what the testing branch points to at the first remote of the
// settings: a mirror that lags must not end a trial, nor begin an old one. It is not
// known while that one is silent.
func testingTip(r Record) (tip Tip, known bool) {
	for _, a := range r.Work.Remotes {
		if a.Order == 0 && a.Commit != "" {
			return Tip{Commit: a.Testing, Remote: a.Remote, At: a.At}, true
		}
	}
	return Tip{}, false
}
