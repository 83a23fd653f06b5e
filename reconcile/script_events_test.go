package reconcile

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

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
		w.take(Reloaded{Elsewhere: rest == "elsewhere"})
	case "poll":
		a := Answer{Remote: args[0], Order: slices.Index(remotes, args[0]), Asked: w.obs.Now, Anew: w.obs.Now, At: w.obs.Now}
		if _, confirming := w.rec.Phase.(Confirming); confirming { // later than the activation, though in the story no time has passed
			a.Asked, a.Anew = a.Asked.Add(1), a.Anew.Add(1)
		}
		switch args[1] {
		case "silent":
			a.Why = "no answer"
		case "missing":
			a.Missing, a.Why = true, "no such branch"
		case "denied":
			a.Denied, a.Why = true, "401 Unauthorized"
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
		disk := false
		if rest2, is := strings.CutPrefix(rest, "disk "); is {
			disk, rest = true, rest2
		}
		gate, suspect := strings.CutSuffix(gate, "?")
		verdict := Verdict("")
		if v, rest2, is := strings.Cut(strings.TrimPrefix(rest, "verdict="), " "); is && strings.HasPrefix(rest, "verdict=") {
			verdict, rest = Verdict(v), rest2
		}
		w.ends(Failed{Job: w.obs.Job, Gate: Gate(gate), Suspect: suspect, Disk: disk, Verdict: verdict, Why: rest, At: w.obs.Now, Spread: 1})
	case "exit":
		w.exit(args[0], options(args[1:]))
	case "old":
		w.ends(AskedOld{Old: OldPoll(rest), Uptime: w.obs.Uptime, At: w.obs.Now})
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

// ok ends the job well, and makes the node look as it should then.
func (w *script) ok() {
	advanced := func(s Step) { w.ends(Advanced{Job: w.obs.Job, Step: s, At: w.obs.Now}) }
	switch j := w.obs.Job.(type) {
	case Fetch:
		advanced(Fetched{Revision: Revision{Commit: j.Tip.Commit, Time: w.obs.Now}, Purpose: j.Purpose})
	case Resolve:
		advanced(Resolved{Fetched: j.From, Target: w.targets[j.From.Revision.Commit]})
	case Plan:
		top := w.systems[j.From.Revision.Commit]
		named := Manifest{Place: "place", Signer: "ci"}
		if pin := w.pin; pin.Toplevel != "" {
			if err := j.Pins.Accepts(pin, j.From.Revision.Time, w.obs.Now); err != nil {
				w.ends(Failed{Job: j, Why: err.Error(), At: w.obs.Now, Spread: 1})
				return
			}
			top, named = pin.Toplevel, Manifest{Place: "place", Pinned: pin.At}
		}
		advanced(Evaluated{Resolved{j.From, w.targets[j.From.Revision.Commit]}, Derivation(top + ".drv"), top, named, w.audit})
	case Audit:
		s := j.From
		s.Audit = false
		advanced(s)
	case Evaluate:
		top := w.systems[j.From.Revision.Commit]
		advanced(Evaluated{Resolved: j.From, Derivation: Derivation(top + ".drv"), Toplevel: top})
	case Build:
		advanced(Built{Evaluated: j.From})
	case Preflight:
		advanced(Ready{Built: j.From, Checks: j.From.Target.Checks, Units: []string{string(j.From.Toplevel) + ".service"}})
	case Measure:
		w.ends(Measured{Deployment: j.Deployment, Baseline: w.baseline, At: w.obs.Now})
	case Arm:
		w.obs.Guard = GuardState{ID: j.Deployment.ID, Until: w.obs.Uptime + ArmedFor(w.obs.Policy, j.Deployment.Confirm), Alive: true}
		w.ends(Armed{})
	case SetGuard:
		w.obs.Guard = GuardState{ID: j.Deployment.ID, Until: j.Until, Alive: j.Until != 0}
		w.ends(Done{Job: j, Uptime: w.obs.Uptime})
	case Promote:
		w.obs.Guard.Until, w.obs.Guard.Alive = 0, false
		w.obs.Slots.Profile, w.obs.Slots.Default = j.Deployment.New.Toplevel, j.Deployment.New.Toplevel
		w.ends(Done{Job: j, Uptime: w.obs.Uptime})
	case GoBack:
		w.exit("0", nil)
	case Restore:
		w.obs.Slots.Profile, w.obs.Slots.Default = j.System, j.System
		w.ends(Done{Job: j, Uptime: w.obs.Uptime})
	case Tidy:
		w.obs.Guard = GuardState{}
		w.ends(Done{Job: j, Uptime: w.obs.Uptime})
	case Undrain, Poll, Retire:
		w.ends(Done{Job: j, Uptime: w.obs.Uptime})
	case Reboot:
		w.obs.Guard.Rebooted = true
		w.ends(Done{Job: j, Uptime: w.obs.Uptime})
	default:
		w.t.Fatalf("ok does not end the job %T", j)
	}
}

// target is what the registry says of the node.
func target(o map[string]string) Target {
	t := Target{Rollback: RollbackMode(o["mode"]), Hold: o["hold"], Pin: o["pin"], Checks: checks(o["checks"])}
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

// aliases reads UNIT:OTHER-NAME words.
func aliases(s string) map[string][]string {
	all := map[string][]string{}
	for _, pair := range words(s) {
		unit, name, _ := strings.Cut(pair, ":")
		all[unit] = append(all[unit], name)
	}
	return all
}

func (w *script) exit(code string, o map[string]string) {
	_, node := o["node"]
	a := Activation{Node: node, Exit: w.number(code), Failed: words(o["failed"]), Outside: words(o["outside"]), Hold: Gate(o["hold"]), Aliases: aliases(o["alias"]), Why: "last line"}
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
		s.Units = Units{Failed: words(o["failed"]), Outside: words(o["outside"]), Stopped: words(o["stopped"]), Pending: words(o["pending"]), Restarts: map[string]uint32{}, Aliases: aliases(o["alias"])}
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
		"rollback": StepBack{}, "retry": Retry{}, "adopt": Adopt{}, "allow-rewind": AllowRewind{To: Commit(arg)}, "retire": LetRetire{},
	}
	if until, reason, is := strings.Cut(strings.TrimPrefix(arg, "until="), " "); is && name == "suspend" && strings.HasPrefix(arg, "until=") {
		verbs[name] = Suspend{Reason: reason, Until: w.obs.Now.Add(w.duration(until))}
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
