package reconcile

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// start puts a record on the disk of a node whose agent just started.
func (w *script) start(phase string, o map[string]string) {
	w.obs.AgentUp = 0
	w.obs.Job = nil
	switch phase {
	case "fresh":
		return
	case "unreadable":
		w.rec.Unreadable = "damaged"
		return
	}
	old := System{Toplevel: "A", Revision: "c0", Checks: checks(o["old"])}
	w.rec = New()
	w.rec.Good, w.rec.Anchor, w.rec.Accepted = old, "c0", []Commit{"c0"}
	if phase == "later" {
		w.rec.Previous, w.rec.Good = old, System{Toplevel: "B", Revision: "c1", Checks: checks(o["new"])}
		w.rec.Anchor, w.rec.Accepted = "c1", []Commit{"c0", "c1"}
		w.obs.Slots, w.obs.Booted = Slots{"B", "B", "B"}, "B"
	}
	if phase == "idle" || phase == "settled" || phase == "later" {
		w.rec.Phase = Idle{}
		if phase != "idle" {
			good := w.rec.Good
			tip := Tip{Commit: good.Revision, Remote: "origin", At: w.obs.Now}
			w.rec.Work = Work{
				Tidied: true, Tip: tip, Remotes: []Answer{{Remote: "origin", Commit: good.Revision, At: w.obs.Now}},
				Steps: map[Purpose]Step{PurposeBranch: Evaluated{Resolved{Fetched{Revision: Revision{Commit: good.Revision}, Purpose: PurposeBranch}, Target{}}, Derivation(good.Toplevel) + ".drv", good.Toplevel, Manifest{}, false}},
			}
		}
		return
	}
	mode := RollbackMode(o["mode"])
	if mode == "" {
		mode = RollbackAuto
	}
	if mode != RollbackAlways { // a commit of the testing branch is never accepted
		w.rec.Anchor, w.rec.Accepted = "c1", []Commit{"c0", "c1"}
	}
	confirm := w.obs.Policy.Confirm
	purpose := PurposeBranch
	if mode == RollbackAlways {
		purpose = PurposeTesting
	}
	d := Deployment{
		Purpose: purpose,
		ID:      "d", Old: old, New: System{Toplevel: "B", Revision: "c1", Checks: checks(o["new"])},
		Boot: w.obs.Boot, Started: w.obs.Now, Rollback: mode, Confirm: confirm,
	}
	t := Trial{Deployment: d, Baseline: w.baseline}
	attempt := max(1, w.number("0"+o["attempt"]))
	_, promoted := o["promoted"]
	_, approved := o["approved"]
	_, measured := o["measured"]
	held := ""
	if _, is := o["held"]; is {
		held = "check web is red: status 500"
	}
	cause := Cause{Reason: Reason(o["cause"]), Why: "because"}
	if cause.Reason == "" {
		cause.Reason = ReasonCheck
	}
	since, until := w.obs.Uptime, w.obs.Uptime+confirm.Deadline
	w.obs.Guard = GuardState{ID: "d", Until: until + guardGrace, Alive: true}
	phases := map[string]Phase{
		"arming":             Arming{Trial: t, Measured: measured},
		"activating":         Activating{Trial: t, Attempt: attempt, Since: since},
		"confirming":         Confirming{Trial: t, Since: since, Until: until, Approved: approved, Held: held},
		"promoting":          Promoting{Trial: t, Try: max(1, w.number("0"+o["try"]))},
		"rolling_back":       RollingBack{Trial: t, Cause: cause, Attempt: attempt, Promoted: promoted},
		"verifying_rollback": VerifyingRollback{Trial: t, Cause: cause, Boot: w.obs.Boot, Since: since},
		"rebooting":          RebootingBack{Trial: t, Cause: cause, Since: since},
		"stuck":              Stuck{Trial: t, Cause: cause},
	}
	p, known := phases[phase]
	if !known {
		w.t.Fatalf("unknown phase %q; there are %v", phase, slices.Sorted(maps.Keys(phases)))
	}
	w.rec.Phase = p
	if _, unpolled := o["unpolled"]; !unpolled && !d.Testing() { // since the activation
		w.rec.Work.Remotes = []Answer{{Remote: "origin", Commit: "c1", Asked: w.obs.Now.Add(1), Anew: w.obs.Now.Add(1), At: w.obs.Now.Add(1)}}
	}
	switch p.(type) {
	case Arming:
		w.obs.Guard = GuardState{}
	case Activating:
		w.obs.Guard.Until = since + ArmedFor(w.obs.Policy, confirm)
	case Confirming, Promoting, RollingBack, RebootingBack, Stuck:
		w.obs.Slots.Running = "B"
	}
	if held != "" {
		w.obs.Guard.Until, w.obs.Guard.Alive = 0, false
	}
	if promoted {
		w.rec.Owed = []Debt{{Kind: DebtRestore, System: "A", Since: w.obs.Now}}
	}
	if GoingBack(p) {
		w.rec.Blocked = map[Toplevel]Block{"B": {Cause: cause, Revision: "c1", At: w.obs.Now}}
	}
}

