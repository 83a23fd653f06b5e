package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/infra-agent/infra-agent/agent/control"
)

// statusEvery is how often "status --watch" looks again.
const statusEvery = time.Second

func watchStatus(c *cobra.Command, every time.Duration) error {
	on := inksOf(c.OutOrStdout())
	return watch(c.Context(), c.OutOrStdout(), every, func(context.Context) (picture, error) {
		s, err := readStatus(c)
		if err != nil {
			return picture{}, err
		}
		return statusPicture(s, time.Now(), on)
	})
}

// statusPicture is the status, and above it how far is what goes on.
func statusPicture(s control.Status, now time.Time, on inks) (picture, error) {
	var text strings.Builder
	bars := barsOf(s, now)
	for _, b := range bars {
		fmt.Fprintf(&text, "%-8s  %s  %s\n", b.name, on.paint(b.ink, b.drawn()), b.words())
	}
	if len(bars) > 0 {
		text.WriteString("\n")
	}
	err := printStatus(&text, s, now)
	return picture{now, text.String(), statusFacts(s, bars)}, err
}

// statusFacts are what changes when something happens, a line each.
func statusFacts(s control.Status, bars []bar) []string {
	facts := []string{strings.ReplaceAll(s.State, "_", " ")}
	fact := func(format string, args ...any) { facts = append(facts, fmt.Sprintf(format, args...)) }
	if !s.Running {
		fact("agent not running")
	}
	fact("branch %s", branch(s))
	if kind, _, _ := strings.Cut(s.Doing, " "); timed[kind] != "" || s.Build != nil { // others come and go, and say nothing
		fact("%s", s.Doing)
	}
	for _, b := range bars {
		if b.count != "" {
			fact("%s: %s", b.name, b.count)
		}
	}
	if d := s.Deployment; d != nil {
		fact("deployment %s to %s", d.ID, label(d.To))
		if d.Cause.Why != "" {
			fact("%s", strings.TrimPrefix(fmt.Sprintf("%s: %s", d.Cause.Reason, d.Cause.Why), ": "))
		}
		for _, red := range d.Red {
			fact("not healthy: %s", red)
		}
	}
	for _, h := range s.Holds {
		why, _ := hinted(h.Why)
		fact("held by %s: %s", h.Gate, why)
	}
	fact("running %s", named(s.Slots.Running, s))
	if n := len(s.History); n > 0 {
		last := s.History[n-1]
		fact("last: %s %s", strings.ReplaceAll(string(last.Result), "_", " "), shown(last.Revision, last.To))
	}
	return facts
}
