package reconcile

import (
	"slices"
	"testing"
	"time"
)

// What the settings may be at most, config/validate.go.
const day = 24 * time.Hour

// What runs inside of a job ends before the job does, whatever a person sets.
func TestLimitsHoldWhatRunsInside(t *testing.T) {
	slow := make([]Check, 20)
	for i := range slow {
		slow[i] = Check{Name: string(rune('a' + i)), Timeout: CheckTimeoutMax}
	}
	d := Deployment{Old: System{Checks: slow}, New: System{Checks: slow}, Drain: [][]string{{"a"}, {"b"}, {"c"}}}
	p := Policy{Limits: Limits{Fetch: day, Evaluate: day, Build: 7 * day, Activate: day, Promote: day, Rollback: day, VerifyRollback: day}}
	fetchUnit := p.Limits.Fetch + UnitGrace // of a tree that was collected as garbage, say
	laws := []struct {
		job    Job
		inside time.Duration // the longest that what it does may take by its own limits
		what   string
	}{
		{Fetch{}, fetchUnit, "a fetch unit that nobody stopped"},
		{Resolve{}, fetchUnit + p.Limits.Evaluate, "a fetch, and limits.evaluate"},
		{Plan{}, fetchUnit + p.Limits.Fetch, "two times limits.fetch"},
		{Audit{}, fetchUnit + p.Limits.Evaluate, "a fetch, and limits.evaluate"},
		{Evaluate{}, fetchUnit + p.Limits.Evaluate, "a fetch, and limits.evaluate"},
		{Build{}, fetchUnit + p.Limits.Build, "a fetch, and limits.build"},
		{Promote{}, p.Limits.Promote, "limits.promote"},
		{Restore{}, p.Limits.Rollback, "limits.rollback"},
		{GoBack{}, p.Limits.Rollback, "limits.rollback"},
		{Measure{d}, BusWithin + AnswerWithin + 3*CheckTimeoutMax, "20 checks that hang, 8 at once"},
		{Sample{Deployment: d, Checks: slow}, BusWithin + AnswerWithin + 3*CheckTimeoutMax, "20 checks that hang, 8 at once"},
		{Arm{d}, 3 * limitCommand, "three commands that drain"},
		{Undrain{d.Drain}, 3 * limitCommand, "three commands that undrain"},
		{SetGuard{}, BusWithin, "a question to systemd"},
		{Preflight{}, fetchUnit + p.Limits.Evaluate + BusWithin, "a fetch, a registry that is evaluated, and a question to systemd"},
		{AskOld{}, OldPollWithin, "a poll by the old settings"},
		{Tidy{}, BusWithin, "a question to systemd"},
		{Retire{}, BusWithin, "a question to systemd"},
		{Reboot{}, BusWithin, "a question to systemd"},
		{Poll{}, 1, "a word to the poller"},
	}
	bounded := map[string]bool{KeyOf(Activate{}).Kind: true} // by its phase
	for _, law := range laws {
		bounded[KeyOf(law.job).Kind] = true
		if got := LimitOf(law.job, p); got < law.inside {
			t.Errorf("%T may take %v, and %s %v", law.job, got, law.what, law.inside)
		}
	}
	for _, j := range jobs(d) {
		if !bounded[KeyOf(j).Kind] {
			t.Errorf("%T: say what runs inside of it", j)
		}
	}
}

// The guard leaves the longest activation, the start of the new agent, and the deadline
// to whoever lives.
func TestGuardWaitsForWhoeverLives(t *testing.T) {
	for _, activate := range []time.Duration{time.Second, 10 * time.Minute, day} {
		for _, deadline := range []time.Duration{time.Second, 10 * time.Minute, day} {
			p, c := Policy{Limits: Limits{Activate: activate}}, Confirm{Deadline: deadline}
			if got := ArmedFor(p, c); got < activate+guardGrace || got < deadline+guardGrace {
				t.Errorf("activation %v, deadline %v: the guard waits %v", activate, deadline, got)
			}
		}
	}
	p := Confirming{Until: time.Hour, Trial: Trial{Deployment: Deployment{Rollback: RollbackAuto}}}
	if got := p.GuardUntil(true); got <= p.Until {
		t.Errorf("the guard goes back at %v, and the agent at %v", got, p.Until)
	}
}

// A wish may find the loop at a look at the node, and is preceded by one of its own: who made
// it must not be told that nobody answered, and then see it carried out.
func TestAWishOutlastsABusThatHangs(t *testing.T) {
	if 2*BusWithin >= ControlWithin {
		t.Errorf("a wish may take %v, and two questions to systemd take %v", ControlWithin, 2*BusWithin)
	}
}

