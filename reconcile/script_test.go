package reconcile

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
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
//	                         trial), A@c0 is good, c1 describes B. "start settled": idle and in sync
//	                         "start fresh": the agent never ran; "start unreadable": its record is damaged. CHECKS: web,db? (not required),
//	                         web* (same name as on the other side, another definition)
//	running|profile|default|booted X     a link; ? cannot be read
//	repo COMMIT SYSTEM [mode=M] [hold=WHY] [pin=COMMIT] [window=H-H] [drained]
//	                                     what a commit describes, and what its registry says; hours of every day, UTC
//	baseline [failed=U,U] [restarting=U,U] [active=U,U] [red=CHECKS] [targets=T,T]
//	guard armed|off|claimed|dead|gone|rebooted
//	agent NAME, trial-agent NAME|none    the agent that runs; the one of the system on trial
//	print TEXT, stale WHY                what the agent follows with: other settings than before the trial; not in force
//	policy KEY=VALUE                     last_resort, ignore, rollback, checks
//	clock D                              moves the wall clock
//
// Commands after which the agent looks and decides:
//
//	look · after D · restart · reboot · reload
//	poll REMOTE COMMIT [testing=COMMIT]|silent|missing · ok · fail [gate=G [verdict=V]] WHY (gate=G? where a remote is suspected) · exit N [failed=U,U] [outside=U,U] [hold=G]
//	sample [xN] [failed=U,U] [outside=U,U] [stopped=U,U] [pending=U,U] [restarts=U:N] [red=CHECKS] [silent] [unknown]
//	                         N looks at the trial, each when it is due
//	old answered|silent      the old settings were asked for a poll
//	verb NAME [ARG]
type script struct {
	t        failer
	seen     coverage
	rec      Record
	obs      Observation
	systems  map[Commit]Toplevel
	targets  map[Commit]Target
	baseline Baseline
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

func (w *script) happens(verb, rest string, args []string) {
	switch verb {
	case "look":
	case "after":
		w.pass(w.duration(rest))
	case "restart":
		w.rec.Work, w.obs.Job, w.obs.AgentUp = Work{}, nil, 0
	case "reboot":
		w.rec.Work, w.obs.Job, w.obs.AgentUp = Work{}, nil, 0
		w.obs.Boot += "+"
		w.obs.Now, w.obs.Uptime = w.obs.Now.Add(time.Minute), 30*time.Second
		w.obs.Slots.Running, w.obs.Booted, w.obs.Guard = w.obs.Slots.Default, w.obs.Slots.Default, GuardState{}
	case "reload":
		w.take(Reloaded{})
	case "poll":
		a := Answer{Remote: args[0], Order: slices.Index(remotes, args[0]), Asked: w.obs.Now, At: w.obs.Now}
		switch args[1] {
		case "silent":
			a.Why = "no answer"
		case "missing":
			a.Missing, a.Why = true, "no such branch"
		default:
			a.Commit = Commit(args[1])
			a.Testing = Commit(options(args[2:])["testing"])
		}
		w.take(Polled{a})
	case "ok":
		w.ok()
	case "fail":
		gate := ""
		if g, is := strings.CutPrefix(args[0], "gate="); is {
			gate, rest = g, strings.TrimPrefix(rest, args[0]+" ")
		}
		gate, suspect := strings.CutSuffix(gate, "?")
		verdict := Verdict("")
		if v, rest2, is := strings.Cut(strings.TrimPrefix(rest, "verdict="), " "); is && strings.HasPrefix(rest, "verdict=") {
			verdict, rest = Verdict(v), rest2
		}
		w.ends(Failed{Job: w.obs.Job, Gate: Gate(gate), Suspect: suspect, Verdict: verdict, Why: rest, At: w.obs.Now, Spread: 1})
	case "exit":
		w.exit(args[0], options(args[1:]))
	case "old":
		w.ends(AskedOld{Answered: rest == "answered", Uptime: w.obs.Uptime, At: w.obs.Now})
	case "sample":
		w.sample(args)
		return
	case "verb":
		w.verb(args[0], strings.TrimSpace(strings.TrimPrefix(rest, args[0])))
	default:
		w.t.Fatalf("unknown command %q", verb)
	}
	w.settle()
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

// ok ends the job well, and makes the node look as it should then.
func (w *script) ok() {
	advanced := func(s Step) { w.ends(Advanced{Job: w.obs.Job, Step: s, At: w.obs.Now}) }
	switch j := w.obs.Job.(type) {
	case Fetch:
		advanced(Fetched{Revision: Revision{Commit: j.Tip.Commit, Time: w.obs.Now}, Purpose: j.Purpose})
	case Resolve:
		advanced(Resolved{Fetched: j.From, Target: w.targets[j.From.Revision.Commit]})
	case Evaluate:
		top := w.systems[j.From.Revision.Commit]
		advanced(Evaluated{Resolved: j.From, Derivation: Derivation(top + ".drv"), Toplevel: top})
	case Build:
		advanced(Built{Evaluated: j.From})
	case Preflight:
		advanced(Ready{Built: j.From})
	case Measure:
		w.ends(Measured{Baseline: w.baseline, At: w.obs.Now})
	case Arm:
		w.obs.Guard = GuardState{ID: j.Deployment.ID, Until: w.obs.Uptime + ArmedFor(w.obs.Policy, j.Deployment.Confirm), Alive: true}
		w.ends(Armed{})
	case SetGuard:
		w.obs.Guard = GuardState{ID: j.Deployment.ID, Until: j.Until, Alive: j.Until != 0}
		w.ends(Done{Job: j})
	case Promote:
		w.obs.Guard.Until, w.obs.Guard.Alive = 0, false
		w.obs.Slots.Profile, w.obs.Slots.Default = j.Deployment.New.Toplevel, j.Deployment.New.Toplevel
		w.ends(Done{Job: j})
	case GoBack:
		w.exit("0", nil)
	case Restore:
		w.obs.Slots.Profile, w.obs.Slots.Default = j.System, j.System
		w.ends(Done{Job: j})
	case Tidy:
		w.obs.Guard = GuardState{}
		w.ends(Done{Job: j})
	case Undrain:
		w.ends(Done{Job: j})
	case Reboot:
		w.obs.Guard.Rebooted = true
		w.ends(Done{Job: j})
	default:
		w.t.Fatalf("ok does not end the job %T", j)
	}
}

// target is what the registry says of the node.
func target(o map[string]string) Target {
	t := Target{Rollback: RollbackMode(o["mode"]), Hold: o["hold"], Pin: o["pin"]}
	if hours, ok := o["window"]; ok {
		var from, to int
		if _, err := fmt.Sscanf(hours, "%d-%d", &from, &to); err != nil {
			panic(err)
		}
		t.Windows = []Window{{
			Text: hours, Days: [7]bool{true, true, true, true, true, true, true}, Zone: time.UTC,
			From: time.Duration(from) * time.Hour, To: time.Duration(to) * time.Hour,
		}}
	}
	if _, ok := o["drained"]; ok {
		t.Drain, t.Undrain = [][]string{{"/bin/drain"}}, [][]string{{"/bin/undrain"}}
	}
	return t
}

func (w *script) exit(code string, o map[string]string) {
	a := Activation{Exit: w.number(code), Failed: words(o["failed"]), Outside: words(o["outside"]), Hold: Gate(o["hold"]), Why: "last line"}
	var top Toplevel
	switch j := w.obs.Job.(type) {
	case Activate:
		a.Attempt, top = j.Attempt, j.Deployment.New.Toplevel
	case GoBack:
		a.Attempt, top = j.Attempt, j.Deployment.Old.Toplevel
		w.obs.Guard.Until, w.obs.Guard.Alive = 0, false
	default:
		w.t.Fatalf("exit ends an activation; the job is %v", w.obs.Job)
	}
	if a.Hold == "" && a.Exit >= 0 {
		w.obs.Slots.Running = top
	}
	w.ends(Activated{Activation: a})
}

// sample looks at the node as often as it is told, each time when it is due, and
// keeps quiet about the waiting between.
func (w *script) sample(args []string) {
	times := 1
	if len(args) > 0 && args[0][0] == 'x' {
		times = w.number(args[0][1:])
		args = args[1:]
	}
	o := options(args)
	var told []string
	for range times {
		j, ok := w.obs.Job.(Sample)
		if !ok {
			w.t.Fatalf("nothing is sampled now; the job is %v; it said %q", w.obs.Job, told)
		}
		w.out = nil
		w.ends(Sampled{Sample: w.sampling(j, o), Uptime: w.obs.Uptime})
		if until := w.settle().Until; !until.IsZero() && w.obs.Job == nil {
			w.pass(until.Sub(w.obs.Now))
			w.settle()
		}
		told = append(told, slices.DeleteFunc(w.out, func(line string) bool {
			return strings.HasPrefix(line, "wait") || strings.HasPrefix(line, "run sample")
		})...)
	}
	w.out = told
}

func (w *script) sampling(j Sample, o map[string]string) Sampling {
	_, unknown := o["unknown"]
	_, silent := o["silent"]
	s := Sampling{Known: !unknown, Checks: map[string]CheckResult{}, Targets: map[string]bool{}}
	if s.Known {
		s.Units = Units{Failed: words(o["failed"]), Outside: words(o["outside"]), Stopped: words(o["stopped"]), Pending: words(o["pending"]), Restarts: map[string]uint32{}}
	}
	for _, r := range words(o["restarts"]) {
		unit, n, _ := strings.Cut(r, ":")
		s.Units.Restarts[unit] = uint32(w.number(n))
	}
	for _, c := range j.Checks {
		res := CheckResult{OK: !slices.Contains(words(o["red"]), c.Name)}
		if !res.OK {
			res.Detail = "status 500"
		}
		s.Checks[c.Name] = res
	}
	for _, t := range j.Baseline.Targets {
		s.Targets[t] = !silent
	}
	return s
}

func (w *script) verb(name, arg string) {
	verbs := map[string]Verb{
		"sync": Sync{}, "suspend": Suspend{Reason: arg}, "resume": Resume{}, "confirm": Approve{}, "cancel": CancelTrial{},
		"rollback": StepBack{}, "retry": Retry{}, "adopt": Adopt{}, "allow-rewind": AllowRewind{To: Commit(arg)},
	}
	if name == "extend" {
		verbs[name] = Extend{By: w.duration(arg)}
	}
	v, known := verbs[name]
	if !known {
		w.t.Fatalf("unknown verb %q; there are %v", name, slices.Sorted(maps.Keys(verbs)))
	}
	events, err := Command(w.rec, w.obs, v)
	if refused, is := errors.AsType[*RefusedError](err); is {
		w.say("refused: " + refused.Why)
	} else if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range events {
		w.say(describe(e, w.obs))
		w.take(e)
	}
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
