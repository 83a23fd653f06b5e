package reconcile

import (
	"slices"
	"strings"
	"time"
)

// Fold returns what is known after e. It never changes r: maps and slices that
// differ are new ones.
func Fold(r Record, e Event) Record {
	switch e := e.(type) {
	case Polled:
		return polled(r, e.Answer)
	case Reloaded:
		r.Work.Steps = eachStep(r, func(s Step) Step { return s.fetched() })
		r.Work.NotBefore, r.Work.Errors = time.Time{}, 0
		r.Work.Remotes, r.Work.Following = nil, Following{}
		r.Failures = without(r.Failures, func(key string, _ Failure) bool {
			return kind(key) == "revision" || kind(key) == "fetch" || kind(key) == "derivation" // how it is built is a setting
		})
	case Advanced:
		return advanced(r, e)
	case Done:
		r = ended(r, JobEnd{Key: e.Job.Key(), OK: true})
		switch e.Job.(type) {
		case Tidy:
			r.Work.Tidied = true
		case Undrain:
			r = paid(r, DebtUndrain)
		case Restore:
			r = paid(r, DebtRestore)
		default: // nothing but its end
		}
		return took(r, jobName(e.Job), e.Took)
	case Cancelled:
		if _, build := e.Job.(Build); build {
			r.Work.Overtaken = r.Work.Tip.Commit
		}
	case Failed:
		return failed(r, e)
	case Measured:
		return measured(ended(r, JobEnd{OK: true}), e.Baseline, e.At)
	case Paid:
		return paid(r, e.Kind)
	case Armed:
		r = ended(r, JobEnd{OK: true})
		r.Work.Armed = true
	case Activated:
		r = ended(r, JobEnd{OK: true})
		r.Work.Activation = &e.Activation
		what := "goback"
		if _, trial := r.Phase.(Activating); trial {
			what = "activate"
		}
		return took(r, what, e.Took)
	case AskedOld:
		return askedOld(ended(r, JobEnd{OK: true}), e)
	case Sampled:
		return sampled(r, e)
	case Entered:
		return entered(r, e)
	case Aborted:
		return aborted(r, e)
	case Promoted:
		return promoted(r, e)
	case RolledBack:
		return rolledBack(r, e)
	case Abandoned:
		return idleAgain(outcome(r, ResultCancelled, Cause{Reason: ReasonOperator, Why: "a person switched to another system"}, e.At), e.At)
	case Adopted:
		r.Previous, r.Good = r.Good, System{Toplevel: e.System, Revision: revisionOf(r, e.System)}
		if e.ByHand {
			r.Foreign.Tip = r.Work.Tip.Commit
			if r.Foreign.Tip == "" {
				r.Foreign.Tip = r.Anchor
			}
		}
		r.Work.Tidied = false // it needs a root
		return mark(r, StageRunning, Revision{Commit: r.Good.Revision}, e.At)
	case Converged:
		r.Good.Revision, r.Good.Checks, r.Good.Care = e.Revision.Commit, e.Checks, e.Care
		r.Work.Steps = dropped(r.Work.Steps, PurposeEarlier)
		r.Foreign.Tip, r.Tally.OutOfSync = "", time.Time{}
		r = mark(r, StageBuilt, e.Revision, e.At)
		r = mark(r, StageRunning, e.Revision, e.At)
		return mark(r, StageGood, e.Revision, e.At)
	case Suspended:
		r.Suspended = Suspension{Reason: e.Reason, Since: e.At}
	case Barred:
		r.Blocked = with(r.Blocked, e.Toplevel, e.Block)
	case Resumed:
		r.Suspended = Suspension{}
	case Retried:
		r.Blocked, r.Losses, r.Failures, r.Foreign.Tip, r.Tested = nil, nil, nil, "", nil
		r.Work.NotBefore, r.Work.Errors = time.Time{}, 0
	case Synced:
		r.Work.NotBefore, r.Work.Errors = time.Time{}, 0
		r.Failures = without(r.Failures, func(key string, f Failure) bool {
			return f.Gate == GatePreflight || f.Gate == GateLock || kind(key) == "fetch"
		})
	case Rewound:
		r.Rewind = e.To
		r.Failures = without(r.Failures, func(key string, _ Failure) bool {
			return key == revisionKey(e.To) || strings.HasPrefix(key, fetchKey(e.To, ""))
		})
	case Accepted:
		if e.Slots.Running != r.Good.Toplevel {
			r.Previous, r.Good = r.Good, System{Toplevel: e.Slots.Running, Revision: revisionOf(r, e.Slots.Running)}
		}
		r.Foreign = Foreign{Accepted: e.Slots}
		r.Work.Tidied = false // it needs a root
	default:
		panic(unknown("event", e))
	}
	return r
}

