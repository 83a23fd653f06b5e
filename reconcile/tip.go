package reconcile

import (
	"fmt"
	"slices"
	"time"
)

// polled takes a remote's answer and chooses which one to follow.
func polled(r Record, a Answer) Record {
	answers := slices.DeleteFunc(slices.Clone(r.Work.Remotes), func(o Answer) bool { return o.Remote == a.Remote })
	answers = append(answers, a)
	slices.SortFunc(answers, func(x, y Answer) int { return x.Order - y.Order })
	r.Work.Remotes = answers
	if a.Commit != "" {
		r.Tally.LastPollOK = a.At
		r.Blocked = without(r.Blocked, func(_ Toplevel, b Block) bool { return b.UntilPoll })
	}
	best, found := choose(r)
	if !found {
		return r
	}
	if best.Commit == r.Work.Tip.Commit {
		r.Work.Tip.Remote = best.Remote // the one that was followed may be silent now
		return r
	}
	r.Work.Tip = Tip{Commit: best.Commit, Remote: best.Remote, At: a.At}
	r.Work.NotBefore, r.Work.Errors = time.Time{}, 0
	if r.Tally.OutOfSync.IsZero() && best.Commit != r.Good.Revision {
		r.Tally.OutOfSync = a.At
	}
	return mark(r, StageSeen, Revision{Commit: best.Commit}, a.At)
}

// choose returns the answer to follow: the first remote's of those with the
// best rank. A mirror that lags must not hide the news of another remote.
func choose(r Record) (best Answer, found bool) {
	for _, a := range r.Work.Remotes {
		if a.Commit != "" && (!found || rank(a.Commit, r) < rank(best.Commit, r)) {
			best, found = a, true
		}
	}
	return best, found
}

// rank orders what remotes offer: news, what the node follows already, what it
// refused, what it had before.
func rank(c Commit, r Record) int {
	switch {
	case c == r.Anchor && c != r.Rewind:
		return 1
	case r.Failures[revisionKey(c)].Gate == GateUnverified:
		return 2
	case behind(c, r):
		return 3
	}
	return 0
}

// behind reports whether c was accepted before the anchor was.
func behind(c Commit, r Record) bool {
	return c != r.Anchor && c != r.Rewind && slices.Contains(r.Accepted, c)
}

// usableTip holds while the remotes give no commit to follow. Remotes that are
// silent do not: what is known already can be finished without them.
func usableTip(r Record) Hold {
	tip := r.Work.Tip
	for _, a := range r.Work.Remotes {
		if a.Missing && a.Remote == tip.Remote || a.Missing && tip.Commit == "" {
			return Hold{Gate: GateSource, Why: a.Remote + ": " + a.Why}
		}
	}
	switch {
	case tip.Commit == "":
		if h := silentSource(r); h.Gate != "" {
			return h
		}
		return Hold{Gate: GateSource, Why: "no remote has answered yet"}
	case behind(tip.Commit, r):
		return Hold{
			Gate: GateSource, Why: fmt.Sprintf("%s offers %s, which is older than the accepted %s", tip.Remote, tip.Commit.Short(), r.Anchor.Short()),
			Hint: fmt.Sprintf(`if the branch was moved back on purpose: "infra-agent allow-rewind %s"`, tip.Commit),
		}
	}
	return Hold{}
}

// silentSource tells that no remote answered the last poll.
func silentSource(r Record) Hold {
	for _, a := range r.Work.Remotes {
		if a.Commit != "" {
			return Hold{}
		}
	}
	if len(r.Work.Remotes) == 0 {
		return Hold{}
	}
	a := r.Work.Remotes[0]
	return Hold{Gate: GateSource, Why: a.Remote + ": " + a.Why}
}
