package main

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/infra-agent/infra-agent/agent/control"
	"github.com/infra-agent/infra-agent/reconcile"
)

// printStatus writes the status for people: first what is, then why, then what was.
func printStatus(w io.Writer, s control.Status, now time.Time) error {
	var b bytes.Buffer
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	row := func(key, format string, args ...any) {
		lines := strings.Split(fmt.Sprintf(format, args...), "\n")
		fmt.Fprintf(t, "%s\t%s\n", key, lines[0])
		for _, more := range lines[1:] {
			fmt.Fprintf(t, "\t%s\n", more)
		}
	}
	node := s.Node
	if len(s.Roles) > 0 {
		node += " (" + joined(s.Roles) + ")"
	}
	if node != "" {
		row("node", "%s", node)
	}
	state := strings.ReplaceAll(s.State, "_", " ")
	if !s.Running {
		state = "agent not running; its record says " + state
	}
	row("state", "%s%s", state, ago(" since ", s.Since, now))
	if s.Doing != "" {
		row("doing", "%s%s%s", s.Doing, ago(", started ", s.DoingSince, now), progress(s.Build))
	}
	if d := s.Deployment; d != nil {
		printDeployment(row, d, now)
	}
	for _, h := range s.Holds {
		printHold(row, h, now)
	}
	for _, d := range s.Owed {
		printDebt(row, d, now)
	}
	row("running", "%s", named(s.Slots.Running, s))
	if s.Slots.Profile != s.Slots.Running {
		row("profile", "%s", named(s.Slots.Profile, s))
	}
	if s.Slots.Default != "" && s.Slots.Default != s.Slots.Running {
		row("boot default", "%s", named(s.Slots.Default, s))
	}
	row("branch", "%s", branch(s))
	if m := s.Manifest; m != nil {
		row("manifest", "%s", namedBy(*m))
	}
	if len(s.Remotes) > 1 { // of a single one the hold says it all
		printRemotes(row, s.Remotes)
	}
	if t := s.Testing; t != nil {
		row("testing", "%s", testingBranch(*t))
	}
	if len(s.Reboot) > 0 {
		row("reboot", "needed for %s", strings.Join(s.Reboot, ", "))
	}
	if s.Settings != "" {
		row("settings", "not reloaded, the old ones are in force:\n%s", s.Settings)
	}
	for _, warning := range s.Warnings {
		row("warning", "%s", warning)
	}
	printChecks(row, s.Checks, now)
	if len(s.Observed) > 0 {
		printObserved(row, s.Observed, now)
	}
	if n := len(s.History); n > 0 {
		printOutcome(row, s.History[n-1], now)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := w.Write(b.Bytes())
	return err
}

// namedBy tells where the name of a system is from, and who stands for it.
func namedBy(m reconcile.Manifest) string {
	if m.Signer == "" {
		return fmt.Sprintf("%s, a pin of %s: nobody signed it, and it names no commit", m.Place, m.Pinned.UTC().Format(time.RFC3339))
	}
	return fmt.Sprintf("%s, signed by %s", m.Place, m.Signer)
}

func printDeployment(row func(string, string, ...any), d *control.Deployment, now time.Time) {
	row("deployment", "%s to %s%s", d.ID, label(d.To), ago(", started ", d.Started, now))
	switch left := d.Deadline.Sub(now).Round(time.Second); {
	case d.Deadline.IsZero():
	case d.Testing:
		row("", "of the testing branch: goes back in %v", left)
	default:
		row("", "to be confirmed within %v, or it goes back", left)
	}
	switch {
	case d.Cause.Reason != "":
		row("", "%s: %s", d.Cause.Reason, d.Cause.Why)
	case d.Cause.Why != "":
		row("", "waits for a person: %s", d.Cause.Why)
	}
	if d.Flaw != "" {
		row("", "kept all the same: %s", d.Flaw)
	}
	for _, red := range d.Red {
		row("", "not healthy: %s", red)
	}
}

func printHold(row func(string, string, ...any), h reconcile.Hold, now time.Time) {
	why, hint := hinted(h.Why)
	if !h.Until.IsZero() {
		why += fmt.Sprintf("\nagain in %v", h.Until.Sub(now).Round(time.Second))
	}
	if hint = cmp.Or(h.Hint, hint); hint != "" {
		why += "\nhint: " + hint
	}
	row("held", "%s: %s", h.Gate, why)
}

// printDebt tells of what is owed since a deployment, once it could not be paid.
func printDebt(row func(string, string, ...any), d reconcile.Debt, now time.Time) {
	if d.Why != "" {
		row("owed", "%s\nagain in %v", d.Why, d.After.Sub(now).Round(time.Second))
	}
}

// hinted takes the hint out of an error's text, where it stands at the end.
func hinted(text string) (before, hint string) {
	before, hint, ok := strings.Cut(text, " (hint: ")
	if !ok || !strings.HasSuffix(hint, ")") {
		return text, ""
	}
	return before, strings.TrimSuffix(hint, ")")
}

// printRemotes tells of those that are silent, or do not give what they show.
func printRemotes(row func(string, string, ...any), remotes []control.Remote) {
	for _, r := range remotes {
		switch why, hint := hinted(r.Why); {
		case hint != "":
			row("remote", "%s\nhint: %s", why, hint)
		case why != "":
			row("remote", "%s", why)
		case r.Failed > 0:
			row("remote", "%s shows %s, and %d fetches of it failed", r.Name, r.Commit.Short(), r.Failed)
		}
	}
}

func printChecks(row func(string, string, ...any), checks map[string]reconcile.CheckResult, now time.Time) {
	for i, name := range slices.Sorted(maps.Keys(checks)) {
		key := ""
		if i == 0 {
			key = "checks"
		}
		if res := checks[name]; res.OK {
			row(key, "green  %s (%v%s)", name, res.Took.Round(time.Millisecond), ago(", ", res.At, now))
		} else {
			row(key, "red    %s: %s", name, res.Detail)
		}
	}
}

func printOutcome(row func(string, string, ...any), o reconcile.Outcome, now time.Time) {
	text := fmt.Sprintf("%s %s%s", strings.ReplaceAll(string(o.Result), "_", " "), shown(o.Revision, o.To), ago(", ", o.Ended, now))
	if o.Cause.Why != "" {
		text += fmt.Sprintf("\n%s: %s", o.Cause.Reason, o.Cause.Why)
	}
	row("last", "%s", text)
}

func branch(s control.Status) string {
	switch {
	case s.Tip == "" && s.Anchor == "":
		return "not seen yet"
	case s.Tip != "" && s.Tip != s.Anchor:
		return fmt.Sprintf("%s, not accepted; newest accepted %s", s.Tip.Short(), orNone(s.Anchor))
	case s.InSync:
		return titled(s.Anchor, s.Subject) + " (in sync)"
	}
	return titled(s.Anchor, s.Subject)
}

func testingBranch(t reconcile.Testing) string {
	text := titled(t.Commit, t.Subject) + "\n" + strings.ReplaceAll(t.State, "_", " ")
	if t.Why != "" {
		text += ": " + t.Why
	}
	return text
}

func titled(c reconcile.Commit, subject string) string {
	return strings.TrimSpace(c.Short() + " " + subject)
}

func orNone(c reconcile.Commit) string {
	if c == "" {
		return "none"
	}
	return c.Short()
}

// named shows a system with what is known of it.
func named(t reconcile.Toplevel, s control.Status) string {
	if t == "" {
		return "unknown"
	}
	name := filepath.Base(string(t))
	switch t {
	case s.Good.Toplevel:
		return name + " (good, " + commitOr(s.Good.Revision, "adopted") + ")"
	case s.Previous.Toplevel:
		return name + " (the good one before)"
	}
	return name
}

func commitOr(c reconcile.Commit, or string) string {
	if c == "" {
		return or
	}
	return c.Short()
}

func label(sys reconcile.System) string { return shown(sys.Revision, sys.Toplevel) }

func shown(c reconcile.Commit, t reconcile.Toplevel) string {
	return commitOr(c, filepath.Base(string(t)))
}

func joined(roles []reconcile.Role) string {
	var names []string
	for _, r := range roles {
		names = append(names, string(r))
	}
	return strings.Join(names, ", ")
}

func progress(p *reconcile.Progress) string {
	if p == nil || p.ToBuild+p.ToCopy == 0 {
		return ""
	}
	text := fmt.Sprintf(", built %d/%d, copied %d/%d", p.Built, p.ToBuild, p.Copied, p.ToCopy)
	if p.BytesAll > 0 {
		text += fmt.Sprintf(", %d/%d MiB", p.Bytes>>20, p.BytesAll>>20)
	}
	return text
}

// ago tells a time as people do; nothing when there is none.
func ago(before string, t, now time.Time) string {
	if t.IsZero() {
		return ""
	}
	d := now.Sub(t)
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%s%d s ago", before, int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%s%d min ago", before, int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%s%d h ago", before, int(d.Hours()))
	}
	return before + t.UTC().Format("2006-01-02 15:04 UTC")
}
