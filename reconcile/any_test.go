package reconcile

import (
	"maps"
	"slices"
	"time"

	"pgregory.net/rapid"
)

// Generators of everything that the package knows, from a small world in which
// things meet.
var (
	anyTop      = rapid.SampledFrom([]Toplevel{"A", "B", "C", ""})
	anyCommit   = rapid.SampledFrom([]Commit{"c0", "c1", "c2", ""})
	anyDuration = rapid.SampledFrom([]time.Duration{0, time.Second, 5 * time.Second, time.Minute, 10 * time.Minute, time.Hour, 2 * time.Hour})
	anyTime     = rapid.Map(anyDuration, func(d time.Duration) time.Time { return time.Unix(0, 0).Add(d) })
	anyChecks   = rapid.Map(rapid.SampledFrom([]string{"", "web", "web,db?", "web*"}), checks)
	anyReason   = rapid.SampledFrom(Reasons)
	anyBoot     = rapid.SampledFrom([]BootID{"boot1", "boot2"})
	anyUnits    = rapid.SliceOfN(rapid.SampledFrom([]string{"a.service", "b.service"}), 0, 2)
)

var anySystem = rapid.Custom(func(t *rapid.T) System {
	return System{Toplevel: anyTop.Draw(t, "toplevel"), Revision: anyCommit.Draw(t, "revision"), Checks: anyChecks.Draw(t, "checks")}
})

var anyTrial = rapid.Custom(func(t *rapid.T) Trial {
	return Trial{
		Deployment{
			ID: "d", Old: anySystem.Draw(t, "old"), New: anySystem.Draw(t, "new"), Boot: anyBoot.Draw(t, "boot"),
			Rollback: rapid.SampledFrom([]RollbackMode{RollbackAuto, RollbackHold, RollbackNever, RollbackAlways}).Draw(t, "rollback"),
			Confirm:  Confirm{Window: time.Minute, Deadline: 10 * time.Minute, DeadlineMax: time.Hour},
		},
		Baseline{Failed: anyUnits.Draw(t, "failed"), Checks: map[string]bool{"web": rapid.Bool().Draw(t, "green")}, Targets: []string{"a:1", "b:1"}},
	}
})

var anyPhase = rapid.Custom(func(t *rapid.T) Phase {
	trial, cause := anyTrial.Draw(t, "trial"), Cause{Reason: anyReason.Draw(t, "reason"), Why: "why"}
	since, n := anyDuration.Draw(t, "since"), rapid.IntRange(1, 3).Draw(t, "n")
	held := rapid.SampledFrom([]string{"", "red"}).Draw(t, "held")
	return rapid.SampledFrom([]Phase{
		Idle{},
		Arming{trial, n == 1},
		Activating{trial, min(n, 2), since},
		Confirming{trial, since, since + 10*time.Minute, n == 1, held, Cause{}},
		Promoting{trial, n, Cause{}},
		RollingBack{trial, cause, min(n, 2), n == 3},
		VerifyingRollback{trial, cause, anyBoot.Draw(t, "boot"), since},
		RebootingBack{trial, cause, since},
		Stuck{trial, cause},
	}).Draw(t, "phase")
})

var anyManifest = rapid.SampledFrom([]Manifest{{}, {Place: "p", Signer: "ci"}, {Place: "p", Pinned: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}})

var anyStep = rapid.Custom(func(t *rapid.T) Step {
	f := Fetched{Revision: Revision{Commit: anyCommit.Draw(t, "commit")}, Purpose: rapid.SampledFrom([]Purpose{PurposeBranch, PurposeTesting}).Draw(t, "purpose")}
	e := Evaluated{Resolved{f, Target{}}, "x.drv", anyTop.Draw(t, "toplevel"), anyManifest.Draw(t, "manifest"), rapid.Bool().Draw(t, "audit")}
	return rapid.SampledFrom([]Step{nil, f, e.Resolved, e, Built{e}, Ready{Built{e}, anyChecks.Draw(t, "checks"), rapid.Bool().Draw(t, "retires"), nil}}).Draw(t, "step")
})

