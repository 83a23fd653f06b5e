package reconcile

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"reflect"
	"slices"
	"strings"
	"time"
)

// redsToFail is how often in a row something must be red before it is a failure.
// One red alone starts the stability window anew.
const redsToFail = 3

// minHosts is how many independent hosts must have answered in the baseline
// before silence is judged: the outage of one git server must never become a
// rollback of the whole fleet.
const minHosts = 2

// with returns w after one more sampling, judged by the given checks.
func (w Watch) with(t Trial, checks []Check, s Sampling, now time.Duration) Watch {
	next := Watch{
		Last: now, Red: map[string]Red{}, restarts: cloned(w.restarts),
		Greens: cloned(w.Greens), Ran: cloned(w.Ran), Results: cloned(w.Results), flaps: cloned(w.flaps),
	}
	pending := next.units(w, t, s)
	pending = next.checks(w, t, checks, s.Checks) || pending
	next.connectivity(w, t, s.Targets)
	if len(next.Red) == 0 && !pending {
		next.GreenSince = cmp.Or(w.GreenSince, now)
	}
	return next
}

// red notes that what key names is red, once more than in before where it was looked at.
func (w *Watch) red(before Watch, key string, c Cause, grace time.Duration, looked bool) {
	r := Red{Cause: c, Times: before.Red[key].Times, Grace: grace}
	if looked {
		r.Times++
	}
	w.Red[key] = r
}

// units looks for units that are worse than they were in the baseline, and reports
// whether one is starting or stopping just now. What failed, or restarted again and again,
// before the trial may go on with it, and may stop or fail of it.
func (w *Watch) units(before Watch, t Trial, s Sampling) (pending bool) {
	if !s.Known { // what was red may be so still
		w.restarts = before.restarts
		for key, r := range before.Red {
			if r.Reason == ReasonUnit {
				w.Red[key] = r
			}
		}
		return true
	}
	counts := func(unit string) bool {
		return !ignoredUnit(unit, t.Deployment.Confirm.IgnoreUnits) && !t.Baseline.broken(unit, s.Units.Aliases[unit])
	}
	bad := func(key, unit, why string) {
		w.red(before, key+" "+unit, Cause{Reason: ReasonUnit, Why: why, Outside: slices.Contains(s.Units.Outside, unit)}, 0, true)
	}
	for _, u := range s.Units.Failed {
		if counts(u) {
			bad("failed", u, fmt.Sprintf("unit %s failed", u))
		}
	}
	for _, u := range s.Units.Stopped {
		if counts(u) {
			bad("stopped", u, fmt.Sprintf("unit %s was active before and is not now", u))
		}
	}
	for u, n := range s.Units.Restarts {
		w.restarts[u] = n
		was, known := before.restarts[u]
		if !counts(u) || !known || n <= was { // nobody has seen how often before
			continue
		}
		w.flaps[u] += int(n - was)
		bad("restarts", u, fmt.Sprintf("unit %s restarted %d times", u, w.flaps[u]))
		if key := "restarts " + u; w.flaps[u] >= redsToFail {
			w.Red[key] = Red{Cause: w.Red[key].Cause, Times: redsToFail}
		}
	}
	return slices.ContainsFunc(s.Units.Pending, counts)
}

// checks keeps the results, and reports whether a check was not green often enough yet.
func (w *Watch) checks(before Watch, t Trial, checks []Check, results map[string]CheckResult) (pending bool) {
	for _, c := range Runnable(checks) {
		res, ran := results[c.Name]
		if ran {
			w.Ran[c.Name], w.Results[c.Name] = w.Last, res
			w.Greens[c.Name]++
			if !res.OK {
				w.Greens[c.Name] = 0
			}
		}
		if !judged(t, c) {
			continue
		}
		if last, known := w.Results[c.Name]; known && !last.OK {
			w.red(before, "check "+c.Name, Cause{Reason: ReasonCheck, Why: fmt.Sprintf("check %s is red: %s", c.Name, last.Detail)}, c.Within, ran)
		} else if w.Greens[c.Name] < c.Successes {
			pending = true
		}
	}
	return pending
}

// connectivity is lost when every target that answered in the baseline is silent.
func (w *Watch) connectivity(before Watch, t Trial, answered map[string]bool) {
	w.Silent = len(answered) > 0 && !slices.Contains(slices.Collect(maps.Values(answered)), true)
	if w.Silent && hosts(t.Baseline.Targets) >= minHosts {
		w.red(before, "connectivity", Cause{Reason: ReasonConnectivity, Why: "no target answers any more: " + strings.Join(t.Baseline.Targets, ", ")}, 0, true)
	}
}

// broken reports whether the unit failed, or kept restarting, before the trial began, by
// whichever of its names.
func (b Baseline) broken(unit string, aliases []string) bool {
	return slices.ContainsFunc(append([]string{unit}, aliases...), func(name string) bool {
		return slices.Contains(b.Failed, name) || slices.Contains(b.Restarting, name)
	})
}

