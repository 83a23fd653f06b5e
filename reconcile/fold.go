package reconcile

import (
	"cmp"
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
		r.Work.Pause, r.Work.Errors = Pause{}, 0
		r.Work.Remotes, r.Work.Following = nil, Following{}
		if e.Elsewhere {
			r.Work.Tip, r.Work.Steps = Tip{}, nil
		}
		r = forget(r, func(key FailureKey, _ Failure) bool { return memories[key.Kind].reload })
	case Advanced:
		return advanced(r, e)
	case Done:
		r = ended(r, JobEnd{Job: KeyOf(e.Job), OK: true})
		switch e.Job.(type) {
		case Tidy:
			r.Work.Tidied = true
		case Undrain:
			r = paid(r, DebtUndrain)
		case Restore:
			r = paid(r, DebtRestore)
		case Poll:
			r.Work.Following.Polled = e.Uptime
		default: // nothing but its end
		}
		return took(r, KeyOf(e.Job).Kind, e.Took)
	case Cancelled:
		if c := overtakable(e.Job); c != r.Work.Tip.Commit && c != r.Good.Revision && r.Work.Overtaken == "" {
			r.Work.Overtaken = c
		}
	case Failed:
		return failed(r, e)
	case Measured:
		return measured(ended(r, JobEnd{OK: true}), e)
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
		r.Previous, r.Good, r.Back = r.Good, System{Toplevel: e.System, Revision: RevisionOf(r, e.System)}, ""
		if e.ByHand {
			r.Foreign.Tip = r.Work.Tip.Commit
			if r.Foreign.Tip == "" {
				r.Foreign.Tip = r.Anchor
			}
		}
		r.Work.Overtaken = ""
		r = untidy(passedBy(r)) // it needs a root
		return mark(r, StageRunning, Revision{Commit: r.Good.Revision}, e.At)
	case Converged:
		r.Work.Overtaken = ""
		r.Good.Revision, r.Good.Checks, r.Good.Care = e.Revision.Commit, e.Checks, e.Care
		r.Work.Steps, r.Failures = dropped(r.Work.Steps, PurposeEarlier), dropped(r.Failures, manifestKey(e.Revision.Commit))
		r.Foreign.Tip, r.Tally.OutOfSync, r.Tally.Consecutive = "", time.Time{}, 0
		r = mark(r, StageBuilt, e.Revision, e.At)
		r = mark(r, StageRunning, e.Revision, e.At)
		return mark(r, StageGood, e.Revision, e.At)
	case Judged:
		return verdictKept(r, e)
	case Suspended:
		r.Suspended = Suspension{Reason: e.Reason, Since: e.At, Until: e.Until}
	case SteppingBack:
		r.Back = e.To
	case Resumed:
		r.Suspended = Suspension{}
	case Retried:
		r.Blocked, r.Losses, r.Failures, r.Foreign.Tip, r.Tested = nil, nil, nil, "", nil
		r.Work.Pause, r.Work.Errors = Pause{}, 0
	case Synced:
		r.Work.Pause, r.Work.Errors, r.Work.PinAsked = Pause{}, 0, time.Time{}
		r = forget(r, func(key FailureKey, _ Failure) bool { return memories[key.Kind].sync })
	case Retiring:
		r.Retiring = true
		return forget(r, func(_ FailureKey, f Failure) bool { return f.Gate == GatePreflight })
	case Rewound: // what comes after it is not wanted any more
		r.Rewind, r.Work.Overtaken = e.To, ""
		r = forget(r, func(key FailureKey, _ Failure) bool {
			return key == revisionKey(e.To) || key.Kind == FailedFetch && strings.HasPrefix(key.Of, string(e.To)+" ")
		})
	case Accepted:
		if e.Slots.Running != r.Good.Toplevel {
			r.Previous, r.Good = r.Good, System{Toplevel: e.Slots.Running, Revision: RevisionOf(r, e.Slots.Running)}
		}
		r.Foreign, r.Back = Foreign{Accepted: e.Slots}, ""
		r = untidy(r) // it needs a root
	default:
		panic(unknown("event", e))
	}
	return r
}

func advanced(r Record, e Advanced) Record {
	if PurposeOf(e.Job) == PurposeFollow {
		return stepShown(ended(r, JobEnd{Job: KeyOf(e.Job), OK: true}), e.Step)
	}
	r = ended(r, JobEnd{Job: KeyOf(e.Job), OK: true})
	r, e.Step = timed(r, e)
	testing := e.Step.fetched().Purpose == PurposeTesting
	if s, is := e.Step.(Evaluated); is && !s.Manifest.Pinned.IsZero() {
		known := r.knows(s)
		if r = withPin(r, s, e.At); known { // asked for again, and still the same
			r.Failures = dropped(r.Failures, manifestKey(s.Revision.Commit))
			return r
		}
	}
	r.Work.Steps = stepped(r, e.Step)
	switch s := e.Step.(type) {
	case Fetched:
		r.Tally.Verifications = plus(r.Tally.Verifications, VerdictGood)
		if testing {
			return r
		}
		c := s.Revision.Commit
		if c == r.Rewind {
			r.Work.Steps = dropped(r.Work.Steps, PurposeEarlier)
		}
		if c != r.Anchor {
			r.Heights = with(r.Heights, c, r.Heights[r.Anchor]+s.Behind)
			r.Anchor, r.Rewind = c, ""
			r.Accepted = append(slices.DeleteFunc(slices.Clone(r.Accepted), func(a Commit) bool { return a == c }), c)
			r.Accepted = r.Accepted[max(0, len(r.Accepted)-keepAccepted):]
			r.Heights = without(r.Heights, func(of Commit, _ int) bool { return of != r.Good.Revision && !slices.Contains(r.Accepted, of) })
		}
		return mark(r, StageVerified, s.Revision, e.At)
	case Built:
		r.Failures = dropped(dropped(r.Failures, derivationKey(s.Derivation)), manifestKey(s.Revision.Commit))
		if !testing {
			return mark(r, StageBuilt, s.Revision, e.At)
		}
	case Evaluated:
		if _, audit := e.Job.(Audit); audit {
			r.Tally.Audits = plus(r.Tally.Audits, AuditSame)
		}
		r.Failures = dropped(r.Failures, revisionKey(s.Revision.Commit))
	case Ready:
		r.Failures = dropped(r.Failures, toplevelKey(s.Toplevel))
	case Resolved:
	default:
		panic(unknown("step", e.Step))
	}
	return r
}

