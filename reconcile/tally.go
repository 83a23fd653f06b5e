package reconcile

import (
	"slices"
	"time"
)

// What is counted and timed for people: metrics, history, milestones.

// outcomeOf counts an evaluation or a build that failed. That is no deployment, so it
// gets no entry in the history. Failures of commits of the testing branch are not
// counted: they concern only who pushed them.
func outcomeOf(r Record, res Result, of Purpose, at time.Time) Record {
	if of == PurposeTesting {
		return r
	}
	r.Tally.Deployments = plus(r.Tally.Deployments, res)
	r.Tally.LastDeployment = with(r.Tally.LastDeployment, res, at)
	r.Tally.Consecutive++
	return r
}

// took notes how long a job or phase lasted.
func took(r Record, what string, d time.Duration) Record {
	r.Tally.Took = with(r.Tally.Took, what, d)
	if slices.Contains(TimedPhases, what) {
		r.Tally.Durations = with(r.Tally.Durations, what, r.Tally.Durations[what].with(d))
	}
	return spent(r, what, d)
}

// spent notes what the deployment in flight, if there is one, spent in a phase.
func spent(r Record, phase string, d time.Duration) Record {
	if _, inFlight := DeploymentOf(r.Phase); inFlight && slices.Contains(TimedPhases, phase) {
		r.Tally.Spent = r.Tally.Spent.plus(phase, d)
	}
	return r
}

// RebootRequired notes since when a reboot is required: now, if it was not before.
func RebootRequired(r Record, is bool, now time.Time) Record {
	switch {
	case !is:
		r.Tally.RebootSince = time.Time{}
	case r.Tally.RebootSince.IsZero():
		r.Tally.RebootSince = now
	}
	return r
}

// mark notes when a revision reached a stage. One that is there stays as it is, but for a date that was not known: a poll
// after a restart of the agent reaches nothing new. Two systems of no known revision are two.
func mark(r Record, s Stage, rev Revision, at time.Time) Record {
	if old := r.Tally.Marks[s]; old.Revision == rev.Commit && rev.Commit != "" && !old.Reached.IsZero() {
		if !old.Time.IsZero() || rev.Time.IsZero() {
			return r
		}
		at = old.Reached
	}
	r.Tally.Marks = with(r.Tally.Marks, s, Mark{Revision: rev.Commit, Time: rev.Time, Reached: at})
	return r
}

// RevisionOf returns the revision that t came from, as far as the node remembers deploying it.
func RevisionOf(r Record, t Toplevel) Commit {
	if t == r.Good.Toplevel {
		return r.Good.Revision
	}
	for _, o := range slices.Backward(r.History) {
		if o.To == t {
			return o.Revision
		}
	}
	if r.Previous.Toplevel == t {
		return r.Previous.Revision
	}
	return ""
}

// builtRevision is the revision of a deployment, with its date where that is known.
func builtRevision(r Record, d Deployment) Revision {
	rev := Revision{Commit: d.New.Revision}
	if built := r.Tally.Marks[StageBuilt]; built.Revision == rev.Commit {
		rev.Time = built.Time
	}
	return rev
}

func counted(r Record, c Cause, at time.Time) Record {
	r.Tally.Rollbacks = plus(r.Tally.Rollbacks, c.Reason)
	r.Tally.LastRollback = at
	return r
}

// outcome counts the deployment in flight and adds it to the history.
func outcome(r Record, res Result, c Cause, at time.Time) Record {
	d, _ := DeploymentOf(r.Phase)
	if d.Purpose == PurposeRollback || res == ResultPromoted {
		r.Back = ""
	}
	r.Tally.Deployments = plus(r.Tally.Deployments, res)
	r.Tally.LastDeployment = with(r.Tally.LastDeployment, res, at)
	if d.Testing() {
		r.Tested = append(slices.Clone(r.Tested), d.New.Revision)
		r.Tested = r.Tested[max(0, len(r.Tested)-keepTested):]
	} else if res != ResultPromoted && res != ResultSteppedBack {
		r.Tally.Consecutive++
	}
	r.History = append(slices.Clone(r.History), Outcome{
		ID: d.ID, Result: res, Cause: c, Revision: d.New.Revision, Subject: d.Subject,
		From: d.Old.Toplevel, To: d.New.Toplevel, Started: d.Started, Ended: at, Took: r.Tally.Spent,
	})
	r.History = r.History[max(0, len(r.History)-keepHistory):]
	return r
}