func advanced(r Record, e Advanced) Record {
	if purposeOf(e.Job) == PurposeFollow {
		return stepShown(ended(r, JobEnd{Key: e.Job.Key(), OK: true}), e.Step)
	}
	r = took(ended(r, JobEnd{Key: e.Job.Key(), OK: true}), jobName(e.Job), e.Took)
	testing := e.Step.fetched().Purpose == PurposeTesting
	r.Work.Steps = stepped(r, e.Step)
	switch s := e.Step.(type) {
	case Fetched:
		r.Tally.Verifications = plus(r.Tally.Verifications, VerdictGood)
		if testing {
			return r
		}
		c := s.Revision.Commit
		if c != r.Anchor {
			r.Heights = with(r.Heights, c, r.Heights[r.Anchor]+s.Behind)
			r.Anchor, r.Rewind = c, ""
			r.Accepted = append(slices.DeleteFunc(slices.Clone(r.Accepted), func(a Commit) bool { return a == c }), c)
			r.Accepted = r.Accepted[max(0, len(r.Accepted)-keepAccepted):]
			r.Heights = without(r.Heights, func(of Commit, _ int) bool { return of != r.Good.Revision && !slices.Contains(r.Accepted, of) })
		}
		return mark(r, StageVerified, s.Revision, e.At)
	case Built:
		r.Failures = dropped(r.Failures, derivationKey(s.Derivation))
		if !testing {
			return mark(r, StageBuilt, s.Revision, e.At)
		}
	case Evaluated:
		r.Failures = dropped(r.Failures, revisionKey(s.Revision.Commit))
	case Ready:
		r.Failures = dropped(r.Failures, toplevelKey(s.Toplevel))
	case Resolved:
	default:
		panic(unknown("step", e.Step))
	}
	return r
}

// passing failures of jobs are tried again after these; the last one repeats.
var (
	jobBackoff      = []time.Duration{time.Second, 2 * time.Second, 5 * time.Second, 15 * time.Second, 30 * time.Second, time.Minute}
	evaluateBackoff = []time.Duration{time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 30 * time.Minute, time.Hour}
	buildBackoff    = []time.Duration{
		time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour, 6 * time.Hour,
	}
)

// longestPause is more than any pause after a passing failure.
const longestPause = 2 * time.Minute

// preflightAgain is when a preflight that found an obstacle is repeated.
const preflightAgain = time.Minute

func backoff(steps []time.Duration, tries int, spread float64) time.Duration {
	return time.Duration(float64(steps[min(tries, len(steps))-1]) * spread)
}