// stable reports whether everything was green from one sampling to another one
// that is at least the window younger. How long a look itself takes does not count.
func (w Watch) stable(window time.Duration) bool {
	return w.GreenSince > 0 && w.Last >= w.GreenSince+window
}

// judged reports whether c counts: a check that good had too, and that was red
// before the trial began, says nothing about the trial.
func judged(t Trial, c Check) bool {
	green, ran := t.Baseline.Checks[c.Name]
	same := slices.ContainsFunc(t.Deployment.Old.Checks, func(o Check) bool { return reflect.DeepEqual(o, c) })
	return c.Required && (!same || !ran || green)
}

// failure returns the first thing that was red often enough, and is past its
// grace; what the commit may have caused comes before what it cannot have caused.
// An impatient caller grants no grace.
func (w Watch) failure(since, now time.Duration, impatient bool) (c Cause, failed bool) {
	for _, r := range w.Reds() {
		if r.Times < redsToFail || !impatient && now < since+r.Grace || failed && (!c.Outside || r.Outside) {
			continue
		}
		c, failed = r.Cause, true
	}
	return c, failed
}

// story tells what is red now, in one line.
func (w Watch) story() string {
	var whys []string
	for _, red := range w.Reds() {
		whys = append(whys, red.Why)
	}
	return strings.Join(whys, "; ")
}

// waitsFor tells what a trial that is not confirmed yet waits for.
func (w Watch) waitsFor() string {
	if why := w.story(); why != "" {
		return why
	}
	return "it was not seen healthy for long enough"
}

// unconfirmed is the cause of a rollback at the deadline: an outside one where all that
// is red is so, or may be so because the node could not be undrained.
func (w Watch) unconfirmed(what string, r Record) Cause {
	outside := len(w.Red) > 0 && !slices.ContainsFunc(w.Reds(), func(red Red) bool { return !red.Outside && !stillDrained(red.Cause, r) })
	return Cause{Reason: ReasonDeadline, Why: what + ": " + w.waitsFor(), Outside: outside}
}

// stillDrained reports whether a check may be red because the node could not be undrained.
func stillDrained(c Cause, r Record) bool { return c.Reason == ReasonCheck && owes(r, DebtUndrain) }

// due returns the checks that are to run at now.
func (w Watch) due(checks []Check, now time.Duration) []Check {
	var due []Check
	for _, c := range Runnable(checks) {
		if ran, known := w.Ran[c.Name]; !known || now >= ran+c.Interval {
			due = append(due, c)
		}
	}
	return due
}

// pace is the time between two samplings: about ten of them fill the window.
func pace(window time.Duration) time.Duration {
	return min(max(window/10, 200*time.Millisecond), 5*time.Second)
}

// nextSampling returns when the next sampling is due.
func (w Watch) nextSampling(c Confirm, checks []Check) time.Duration {
	next := w.Last + pace(c.Window)
	for _, k := range Runnable(checks) {
		next = min(next, w.Ran[k.Name]+max(k.Interval, 100*time.Millisecond))
	}
	return next
}

// blessBoot marks the boot, not the system, and can do so once: every switch that restarts
// it has it fail until the next boot, in the old system as in the new one, nixpkgs#561855.
const blessBoot = "systemd-bless-boot.service"

// ignoredUnit reports whether a unit's state says nothing about the trial.
// The agent's own transient units never do.
func ignoredUnit(unit string, globs []string) bool {
	if strings.HasPrefix(unit, "infra-agent-") || unit == blessBoot {
		return true
	}
	return slices.ContainsFunc(globs, func(g string) bool { ok, _ := path.Match(g, unit); return ok })
}

// hosts counts the distinct hosts among targets (host:port or URLs).
func hosts(targets []string) int {
	seen := map[string]bool{}
	for _, t := range targets {
		seen[host(t)] = true
	}
	return len(seen)
}

func host(target string) string {
	if _, rest, ok := strings.Cut(target, "://"); ok {
		target, _, _ = strings.Cut(rest, "/")
	}
	if i := strings.LastIndexByte(target, ':'); i >= 0 {
		return target[:i]
	}
	return target
}

// triage returns the failed units of an activation that were not broken before.
func triage(t Trial, a Activation) []string {
	var fresh []string
	for _, u := range a.Failed {
		if !t.Baseline.broken(u, a.Aliases[u]) && !ignoredUnit(u, t.Deployment.Confirm.IgnoreUnits) {
			fresh = append(fresh, u)
		}
	}
	slices.Sort(fresh)
	return slices.Compact(fresh)
}

// Reds lists what is not healthy, sorted.
func (w Watch) Reds() []Red {
	var reds []Red
	for _, key := range slices.Sorted(maps.Keys(w.Red)) {
		reds = append(reds, w.Red[key])
	}
	return reds
}