// checks makes checks of names. See the type script for their marks.
func checks(names string) []Check {
	var all []Check
	for _, name := range words(names) {
		c := Check{
			Kind: CheckTCP, Required: true, Within: 2 * time.Minute, Interval: 5 * time.Second,
			Timeout: 5 * time.Second, Successes: 2,
		}
		if strings.HasSuffix(name, "?") {
			c.Required = false
		}
		if strings.HasSuffix(name, "*") {
			c.Target = "changed:80"
		}
		if strings.HasSuffix(name, "!") {
			c.Interval = time.Hour
		}
		c.Name = strings.TrimRight(name, "?*!")
		all = append(all, c)
	}
	return all
}

func (w *script) setBaseline(o map[string]string) {
	w.baseline = Baseline{Failed: words(o["failed"]), Restarting: words(o["restarting"]), Active: words(o["active"]), Targets: words(o["targets"]), Checks: map[string]bool{}}
	for _, name := range words(o["green"]) {
		w.baseline.Checks[name] = true
	}
	for _, name := range words(o["red"]) {
		w.baseline.Checks[name] = false
	}
}

func (w *script) setGuard(state string) {
	g := &w.obs.Guard
	switch state {
	case "armed":
		g.Alive, g.Claimed = true, false
	case "off":
		g.Until, g.Alive, g.Claimed = 0, false, false
	case "claimed":
		g.Claimed = true
	case "dead":
		g.Alive = false
	case "gone":
		*g = GuardState{}
	case "rebooted":
		g.Until, g.Rebooted = 0, true
	default:
		w.t.Fatalf("unknown state of the guard: %q", state)
	}
}

func (w *script) policy(o map[string]string) {
	p := &w.obs.Policy
	for key, value := range o {
		switch key {
		case "last_resort":
			p.LastResort = LastResort(value)
		case "rollback":
			p.Rollback = RollbackMode(value)
		case "ignore":
			p.Confirm.IgnoreUnits = words(value)
		case "observe":
			p.Observe = true
		case "checks":
			p.Checks = checks(value)
		case "manifest":
			p.Manifests.Mode = ManifestMode(value)
		case "audit":
			w.audit = value == "yes"
		case "pin":
			w.pin = Pin{Toplevel(value), w.obs.Now}
		case "wait":
			p.Manifests.Wait = w.duration(value)
		default:
			w.t.Fatalf("unknown policy %q", key)
		}
	}
}

// describe says in one line what was decided.
func describe(e Event, o Observation) string {
	switch e := e.(type) {
	case Entered:
		return "enter " + describePhase(e.Phase, o)
	case Aborted:
		return strings.TrimSpace(fmt.Sprintf("aborted %s: %s", e.Gate, e.Why))
	case RolledBack:
		s := "rolled back"
		if e.Unhealthy != "" {
			s += ", unhealthy: " + e.Unhealthy
		}
		if e.Silent {
			s += ", silent"
		}
		return s
	case Adopted:
		if e.ByHand {
			return "adopted " + string(e.System) + " by hand"
		}
		return "adopted " + string(e.System)
	case Judged:
		return strings.TrimRight("judged "+e.Cause.Why, " ")
	case Converged:
		return "converged " + string(e.Revision.Commit)
	default:
		return strings.ToLower(typeName(e))
	}
}

func describeJob(j Job) string {
	s := "run " + KeyOf(j).String()
	if f, is := j.(Fetch); is && f.Tip.Remote != remotes[0] {
		s += " from " + f.Tip.Remote
	}
	if b, is := j.(Build); is && b.From.Manifest.Place != "" {
		s += ", a copy"
	}
	return s
}