// timed notes how long a preparing job took. A fetch ends with the verification, which is a phase of its own.
func timed(r Record, e Advanced) (Record, Step) {
	kind, d := KeyOf(e.Job).Kind, e.Took
	if s, is := e.Step.(Fetched); is {
		verify := s.Took["verify"]
		r, d = took(r, "verify", verify), d-verify
	}
	if !slices.Contains(TimedPhases, kind) {
		return took(r, kind, d), e.Step
	}
	return took(r, kind, d), taking(e.Step, kind, d)
}

func failed(r Record, e Failed) Record {
	r.Work.Last = JobEnd{Job: KeyOf(e.Job), Why: e.Why, Rejected: e.Gate != ""}
	if PurposeOf(e.Job) == PurposeFollow { // what else is looked at goes on meanwhile
		return stepFailed(r, e)
	}
	r.Work.Errors++
	switch j := e.Job.(type) {
	case Fetch:
		return fetchFailed(r, j, e)
	case Resolve:
		if e.Gate != "" {
			return rejected(r, revisionKey(j.From.Revision.Commit), e.Gate, e.Why, e.At)
		}
		r.Work.Overtaken = "" // it gives way to the newest commit, which may mend it
	case Plan:
		c := j.From.Revision.Commit
		if e.Gate != "" {
			return rejected(r, revisionKey(c), e.Gate, e.Why, e.At)
		}
		return postponed(r, manifestKey(c), GateManifest, e.Why, e.At, e.Spread)
	case Audit:
		return unaudited(r, j.From, e)
	case Evaluate:
		key := revisionKey(j.From.Revision.Commit)
		if e.Gate != "" {
			return rejected(outcomeOf(r, ResultEvaluationFailed, j.From.Purpose, e.At), key, e.Gate, e.Why, e.At)
		}
		return postponed(r, key, GateEvaluate, e.Why, e.At, e.Spread)
	case Build:
		r.Work.Overtaken = ""
		if j.From.Manifest.Place != "" {
			return uncopied(r, j.From, e)
		}
		r = outcomeOf(r, ResultBuildFailed, j.From.Purpose, e.At)
		return postponed(r, derivationKey(j.From.Derivation), GateBuild, e.Why, e.At, e.Spread)
	case Preflight:
		return postponed(r, toplevelKey(j.From.Toplevel), cmp.Or(e.Gate, GatePreflight), e.Why, e.At, e.Spread)
	case Undrain:
		return unpaid(r, DebtUndrain, e.Why, e.At, e.Spread)
	case Restore:
		r = unpaid(r, DebtRestore, e.Why, e.At, e.Spread)
	case Promote:
		r.Work.Pause = pause(e.At, promoteBackoff, j.Try, e.Spread)
		return r
	default: // the phase decides what follows
	}
	r.Work.Pause = pause(e.At, jobBackoff, r.Work.Errors, e.Spread)
	return r
}

func fetchFailed(r Record, j Fetch, e Failed) Record {
	if e.Verdict != "" {
		r.Tally.Verifications = plus(r.Tally.Verifications, e.Verdict)
	}
	switch {
	case e.Gate == GateUnverified && !e.Suspect:
		return choose(rejected(r, revisionKey(j.Tip.Commit), e.Gate, e.Why, e.At), e.At)
	case e.Gate != "":
		r = postponed(r, fetchKey(j.Tip.Commit, j.Tip.Remote), e.Gate, e.Why, e.At, e.Spread)
	default:
		r.Work.Pause = pause(e.At, jobBackoff, r.Work.Errors, e.Spread)
	}
	return unfetched(r, j.Tip, e.At, e.Spread)
}

func sampled(r Record, e Sampled) Record {
	r = ended(r, JobEnd{OK: true})
	switch p := r.Phase.(type) {
	case Confirming:
		r.Work.Watch = r.Work.Watch.with(p.Trial, p.Deployment.New.Checks, e.Sample, e.Uptime)
	case VerifyingRollback:
		r.Work.Watch = r.Work.Watch.with(p.Trial, p.Deployment.Old.Checks, e.Sample, e.Uptime)
	case Idle:
		return lookedAt(r, e)
	case Arming, Activating, Promoting, RollingBack, RebootingBack, Stuck: // too late: nothing is judged any more
	default:
		panic(unknown("phase", p))
	}
	return r
}

func ended(r Record, end JobEnd) Record {
	r.Work.Last, r.Work.Errors, r.Work.Pause = end, 0, Pause{}
	return r
}
