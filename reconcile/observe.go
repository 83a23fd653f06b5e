package reconcile

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// In observe mode another tool deploys. The agent does all that it does otherwise up to the trial, before which one more
// gate stands. When the other tool has activated what the branch's commit describes, that system is watched as one on trial
// is, and the verdict is kept. Nothing follows from it.

// lookAgain is how old the baseline may become that another tool's activation is compared with.
const lookAgain = 5 * time.Minute

// awaited is the trial that another tool has begun, of what the branch describes; false: there is none.
func awaited(r Record) (Trial, bool) {
	l := r.Work.Lookout
	t := l.Trial
	t.Deployment.New = r.Good
	return t, !l.At.IsZero() && t.Deployment.Old.Toplevel != r.Good.Toplevel && r.Good.Revision != "" && r.Good.Revision == r.Anchor
}

// lookOn watches that trial until it is known what would have become of it; nil: there is none.
func lookOn(r Record, o Observation) Action {
	t, is := awaited(r)
	if !is || !o.Policy.Observe {
		return nil
	}
	w, confirm, checks := r.Work.Watch, t.Deployment.Confirm, r.Good.Checks
	since := cmp.Or(r.Work.Lookout.Since, o.Uptime)
	cause, failed := w.failure(since, o.Uptime, false)
	switch {
	case failed && o.Uptime >= since+min(othersSwitch, confirm.Deadline/2), w.stable(confirm.Window):
		return Note{Judged{Cause: cause, At: o.Now}}
	case o.Uptime >= since+confirm.Deadline:
		return Note{Judged{Cause: w.unconfirmed(fmt.Sprintf("not confirmed within %v", confirm.Deadline), r), At: o.Now}}
	}
	if next := w.nextSampling(confirm, checks); w.Last > 0 && o.Uptime < next {
		return Wait{Until: at(min(next, since+confirm.Deadline), o)}
	}
	return Run{Sample{t.Deployment, w.due(checks, o.Uptime), t.Baseline}}
}

// nextBaseline returns when the health of the running system is looked at, for the next one to be compared with; zero: never.
func nextBaseline(r Record, o Observation) time.Time {
	l := r.Work.Lookout
	switch {
	case !o.Policy.Observe || r.Good.Toplevel == "":
		return time.Time{}
	case l.At.IsZero() || o.Now.Before(l.At):
		return o.Now
	case l.Deployment.Old.Toplevel != r.Good.Toplevel && notOfTheTip(r): // it is what the next one is compared with
		return o.Now
	case l.Deployment.Old.Toplevel != r.Good.Toplevel: // what is seen now is the new system's
		return time.Time{}
	}
	return l.At.Add(lookAgain)
}

// notOfTheTip reports whether another tool activated a system that the branch's commit does not describe, so that no verdict
// on it can come any more. One that no known commit describes may be of the next commit, which that tool was told of earlier.
func notOfTheTip(r Record) bool {
	e, known := evaluatedOf(r.Work.Steps[PurposeBranch])
	return known && e.Toplevel != r.Good.Toplevel && (r.Good.Revision != "" || r.Work.Tip.At.After(r.Tally.Marks[StageRunning].Reached))
}

// looksOut takes the baseline that another tool's activation is compared with.
func looksOut(r Record, o Observation) Job {
	return Measure{Deployment{ID: "observe", Old: r.Good, Boot: o.Boot, Confirm: o.Policy.Confirm}}
}

// lookedAt is one look at the system that another tool activated.
func lookedAt(r Record, e Sampled) Record {
	if t, is := awaited(r); is {
		r.Work.Lookout.Since = cmp.Or(r.Work.Lookout.Since, e.Uptime)
		r.Work.Watch = r.Work.Watch.with(t, r.Good.Checks, e.Sample, e.Uptime)
	}
	return r
}

// passedBy forgets a system that another tool has replaced before it was judged, and what it was compared with.
func passedBy(r Record) Record {
	if r.Work.Lookout.Deployment.Old.Toplevel != r.Previous.Toplevel {
		r.Work.Lookout, r.Work.Watch = Lookout{}, Watch{}
	}
	return r
}

func verdictKept(r Record, e Judged) Record {
	r.Observed = append(slices.Clone(r.Observed), Observed{Revision: r.Good.Revision, System: r.Good.Toplevel, Cause: e.Cause, At: e.At})
	r.Observed = r.Observed[max(0, len(r.Observed)-keepHistory):]
	r.Work.Lookout, r.Work.Watch = Lookout{}, Watch{}
	return r
}