// jobs has one of each kind.
func jobs(d Deployment) []Job {
	b := Built{Evaluated{Derivation: "x.drv", Toplevel: "B"}}
	return []Job{
		Fetch{Tip: Tip{Commit: "c1"}},
		Resolve{b.Fetched},
		Plan{From: b.Fetched},
		Audit{b.Evaluated},
		Evaluate{From: b.Resolved},
		Build{b.Evaluated},
		Preflight{b, "A", false},
		Tidy{},
		Measure{d},
		AskOld{d},
		Arm{d},
		Activate{d, 1, Baseline{}},
		SetGuard{d, 0},
		Sample{d, nil, Baseline{}},
		Promote{d, 1},
		GoBack{d, 1, 0},
		Restore{d.Old.Toplevel},
		Undrain{},
		Reboot{d},
		Poll{d},
		Retire{},
	}
}

var anyJob = rapid.Custom(func(t *rapid.T) Job {
	return rapid.SampledFrom(jobs(anyTrial.Draw(t, "trial").Deployment)).Draw(t, "job")
})

// roomy returns a slice that has room behind it, where an append would write.
func roomy[E any](s []E) []E { return append(make([]E, 0, len(s)+4), s...) }

var anyRecord = rapid.Custom(func(t *rapid.T) Record {
	r := Record{
		Anchor: anyCommit.Draw(t, "anchor"), Accepted: roomy(rapid.SliceOfN(anyCommit, 0, 3).Draw(t, "accepted")), Rewind: anyCommit.Draw(t, "rewind"),
		Good: anySystem.Draw(t, "good"), Previous: anySystem.Draw(t, "previous"), Phase: anyPhase.Draw(t, "phase"),
		Blocked:   map[Toplevel]Block{anyTop.Draw(t, "blocked"): {UntilPoll: rapid.Bool().Draw(t, "until poll")}},
		Losses:    map[Toplevel]int{"B": 1},
		Tested:    roomy(rapid.SliceOfN(anyCommit, 0, 2).Draw(t, "tested")),
		Suspended: Suspension{Since: anyTime.Draw(t, "suspended"), Until: rapid.SampledFrom([]time.Time{{}, anyTime.Draw(t, "until")}).Draw(t, "end")},
		Foreign:   Foreign{Tip: anyCommit.Draw(t, "foreign")},
		Owed:      roomy([]Debt{{Kind: rapid.SampledFrom(DebtKinds).Draw(t, "owed"), System: anyTop.Draw(t, "restore"), After: anyTime.Draw(t, "due")}}),
		History:   roomy([]Outcome{{ID: "x", To: "B"}}),
		Observed:  roomy([]Observed{{System: "B"}}),
	}
	gate := rapid.SampledFrom(Gates).Draw(t, "gate")
	r.Failures = map[FailureKey]Failure{
		revisionKey(anyCommit.Draw(t, "failed")): {Gate: gate, After: anyTime.Draw(t, "after")}, toplevelKey("B"): {Gate: gate, After: anyTime.Draw(t, "again")},
	}
	r.Work = Work{
		Remotes: roomy([]Answer{{Remote: "origin", Commit: anyCommit.Draw(t, "answer"), Testing: anyCommit.Draw(t, "testing")}}), Tip: Tip{Commit: anyCommit.Draw(t, "tip")},
		Steps: map[Purpose]Step{}, Overtaken: anyCommit.Draw(t, "overtaken"), Tidied: rapid.Bool().Draw(t, "tidied"), Armed: rapid.Bool().Draw(t, "armed"), Pause: Pause{anyTime.Draw(t, "failed"), anyTime.Draw(t, "not before")},
		Last: JobEnd{Job: KeyOf(anyJob.Draw(t, "last")), OK: rapid.Bool().Draw(t, "ok")},
	}
	if rapid.Bool().Draw(t, "looks out") {
		r.Work.Lookout = Lookout{Trial: anyTrial.Draw(t, "awaited"), At: anyTime.Draw(t, "measured"), Since: anyDuration.Draw(t, "looks since")}
	}
	for _, p := range []Purpose{PurposeBranch, PurposeEarlier, PurposeTesting} {
		if s := anyStep.Draw(t, string(p)); s != nil {
			r.Work.Steps[p] = s
		}
	}
	if rapid.Bool().Draw(t, "activated") {
		r.Work.Activation = &Activation{Attempt: 1, Exit: rapid.IntRange(-1, 5).Draw(t, "exit"), Failed: roomy(anyUnits.Draw(t, "units"))}
	}
	for range rapid.IntRange(0, 3).Draw(t, "samplings") {
		r.Work.Watch = r.Work.Watch.with(anyTrial.Draw(t, "of"), anyChecks.Draw(t, "checks"), anySampling.Draw(t, "sampling"), anyDuration.Draw(t, "at"))
	}
	return r
})

