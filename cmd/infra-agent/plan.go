package main

import (
	"cmp"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/infra-agent/infra-agent/agent/control"
	"github.com/infra-agent/infra-agent/reconcile"
)

func planCommand() *cobra.Command {
	return &cobra.Command{
		Use: "plan", Short: "Say what the agent will do next, and why", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := readStatus(c)
			if err != nil {
				return err
			}
			return printPlan(c.OutOrStdout(), s)
		},
	}
}

// printPlan tells the next step in a sentence or two.
func printPlan(w io.Writer, s control.Status) error {
	text := plan(s)
	if m := s.Manifest; m != nil {
		text += fmt.Sprintf("\nThe system of %s is named by %s.", s.Anchor.Short(), namedBy(*m))
	}
	if !s.Running {
		text = "The agent is not running. When it starts: " + text
	}
	_, err := fmt.Fprintln(w, text)
	return err
}

func plan(s control.Status) string {
	switch d := s.Deployment; {
	case d != nil && s.State == "stuck":
		return fmt.Sprintf("Nothing: %s. Bring a working system back by hand, then run \"infra-agent adopt\".", d.Cause.Why)
	case d != nil && d.Cause.Reason != "":
		return fmt.Sprintf("Go back to %s, because %s.", label(d.From), d.Cause.Why)
	case d != nil && d.Cause.Why != "":
		return fmt.Sprintf("Nothing by itself: %s is not healthy: %s.\nhint: \"infra-agent confirm\" keeps it, \"infra-agent rollback\" goes back to %s", label(d.To), d.Cause.Why, label(d.From))
	case d != nil && d.Testing:
		return fmt.Sprintf("Go back to %s when the trial of %s is over: the testing branch is only tried.", label(d.From), label(d.To))
	case d != nil:
		return fmt.Sprintf("Confirm %s and make it permanent, or go back to %s.", label(d.To), label(d.From))
	case len(s.Holds) > 0:
		why, hint := hinted(s.Holds[0].Why)
		text := fmt.Sprintf("Nothing now: %s.", why)
		if hint = cmp.Or(s.Holds[0].Hint, hint); hint != "" {
			text += "\nhint: " + hint
		}
		return text
	case s.InSync:
		return fmt.Sprintf("Nothing: %s is what the branch describes for %s.", label(s.Good), nodeOf(s))
	case s.Tip == "":
		return "Ask the remotes which commit to follow."
	}
	return fmt.Sprintf("Bring %s from %s to %s: %s, try, confirm.", nodeOf(s), label(s.Good), s.Tip.Short(), towards(s))
}

// towards tells how the system of a commit comes here.
func towards(s control.Status) string {
	switch s.Manifests {
	case reconcile.ManifestOnly:
		return "ask for its manifest, copy what that names"
	case reconcile.ManifestPrefer:
		return "ask for its manifest, copy what that names (or evaluate, build)"
	}
	return "evaluate, build"
}

// nodeOf names the node and its roles, as far as they are known.
func nodeOf(s control.Status) string {
	switch {
	case s.Node == "":
		return "the node"
	case len(s.Roles) == 0:
		return s.Node
	}
	return fmt.Sprintf("%s (%s)", s.Node, joined(s.Roles))
}
