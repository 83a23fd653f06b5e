package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/infra-agent/infra-agent/agent/control"
	"github.com/infra-agent/infra-agent/reconcile"
)

// A bar says how far one thing is.
type bar struct {
	name  string
	done  float64 // of 1
	count string  // what was counted, if anything
	time  string  // how long it has taken, or is left; changes all the time
	ink   ink
}

const barWidth = 30

// drawn is the bar itself; it is full only when all is done.
func (b bar) drawn() string {
	full := int(max(0, min(b.done, 1)) * barWidth)
	return "[" + strings.Repeat("#", full) + strings.Repeat(".", barWidth-full) + "]"
}

func (b bar) words() string { return strings.Trim(b.count+", "+b.time, ", ") }

// barsOf are the bars of what the agent is doing; none while it rests.
func barsOf(s control.Status, now time.Time) []bar {
	if !s.Running { // its record does not say
		return nil
	}
	kind, _, _ := strings.Cut(s.Doing, " ")
	switch {
	case s.Deployment != nil && s.Deployment.Confirm != nil:
		return confirmBars(*s.Deployment, now)
	case s.Build != nil:
		return buildBars(*s.Build, elapsed(now.Sub(s.DoingSince)))
	case timed[kind] != "":
		return []bar{timedBar(timed[kind], now.Sub(s.DoingSince), s.Took[kind])}
	}
	return nil
}

// timed are the jobs of which nothing can be counted, as people call them: only the last run says how long it may take.
var timed = map[string]string{
	"fetch": "fetch", "resolve": "registry", "plan": "manifest", "audit": "audit", "evaluate": "evaluate", "preflight": "look", "activate": "try", "promote": "promote", "goback": "go back",
}

func timedBar(name string, took, last time.Duration) bar {
	b := bar{name: name, time: elapsed(took), ink: blue}
	switch {
	case last <= 0:
	case took < last:
		b.done, b.time = took.Seconds()/last.Seconds(), b.time+" of "+elapsed(last)+" last time"
	default:
		b.done, b.time = 1, b.time+", longer than "+elapsed(last)+" last time"
	}
	return b
}

// buildBars tell of derivations and of downloads. Nix says what there is to do as it finds out.
func buildBars(p reconcile.Progress, took string) []bar {
	built := bar{name: "build", done: share(int64(p.Built), int64(p.ToBuild)), time: took, ink: blue}
	built.count = fmt.Sprintf("%d of %s", p.Built, counted(p.ToBuild, "derivation"))
	if p.ToCopy == 0 {
		return []bar{built}
	}
	copied := bar{name: "download", done: share(int64(p.Copied), int64(p.ToCopy)), count: fmt.Sprintf("%d of %s", p.Copied, counted(p.ToCopy, "path")), ink: blue}
	if p.BytesAll > 0 {
		copied.done = share(p.Bytes, p.BytesAll)
		copied.time = fmt.Sprintf("%d of %d MiB", p.Bytes>>20, p.BytesAll>>20)
	}
	return []bar{built, copied}
}

// confirmBars tell of the three things that decide a trial: its checks, how long all has been green, and the deadline.
func confirmBars(d control.Deployment, now time.Time) []bar {
	c := d.Confirm
	checks := bar{name: "checks", done: share(int64(c.Green), int64(c.Checks)), count: fmt.Sprintf("%d of %d green", c.Green, c.Checks), ink: green}
	window := bar{name: "window", count: "not all green", ink: green}
	if !c.GreenSince.IsZero() {
		took := min(now.Sub(c.GreenSince), c.Window)
		window.done, window.count = share(int64(took), int64(c.Window)), "all green"
		window.time = elapsed(took) + " of " + elapsed(c.Window)
	}
	bars := []bar{window}
	if c.Checks > 0 {
		bars = []bar{checks, window}
	}
	if d.Deadline.IsZero() { // a person decides
		return bars
	}
	return append(bars, bar{
		name: "deadline", done: share(int64(now.Sub(c.Since)), int64(d.Deadline.Sub(c.Since))), time: elapsed(d.Deadline.Sub(now)) + " left", ink: yellow,
	})
}

func share(n, of int64) float64 {
	if of <= 0 {
		return 0
	}
	return float64(n) / float64(of)
}

func elapsed(d time.Duration) string { return max(0, d).Round(time.Second).String() }