var anySampling = rapid.Custom(func(t *rapid.T) Sampling {
	return Sampling{
		Known:   rapid.Bool().Draw(t, "known"),
		Units:   Units{Failed: anyUnits.Draw(t, "failed"), Stopped: anyUnits.Draw(t, "stopped"), Restarts: map[string]uint32{"a.service": rapid.Uint32Max(5).Draw(t, "restarts")}},
		Checks:  map[string]CheckResult{"web": {OK: rapid.Bool().Draw(t, "web")}},
		Targets: map[string]bool{"a:1": rapid.Bool().Draw(t, "answered")},
	}
})

var anyObservation = rapid.Custom(func(t *rapid.T) Observation {
	o := newScript(t, coverage{}).obs
	o.Now, o.Uptime, o.Boot = anyTime.Draw(t, "now"), anyDuration.Draw(t, "uptime"), anyBoot.Draw(t, "boot")
	o.Slots = Slots{anyTop.Draw(t, "running"), anyTop.Draw(t, "profile"), anyTop.Draw(t, "default")}
	o.AgentUp, o.TrialAgent = anyDuration.Draw(t, "up"), rapid.SampledFrom([]string{"agent", "other", ""}).Draw(t, "agent")
	o.Guard = GuardState{
		ID: rapid.SampledFrom([]string{"d", "e", ""}).Draw(t, "guard"), Until: anyDuration.Draw(t, "until"), Alive: rapid.Bool().Draw(t, "alive"),
		Claimed: rapid.Bool().Draw(t, "claimed"), Rebooted: rapid.Bool().Draw(t, "rebooted"),
	}
	o.Policy.Observe = rapid.Bool().Draw(t, "observe")
	if rapid.Bool().Draw(t, "busy") {
		o.Job = anyJob.Draw(t, "job")
	}
	return o
})

var anyEvent = rapid.Custom(func(t *rapid.T) Event {
	job, now, boot := anyJob.Draw(t, "job"), anyTime.Draw(t, "at"), rapid.Bool().Draw(t, "flag")
	step := anyStep.Filter(func(s Step) bool { return s != nil }).Draw(t, "step")
	top := anyTop.Draw(t, "toplevel")
	events := map[string]Event{
		"polled":   Polled{Answer{Remote: "origin", Commit: anyCommit.Draw(t, "commit"), Testing: anyCommit.Draw(t, "testing"), At: now}},
		"mirror":   Polled{Answer{Remote: "mirror", Order: 1, Commit: anyCommit.Draw(t, "commit"), At: now}},
		"reloaded": Reloaded{rapid.Bool().Draw(t, "elsewhere")}, "cancelled": Cancelled{job}, "advanced": Advanced{Job: job, Step: step, At: now}, "done": Done{Job: job},
		"failed":   Failed{Job: job, Gate: rapid.SampledFrom([]Gate{"", GateEvaluate}).Draw(t, "gate"), Why: "why", At: now, Spread: 1},
		"measured": Measured{Deployment: anyTrial.Draw(t, "measures").Deployment, At: now}, "judged": Judged{At: now}, "paid": Paid{DebtUndrain}, "asked old": AskedOld{rapid.SampledFrom([]OldPoll{OldAnswered, OldSilent, OldLost}).Draw(t, "old poll"), anyDuration.Draw(t, "asked"), now}, "armed": Armed{}, "activated": Activated{Activation: Activation{Attempt: 1}}, "sampled": Sampled{anySampling.Draw(t, "sampling"), anyDuration.Draw(t, "uptime")},
		"entered": Entered{anyPhase.Draw(t, "phase"), now}, "aborted": Aborted{Gate: GateLock, At: now}, "promoted": Promoted{now},
		"rolled back": RolledBack{At: now, Silent: boot}, "abandoned": Abandoned{now}, "adopted": Adopted{top, boot, now},
		"converged": Converged{Revision: Revision{Commit: "c1"}, At: now}, "suspended": Suspended{"x", rapid.SampledFrom([]time.Time{{}, now.Add(time.Minute)}).Draw(t, "until"), now}, "stepping_back": SteppingBack{top},
		"resumed": Resumed{}, "retried": Retried{}, "synced": Synced{}, "rewound": Rewound{"c1"}, "accepted": Accepted{Slots{Running: top}, now},
	}
	return events[rapid.SampledFrom(slices.Sorted(maps.Keys(events))).Draw(t, "event")]
})