// A slow check of the old system has the time to be green again after a rollback.
func TestARollbackWaitsForItsChecks(t *testing.T) {
	slow := Check{Kind: CheckTCP, Required: true, Interval: 4 * time.Minute, Timeout: time.Minute, Successes: 2}
	p := VerifyingRollback{Trial: Trial{Deployment: Deployment{Old: System{Checks: []Check{slow}}}}}
	if got, want := verifyWithin(p, Observation{Policy: Policy{Limits: Limits{VerifyRollback: 3 * time.Minute}}}), 8*time.Minute; got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

// A commit that shortens what bounds the way back, or wants no last resort, does so for those
// that come after it: its own trial goes back as the old system's settings say.
func TestATrialGoesBackByTheOldSettings(t *testing.T) {
	old := Policy{Limits: Limits{Rollback: 20 * time.Minute, VerifyRollback: 5 * time.Minute}, LastResort: LastResortReboot}
	d := deployment(PurposeBranch, System{Toplevel: "old"}, System{Toplevel: "new"}, nil, Observation{Policy: old, Boot: "b"})
	o := Observation{Policy: Policy{Limits: Limits{Rollback: time.Second, VerifyRollback: time.Second}, LastResort: LastResortStuck}, Boot: "b", Uptime: time.Hour}
	r := New()
	act := rollingBack(RollingBack{Trial: Trial{Deployment: d}, Attempt: 1}, r, o)
	run, is := act.(Run)
	if !is || run.Job.(GoBack).Until != time.Hour+20*time.Minute || LimitOf(run.Job, o.Policy) != 20*time.Minute {
		t.Errorf("it goes back by %+v", act)
	}
	if got := verifyWithin(VerifyingRollback{Trial: Trial{Deployment: d}}, o); got != 5*time.Minute {
		t.Errorf("the old system may take %v to be healthy", got)
	}
	if act, is := lastResort(Trial{Deployment: d}, Cause{}, "", o).(Note).Event.(Entered).Phase.(RebootingBack); !is {
		t.Errorf("the last resort is %+v", act)
	}
	d.Recovery = Recovery{} // an older agent began it
	if got := d.RecoveryUnder(old); got != (Recovery{20 * time.Minute, 5 * time.Minute, LastResortReboot}) {
		t.Errorf("without a word of the agent that began it: %+v", got)
	}
}

// Until it has shown that it follows, a trial that a person holds is guarded.
func TestATrialThatHasShownNothingIsGuarded(t *testing.T) {
	p := Confirming{Until: time.Hour, Trial: Trial{Deployment: Deployment{Rollback: RollbackHold}, Baseline: Baseline{Print: "old"}}}
	for print, want := range map[string]time.Duration{"old": 0, "other": time.Hour + guardGrace} {
		if got := p.Guarded(New(), Observation{Following: FollowState{Print: print}}); got != want {
			t.Errorf("with settings %s the guard goes back at %v, want %v", print, got, want)
		}
	}
}

// Every mode has an answer to every trouble, and without an agent nobody stays.
func TestRulings(t *testing.T) {
	for _, m := range []RollbackMode{RollbackAuto, RollbackHold, RollbackNever, RollbackAlways} {
		for _, trouble := range troubles {
			if rule(m, trouble) == "" {
				t.Errorf("no ruling for %s, %s", m, trouble)
			}
		}
		if got := rule(m, troublePromotion); (got == rulingKeep) != (m == RollbackHold || m == RollbackNever) {
			t.Errorf("%s, and it cannot be made the default: %s", m, got)
		}
		for _, deaf := range []trouble{troubleNoAgent, troubleDeaf} {
			if got := rule(m, deaf); got != rulingBack {
				t.Errorf("%s, %s: %s", m, deaf, got)
			}
		}
	}
}

// A check that takes longer than the deadline lets its trial last as long as it needs, at most until deadline_max.
func TestATrialWaitsForItsSlowestCheck(t *testing.T) {
	c := Confirm{Settle: time.Second, Window: time.Minute, Deadline: 10 * time.Minute, DeadlineMax: time.Hour}
	for interval, want := range map[time.Duration]time.Duration{
		time.Minute:      10 * time.Minute,
		20 * time.Minute: 21*time.Minute + time.Second + 3*33*time.Second,
		2 * time.Hour:    time.Hour,
	} {
		slow := Check{Kind: CheckTCP, Required: true, Interval: interval, Successes: 2}
		if got := c.patientFor([]Check{slow}, nil).Deadline; got != want {
			t.Errorf("looked at each %v: the trial lasts %v, want %v", interval, got, want)
		}
		slow.Timeout = 5 * time.Minute
		if got, want := c.patientFor([]Check{slow}, nil).Deadline, min(interval+61*time.Second+3*333*time.Second, c.DeadlineMax); got != want {
			t.Errorf("looked at each %v, and three answers of 5m0s: the trial lasts %v, want %v", interval, got, want)
		}
		if got, want := c.patientFor(slices.Repeat([]Check{slow}, ParallelChecks+1), nil).Deadline, min(interval+61*time.Second+3*633*time.Second, c.DeadlineMax); got != want {
			t.Errorf("looked at each %v, and nine that answer in 5m0s: the trial lasts %v, want %v", interval, got, want)
		}
		slow.Required = false
		if got := c.patientFor([]Check{slow}, nil).Deadline; got != c.Deadline {
			t.Errorf("not required: the trial lasts %v, want %v", got, c.Deadline)
		}
	}
}

// Deadlines that no trial can meet would keep away the commit that corrects them.
func TestATrialLastsLongEnoughToFollow(t *testing.T) {
	hasty := Confirm{Settle: time.Second, Window: 2 * time.Second, Deadline: 4 * time.Second, DeadlineMax: 5 * time.Second}
	took := Times{"fetch": 3 * time.Second, "verify": time.Second, "evaluate": 40 * time.Second, "build": time.Hour}
	if got := hasty.patientFor(nil, took); got.Deadline != 13*time.Second || got.DeadlineMax != 101*time.Second {
		t.Errorf("it lasts %v, at most %v; want 13s, and 1m41s", got.Deadline, got.DeadlineMax)
	}
	patient := Confirm{Settle: time.Second, Window: 2 * time.Second, Deadline: 10 * time.Minute, DeadlineMax: time.Hour}
	if got := patient.patientFor(nil, took); got.Deadline != patient.Deadline || got.DeadlineMax != patient.DeadlineMax {
		t.Errorf("it lasts %v, at most %v; want what the settings say", got.Deadline, got.DeadlineMax)
	}
}