func describePhase(p Phase, o Observation) string {
	cause := func(c Cause) string {
		reason := string(c.Reason)
		if c.Outside {
			reason += ", outside"
		}
		return fmt.Sprintf("%s (%s): %s", Name(p), reason, c.Why)
	}
	switch p := p.(type) {
	case Arming:
		return fmt.Sprintf("arming %s to %s, %s", p.Deployment.Old.Toplevel, p.Deployment.New.Toplevel, p.Deployment.Rollback)
	case Activating:
		return fmt.Sprintf("activating, attempt %d", p.Attempt)
	case Confirming:
		switch {
		case p.Approved:
			return "confirming, approved"
		case p.Held != "":
			return "confirming, held: " + p.Held
		}
		return fmt.Sprintf("confirming, %v left%s", p.Until-o.Uptime, flaw(p.Flaw))
	case Promoting:
		return fmt.Sprintf("promoting, try %d%s", p.Try, flaw(p.Flaw))
	case RollingBack:
		s := cause(p.Cause)
		if p.Attempt > 1 {
			s += fmt.Sprintf(", attempt %d", p.Attempt)
		}
		if p.Promoted {
			s += ", restoring"
		}
		return s
	case VerifyingRollback:
		return cause(p.Cause)
	case RebootingBack:
		return cause(p.Cause)
	case Stuck:
		return cause(p.Cause)
	default:
		return Name(p)
	}
}

func flaw(c Cause) string {
	if c == (Cause{}) {
		return ""
	}
	return ", though: " + c.Why
}

// owed names the debts, and for how long the next try waits.
func owed(r Record) string {
	var all []string
	for _, d := range r.Owed {
		s := string(d.Kind)
		if d.Tries > 0 {
			s += fmt.Sprintf(" for %v", d.After.Sub(d.Tried))
		}
		all = append(all, s)
	}
	return strings.Join(all, ", ")
}

func describeWait(a Wait, holds []Hold, o Observation) string {
	s := "wait"
	if !a.Until.IsZero() {
		s += " " + a.Until.Sub(o.Now).String()
	}
	for _, h := range holds {
		s += ", held: " + string(h.Gate)
	}
	return s
}

// changes says what the record holds now that it did not hold before.
func changes(a, b Record, o Observation) []string {
	var all []string
	changed := func(what string, was, is any) {
		if fmt.Sprint(was) != fmt.Sprint(is) {
			all = append(all, strings.TrimSpace(fmt.Sprintf("+ %s %v", what, is)))
		}
	}
	system := func(s System) string { return fmt.Sprintf("%s@%s", s.Toplevel, s.Revision) }
	changed("anchor", a.Anchor, b.Anchor)
	changed("rewind", a.Rewind, b.Rewind)
	changed("back", a.Back, b.Back)
	changed("good", system(a.Good), system(b.Good))
	changed("previous", system(a.Previous), system(b.Previous))
	changed("tested", a.Tested, b.Tested)
	changed("owed", owed(a), owed(b))
	changed("suspended", a.Suspended.Reason, b.Suspended.Reason)
	changed("leave alone", a.Foreign.Tip, b.Foreign.Tip)
	changed("accepted", a.Foreign.Accepted, b.Foreign.Accepted)
	all = append(all, changedKeys("blocked", a.Blocked, b.Blocked, func(k Block) string {
		if k.UntilPoll {
			return string(k.Reason) + " until poll"
		}
		return string(k.Reason)
	})...)
	all = append(all, changedKeys("losses", a.Losses, b.Losses, func(n int) string { return fmt.Sprint(n) })...)
	all = append(all, changedKeys("failed", a.Failures, b.Failures, func(f Failure) string {
		if f.After.IsZero() {
			return string(f.Gate)
		}
		return fmt.Sprintf("%s for %v", f.Gate, f.After.Sub(o.Now).Round(time.Second))
	})...)
	for _, k := range b.History[len(a.History):] {
		all = append(all, strings.TrimSpace(fmt.Sprintf("+ outcome %s %s", k.Result, k.Cause.Reason)))
	}
	for _, k := range b.Observed[len(a.Observed):] {
		all = append(all, strings.TrimSpace(fmt.Sprintf("+ observed %s %s", k.Revision, k.Cause.Reason)))
	}
	return all
}

func changedKeys[K comparable, V any](what string, a, b map[K]V, say func(V) string) []string {
	sorted := func(m map[K]V) []K {
		return slices.SortedFunc(maps.Keys(m), func(x, y K) int { return strings.Compare(fmt.Sprint(x), fmt.Sprint(y)) })
	}
	var all []string
	for _, k := range sorted(a) {
		if _, still := b[k]; !still {
			all = append(all, fmt.Sprintf("- %s %v", what, k))
		}
	}
	for _, k := range sorted(b) {
		if was, had := a[k]; !had || say(was) != say(b[k]) {
			all = append(all, fmt.Sprintf("+ %s %v: %s", what, k, say(b[k])))
		}
	}
	return all
}
