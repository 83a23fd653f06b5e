package reconcile

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// A script plays one story. The node does what it is told unless the story says
// otherwise: a trial that exits makes the new system current, and so on.
//
// Commands that only set the scene:
//
//	start PHASE [mode=M] [attempt=N] [try=N] [promoted] [cause=REASON] [held] [approved] [measured] [old=CHECKS] [new=CHECKS]
//	                         an agent that just started, with a record in that phase: A runs (B on
//	                         trial), A@c0 is good, c1 describes B. "start settled": idle and in sync; "start later": so with B@c1, and A@c0 before it
//	                         "start fresh": the agent never ran; "start unreadable": its record is damaged. CHECKS: web,db? (not required),
//	                         web* (same name as on the other side, another definition), web! (looked at each hour)
//	running|profile|default|booted X     a link; ? cannot be read
//	repo COMMIT SYSTEM [mode=M] [hold=WHY] [pin=COMMIT] [window=H-H] [drained] [checks=CHECKS]
//	                                     what a commit describes, and what its registry says; hours of every day, UTC
//	baseline [failed=U,U] [restarting=U,U] [active=U,U] [red=CHECKS] [targets=T,T]
//	guard armed|off|claimed|dead|gone|rebooted
//	agent NAME, trial-agent NAME|none    the agent that runs; the one of the system on trial
//	print TEXT, stale WHY                what the agent follows with: other settings than before the trial; not in force
//	policy KEY=VALUE                     last_resort, ignore, rollback, checks, observe, manifest, wait, audit=yes for what manifests say from now on;
//	                                     pin=SYSTEM: whoever makes pins makes that one now
//	clock D                              moves the wall clock
//
// Commands after which the agent looks and decides:
//
//	look · after D · restart · reboot · reload
//	poll REMOTE COMMIT [testing=COMMIT]|silent|missing|denied · ok · fail [gate=G [verdict=V]] WHY (gate=G? where a remote is suspected) · exit N [failed=U,U] [outside=U,U] [alias=U:U] [hold=G] [node]
//	sample [xN] [failed=U,U] [outside=U,U] [stopped=U,U] [pending=U,U] [restarts=U:N] [alias=U:U] [red=CHECKS] [silent] [unknown]
//	                         N looks at the trial, each when it is due
//	old answered|silent      the old settings were asked for a poll
//	verb NAME [ARG]          suspend takes until=D before the reason
type script struct {
	t        failer
	seen     coverage
	rec      Record
	obs      Observation
	systems  map[Commit]Toplevel
	targets  map[Commit]Target
	baseline Baseline
	audit    bool
	pin      Pin
	out      []string
}