func failed(r Record, e Failed) Record {
	r.Work.Last = JobEnd{Key: e.Job.Key(), Why: e.Why, Rejected: e.Gate != ""}
	if purposeOf(e.Job) == PurposeFollow { // what else is looked at goes on meanwhile
		return stepFailed(r, e)
	}
	r.Work.Errors++
	remember := func(key string, gate Gate, after time.Duration) Record {
		f := Failure{Gate: gate, Why: e.Why, Tries: r.Failures[key].Tries + 1, At: e.At}
		if after > 0 {
			f.After = e.At.Add(after)
		}
		r.Failures = remembered(r.Failures, key, f)
		return r
	}
	switch j := e.Job.(type) {
	case Fetch:
		if e.Verdict != "" {
			r.Tally.Verifications = plus(r.Tally.Verifications, e.Verdict)
		}
		if e.Gate == GateUnverified && !e.Suspect {
			return choose(remember(revisionKey(j.Tip.Commit), e.Gate, 0), e.At)
		}
		if e.Gate != "" {
			key := fetchKey(j.Tip.Commit, j.Tip.Remote)
			return unfetched(remember(key, e.Gate, backoff(evaluateBackoff, r.Failures[key].Tries+1, e.Spread)), j.Tip, e.At, e.Spread)
		}
		r.Work.NotBefore = e.At.Add(backoff(jobBackoff, r.Work.Errors, e.Spread))
		return unfetched(r, j.Tip, e.At, e.Spread)
	case Resolve:
		if e.Gate != "" {
			return remember(revisionKey(j.From.Revision.Commit), e.Gate, 0)
		}
	case Evaluate:
		key := revisionKey(j.From.Revision.Commit)
		if e.Gate != "" {
			r = outcomeOf(r, ResultEvaluationFailed, j.From.Purpose, e.At)
			return remember(key, e.Gate, 0)
		}
		return remember(key, GateEvaluate, backoff(evaluateBackoff, r.Failures[key].Tries+1, e.Spread))
	case Build:
		key := derivationKey(j.From.Derivation)
		r.Work.Overtaken = ""
		r = outcomeOf(r, ResultBuildFailed, j.From.Purpose, e.At)
		return remember(key, GateBuild, backoff(buildBackoff, r.Failures[key].Tries+1, e.Spread))
	case Preflight:
		gate := e.Gate
		if gate == "" {
			gate = GatePreflight
		}
		return remember(toplevelKey(j.From.Toplevel), gate, preflightAgain)
	case Undrain:
		return unpaid(r, DebtUndrain, e.Why, e.At, e.Spread)
	case Restore:
		r = unpaid(r, DebtRestore, e.Why, e.At, e.Spread)
	default: // the phase decides what follows
	}
	r.Work.NotBefore = e.At.Add(backoff(jobBackoff, r.Work.Errors, e.Spread))
	return r
}

func sampled(r Record, e Sampled) Record {
	r = ended(r, JobEnd{OK: true})
	switch p := r.Phase.(type) {
	case Confirming:
		r.Work.Watch = r.Work.Watch.with(p.Trial, p.Deployment.New.Checks, e.Sample, e.Uptime)
	case VerifyingRollback:
		r.Work.Watch = r.Work.Watch.with(p.Trial, p.Deployment.Old.Checks, e.Sample, e.Uptime)
	case Idle, Arming, Activating, Promoting, RollingBack, RebootingBack, Stuck: // too late: nothing is judged any more
	default:
		panic(unknown("phase", p))
	}
	return r
}

// outcomeOf counts a failure before anything was tried. It is no deployment, so it
// has no place in the history. A failure of the testing branch is news to nobody
// but who pushed it.
func outcomeOf(r Record, res Result, of Purpose, at time.Time) Record {
	if of == PurposeTesting {
		return r
	}
	r.Tally.Deployments = plus(r.Tally.Deployments, res)
	r.Tally.LastDeployment = with(r.Tally.LastDeployment, res, at)
	r.Tally.Consecutive++
	return r
}

func ended(r Record, end JobEnd) Record {
	r.Work.Last, r.Work.Errors, r.Work.NotBefore = end, 0, time.Time{}
	return r
}

func took(r Record, what string, d time.Duration) Record {
	r.Tally.Took = with(r.Tally.Took, what, d)
	return r
}

// jobName is the job's kind, as it is named in metrics and status.
func jobName(j Job) string { return kind(j.Key()) }

func mark(r Record, s Stage, rev Revision, at time.Time) Record {
	if old := r.Tally.Marks[s]; old.Revision == rev.Commit && !old.Time.IsZero() {
		return r
	}
	r.Tally.Marks = with(r.Tally.Marks, s, Mark{Revision: rev.Commit, Time: rev.Time, Reached: at})
	return r
}

// revisionOf returns the revision that t came from, when the node deployed it before.
func revisionOf(r Record, t Toplevel) Commit {
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
