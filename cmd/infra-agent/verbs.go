package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/infra-agent/infra-agent/agent/control"
)

// A verb is an operator's wish: a request to the agent.
type verb struct {
	use, short, group string
	changed           func(done) string // what it changed, or started
}

// starters are the verbs that start something, which --wait waits for.
var starters = []string{"sync", "confirm", "cancel", "rollback", "resume", "retry"}

// toFollow is how to see what such a verb has started.
const toFollow = `"infra-agent status --watch" shows how it goes.`

// done is what a verb found, and what it left.
type done struct {
	arg           string
	before, after control.Status
}

func verbs() []verb {
	return []verb{
		{"sync", "Poll the remotes now", everyday, func(done) string {
			return "The remotes are asked now."
		}},
		{"confirm", "Confirm the system on trial now, without its checks", trial, func(c done) string {
			return "Confirmed without its checks: " + c.inFlight()
		}},
		{"cancel", "Roll the system on trial back now", trial, cancelled},
		{"extend DURATION", "Give the system on trial more time to be confirmed", trial, changedDeadline},
		{"rollback", "Go back to the system before this one, under guard, and block this one", operator, func(c done) string {
			if c.before.Deployment != nil {
				return cancelled(c)
			}
			return fmt.Sprintf("The node goes back to %s, as soon as it may. When that is good, %s is blocked.", label(c.before.Previous), label(c.before.Good))
		}},
		{"suspend REASON", "Deploy nothing until resume, or until a time; what is in flight ends", operator, changedSuspension},
		{"resume", "End a suspension", operator, func(c done) string {
			return fmt.Sprintf("No longer suspended: %s%s", c.before.Suspended.Reason, ago(", since ", c.before.Suspended.Since, time.Now()))
		}},
		{"retry", "Forget what failed, and try it again", operator, changedMemory},
		{"adopt", "Take the running system as good, as it is", operator, func(c done) string {
			return "Good is now " + named(c.after.Good.Toplevel, c.after)
		}},
		{"allow-rewind COMMIT", "Accept this commit once, though the branch was moved back or rewritten", operator, func(c done) string {
			return "Accepted once, when a remote shows it: " + c.arg
		}},
	}
}

func (v verb) command() *cobra.Command {
	name, arg, _ := strings.Cut(v.use, " ")
	args := cobra.NoArgs
	if arg != "" {
		args = cobra.ExactArgs(1)
	}
	cmd := &cobra.Command{
		Use: v.use, Short: v.short, Args: args, GroupID: v.group,
		RunE: func(c *cobra.Command, args []string) error {
			dir, err := runDir(c)
			if err != nil {
				return err
			}
			until, err := untilOf(c, time.Now())
			if err != nil {
				return usageError(c, err)
			}
			client, made := control.Client{RunDir: dir}, done{arg: strings.Join(args, "")}
			waits, _ := c.Flags().GetBool("wait")
			request, told := control.Request{Verb: name, Arg: made.arg, Until: until}, v.changed
			if f := c.Flags().Lookup("retire"); f != nil && f.Changed {
				request.Verb, told = "retire", letRetire
				if waits {
					return usageError(c, errors.New("--retire starts nothing: --wait does not go with it"))
				}
			}
			asked := time.Now()
			if made.before, err = client.Status(c.Context()); err != nil {
				return err
			}
			if err := client.Do(c.Context(), request); err != nil {
				return err
			}
			if made.after, err = client.Status(c.Context()); err == nil { // else the agent may be about to be replaced
				text := told(made)
				if slices.Contains(starters, request.Verb) && !waits {
					text += "\n" + toFollow
				}
				if _, err := fmt.Fprintln(c.OutOrStdout(), text); err != nil {
					return err
				}
			}
			if !waits {
				return nil
			}
			end, err := wait{name, made.before, asked}.follow(c)
			if err == nil && end.code != 0 {
				return &exitError{end.code, errors.New(end.text)}
			} else if err == nil {
				_, err = fmt.Fprintln(c.OutOrStdout(), end.text)
			}
			return err
		},
	}
	if slices.Contains(starters, name) {
		cmd.Flags().Bool("wait", false, "stay until it is decided, and exit by how it ended")
	}
	if name == "confirm" {
		cmd.Flags().Bool("retire", false, "instead: let the next system be one without infra-agent")
	}
	if name == "suspend" {
		cmd.Flags().String("until", "", `when it ends by itself: 2h30m, 18:00 or 2026-03-29T18:00 in local time, or with a zone`)
	}
	return cmd
}

