package reconcile

import (
	"cmp"
	"slices"
	"time"
)

// polled takes a remote's answer and chooses which one to follow.
func polled(r Record, a Answer) Record {
	for _, before := range r.Work.Remotes {
		if before.Remote == a.Remote && before.Commit == a.Commit {
			a.Failed, a.Pause = before.Failed, before.Pause
		}
	}
	if a.Commit != "" {
		r.Tally.LastPollOK = a.At
		r.Blocked = without(r.Blocked, func(_ Toplevel, b Block) bool { return b.UntilPoll })
	}
	return choose(answered(r, a), a.At)
}

// answered returns r with a in the place of what its remote said before.
func answered(r Record, a Answer) Record {
	var answers []Answer
	for _, o := range r.Work.Remotes {
		if o.Remote != a.Remote {
			answers = append(answers, o)
		} else if a.Anew.IsZero() {
			a.Anew = o.Anew
		}
	}
	answers = append(answers, a)
	slices.SortFunc(answers, func(x, y Answer) int { return x.Order - y.Order })
	r.Work.Remotes = answers
	return r
}

// unfetched notes that a remote did not give what it shows, so that the next fetch
// is of another one, if there is any. The pause after the failure stays.
func unfetched(r Record, tip Tip, at time.Time, spread float64) Record {
	for _, a := range r.Work.Remotes {
		if a.Remote == tip.Remote && a.Commit == tip.Commit {
			a.Failed++
			a.Pause = pause(at, evaluateBackoff, a.Failed, spread)
			next := choose(answered(r, a), at)
			next.Work.Pause, next.Work.Errors = r.Work.Pause, r.Work.Errors
			return next
		}
	}
	return r
}

// choose takes the answer to follow: of those with the best rank the one from which
// the fewest fetches failed, then the first remote's. A mirror that lags, or shows
// what it does not give, must not hide the news of another remote.
func choose(r Record, at time.Time) Record {
	var best Answer
	for _, a := range r.Work.Remotes {
		if a.Commit == "" {
			continue
		}
		if better := cmp.Or(cmp.Compare(rank(a, r, at), rank(best, r, at)), cmp.Compare(a.Failed, best.Failed)); best.Commit == "" || better < 0 {
			best = a
		}
	}
	switch best.Commit {
	case "":
		return r
	case r.Work.Tip.Commit:
		r.Work.Tip.Remote = best.Remote // the one that was followed may be silent now
		return r
	}
	r.Work.Tip = Tip{Commit: best.Commit, Remote: best.Remote, At: at}
	r.Work.Pause, r.Work.Errors = Pause{}, 0
	if r.Tally.OutOfSync.IsZero() && best.Commit != r.Good.Revision {
		r.Tally.OutOfSync = at
	}
	return mark(r, StageSeen, Revision{Commit: best.Commit}, at)
}

// rank orders what remotes offer: news, what the node follows already, what it
// refused or could not get just now, what it had before.
func rank(a Answer, r Record, at time.Time) int {
	switch c := a.Commit; {
	case c == r.Anchor && c != r.Rewind:
		return 1
	case r.Failures[revisionKey(c)].Gate == GateUnverified, a.Pause.lasts(at), fetchFailedLately(c, a.Remote, r, at):
		return 2
	case behind(c, r):
		return 3
	}
	return 0
}

func fetchFailedLately(c Commit, remote string, r Record, at time.Time) bool {
	f, failed := r.Failures[fetchKey(c, remote)]
	return failed && f.holds(at)
}

// ends reports whether a job that is wanted ends the one that runs. The fetch of a commit that
// its remote has failed to give before does not, and nothing that is prepared of the branch is
// ended twice in a row: else a remote could keep a node from deploying by the commits it shows.
func ends(wanted, running Job, r Record) bool {
	if KeyOf(wanted) == KeyOf(running) {
		return false
	}
	if PurposeOf(wanted) == PurposeRollback { // a person waits for it; but one that preflight has held once may be held again
		_, waited := r.Failures[toplevelKey(r.Back)]
		return !waited
	}
	if r.Work.Overtaken != "" && overtakable(running) != "" {
		return false
	}
	_, asks := wanted.(Plan)
	if _, asked := running.(Plan); asks && asked { // one manifest after the other
		return false
	}
	f, fetch := wanted.(Fetch)
	return !fetch || !slices.ContainsFunc(r.Work.Remotes, func(a Answer) bool {
		return a.Remote == f.Tip.Remote && a.Commit == f.Tip.Commit && a.Failed > 0
	})
}

// overtakable returns the commit that a job prepares for the branch; "": it does no such thing.
// A system that is built is only looked at by preflight, which is soon done.
func overtakable(j Job) Commit {
	e := j.entry(Limits{})
	if _, built := j.(Preflight); built || e.purpose != PurposeBranch && e.purpose != PurposeEarlier {
		return ""
	}
	return Commit(e.of)
}

// behind reports whether c was accepted before the anchor was.
func behind(c Commit, r Record) bool {
	return c != r.Anchor && c != r.Rewind && slices.Contains(r.Accepted, c)
}