// failer ends a test that cannot go on.
type failer interface {
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// The node's clocks when a story begins.
const beginUptime = time.Hour

var remotes = []string{"origin", "mirror"} // in order of preference

func newScript(t failer, seen coverage) *script {
	w := &script{t: t, seen: seen, rec: New(), systems: map[Commit]Toplevel{"c0": "A", "c1": "B", "c2": "C"}, targets: map[Commit]Target{}}
	w.obs = Observation{
		Now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Uptime: beginUptime, Boot: "boot1",
		Slots: Slots{"A", "A", "A"}, Booted: "A", Agent: "agent", TrialAgent: "agent", AgentUp: 0,
		Policy: Policy{
			Limits: Limits{
				Evaluate: 10 * time.Minute, Build: 2 * time.Hour, Activate: 10 * time.Minute,
				Promote: 5 * time.Minute, Rollback: 10 * time.Minute, VerifyRollback: 3 * time.Minute,
			},
			Confirm: Confirm{
				Settle: 10 * time.Second, Window: time.Minute, Deadline: 10 * time.Minute, DeadlineMax: time.Hour,
			},
			Rollback: RollbackAuto, LastResort: LastResortReboot,
		},
	}
	return w
}

// do carries out a command and returns what the agent said to it.
func (w *script) do(command string) []string {
	w.out = nil
	verb, rest, _ := strings.Cut(command, " ")
	args := strings.Fields(rest)
	switch verb {
	case "start":
		w.start(args[0], options(args[1:]))
	case "running":
		w.obs.Slots.Running = toplevel(rest)
	case "profile":
		w.obs.Slots.Profile = toplevel(rest)
	case "default":
		w.obs.Slots.Default = toplevel(rest)
	case "booted":
		w.obs.Booted = toplevel(rest)
	case "repo":
		w.systems[Commit(args[0])] = toplevel(args[1])
		w.targets[Commit(args[0])] = target(options(args[2:]))
	case "baseline":
		w.setBaseline(options(args))
	case "guard":
		w.setGuard(rest)
	case "slept":
		w.obs.Asleep = time.Hour
	case "orphan":
		w.obs.Orphan = true
	case "print":
		w.obs.Following.Print = rest
	case "stale":
		w.obs.Following.Stale = rest
	case "agent":
		w.obs.Agent, w.obs.AgentUp = rest, 0
	case "trial-agent":
		w.obs.TrialAgent = strings.ReplaceAll(rest, "none", "")
	case "policy":
		w.policy(options(args))
	case "clock":
		w.obs.Now = w.obs.Now.Add(w.duration(rest))
	default:
		w.happens(verb, rest, args)
	}
	return w.out
}

// settle decides until there is something to wait for, and returns that.
func (w *script) settle() Wait {
	for range 20 {
		phase := w.rec.Phase
		act := Next(w.rec, w.obs)
		if again := Next(w.rec, w.obs); !reflect.DeepEqual(act, again) {
			w.t.Fatalf("Next is not idempotent: %v, then %v", act, again)
		}
		w.seen.decides(phase, act)
		switch act := act.(type) {
		case Run:
			w.obs.Job = act.Job
			w.say(describeJob(act.Job))
		case Cancel:
			job := w.obs.Job
			w.obs.Job = nil
			w.say("cancel")
			w.take(Cancelled{job})
		case Note:
			w.say(describe(act.Event, w.obs))
			w.take(act.Event)
		case Wait:
			if w.obs.Job == nil {
				w.say(describeWait(act, Holds(w.rec, w.obs), w.obs))
			}
			return act
		}
	}
	w.t.Fatal("the agent decides for ever")
	return Wait{}
}

// take folds an event and tells how the record changed.
func (w *script) take(e Event) {
	before := w.rec
	w.seen.takes(before.Phase, e)
	w.rec = Fold(before, e)
	w.seen.turns(before.Phase, w.rec.Phase)
	w.out = append(w.out, changes(before, w.rec, w.obs)...)
}

// ends is the end of the job that runs.
func (w *script) ends(e Event) {
	if w.obs.Job == nil {
		w.t.Fatal("no job runs")
	}
	w.obs.Job = nil
	w.take(e)
}

func (w *script) say(line string) { w.out = append(w.out, line) }

func (w *script) pass(d time.Duration) {
	w.obs.Now, w.obs.Uptime, w.obs.AgentUp = w.obs.Now.Add(d), w.obs.Uptime+d, w.obs.AgentUp+d
}

func (w *script) duration(s string) time.Duration {
	d, err := time.ParseDuration(s)
	if err != nil {
		w.t.Fatal(err)
	}
	return d
}

func (w *script) number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		w.t.Fatal(fmt.Errorf("number: %w", err))
	}
	return n
}

func toplevel(s string) Toplevel { return Toplevel(strings.ReplaceAll(s, "?", "")) }

// options reads key=value words; a word without = is a key without a value.
func options(args []string) map[string]string {
	o := map[string]string{}
	for _, a := range args {
		key, value, _ := strings.Cut(a, "=")
		o[key] = value
	}
	return o
}

func words(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' })
}