func letRetire(done) string {
	return "The next system may be one without infra-agent: this one judges it, makes it permanent, and ends."
}

// untilOf returns the end that the flag names; zero where there is none.
func untilOf(c *cobra.Command, now time.Time) (time.Time, error) {
	f := c.Flags().Lookup("until")
	if f == nil || !f.Changed {
		return time.Time{}, nil
	}
	return parseEnd(f.Value.String(), now)
}

// parseEnd reads how long from now, or when: a time of day is the next one that comes.
func parseEnd(text string, now time.Time) (time.Time, error) {
	if d, err := time.ParseDuration(text); err == nil {
		return now.Add(d), nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	for _, layout := range []string{"2006-01-02T15:04", "2006-01-02 15:04"} {
		if t, err := time.ParseInLocation(layout, text, now.Location()); err == nil {
			return t, nil
		}
	}
	clock, err := time.Parse("15:04", text)
	if err != nil {
		return time.Time{}, fmt.Errorf(`until %q: want a duration like 2h30m, or a time like 18:00, 2026-03-29T18:00 or 2026-03-29T18:00:00Z`, text)
	}
	at := func(days int) time.Time {
		return time.Date(now.Year(), now.Month(), now.Day()+days, clock.Hour(), clock.Minute(), 0, 0, now.Location())
	}
	if today := at(0); today.After(now) {
		return today, nil
	}
	return at(1), nil
}

// inFlight is the deployment that the verb found.
func (c done) inFlight() string {
	d := c.before.Deployment
	if d == nil {
		return "the deployment that has just begun"
	}
	return fmt.Sprintf("deployment %s, %s to %s", d.ID, label(d.From), label(d.To))
}

func cancelled(c done) string {
	if c.before.Back != "" && c.before.Deployment == nil {
		return "The node stays on the system that runs: it does not go back to " + label(c.before.Previous)
	}
	return "Cancelled, the node goes back: " + c.inFlight()
}

func changedDeadline(c done) string {
	if d := c.after.Deployment; d != nil && !d.Deadline.IsZero() {
		return fmt.Sprintf("To be confirmed within %v now: %s", time.Until(d.Deadline).Round(time.Second), c.inFlight())
	}
	return "Extended by " + c.arg
}

func changedSuspension(c done) string {
	text := `Suspended: nothing is deployed until "infra-agent resume".`
	if end := c.after.Suspended.Until; !end.IsZero() {
		text = fmt.Sprintf(`Suspended: nothing is deployed until %s, or until "infra-agent resume".`, end.Local().Format("2006-01-02 15:04 MST"))
	}
	if c.before.Deployment != nil {
		text += "\nIt ends first: " + c.inFlight()
	}
	if was := c.before.Suspended; !was.Since.IsZero() {
		text += "\nThe reason was: " + was.Reason
	}
	return text
}

// changedMemory names what is not remembered any more.
func changedMemory(c done) string {
	var forgotten []string
	for toplevel, block := range c.before.Blocked {
		if _, still := c.after.Blocked[toplevel]; !still {
			forgotten = append(forgotten, fmt.Sprintf("  %s: %s", named(toplevel, c.before), block.Why))
		}
	}
	failures := 0
	for of := range c.before.Failures {
		if _, still := c.after.Failures[of]; !still {
			failures++
		}
	}
	switch {
	case forgotten == nil && failures == 0:
		return "Nothing that failed was remembered; what waits is looked at again."
	case forgotten == nil:
		return fmt.Sprintf("Forgotten, and tried again: %s.", counted(failures, "failure"))
	}
	slices.Sort(forgotten)
	text := "No longer blocked:\n" + strings.Join(forgotten, "\n")
	if failures > 0 {
		text += fmt.Sprintf("\nForgotten, too: %s.", counted(failures, "failure"))
	}
	return text
}
