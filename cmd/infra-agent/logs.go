package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/infra-agent/infra-agent/agent/command"
	"github.com/infra-agent/infra-agent/agent/control"
	"github.com/infra-agent/infra-agent/reconcile"
)

// afterwards is for what is said about a deployment when it is over: its end, and the undrain commands.
const afterwards = 10 * time.Second

func logsCommand() *cobra.Command {
	return &cobra.Command{
		Use: "logs [DEPLOYMENT]", Short: "Show the journal of one deployment, of the newest if none is named", Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			s, err := readStatus(c)
			if err != nil {
				return err
			}
			o, err := deploymentOf(s, strings.Join(args, ""))
			if err != nil {
				return err
			}
			var complaints []string
			out, err := command.Run(c.Context(), command.Command{Args: journalOf(o), Stderr: func(line string) { complaints = append(complaints, line) }})
			if err != nil {
				return fmt.Errorf("read the journal: %w", err)
			}
			for _, line := range complaints { // that it shows some only, to who may not read all
				fmt.Fprintln(c.ErrOrStderr(), line)
			}
			_, err = c.OutOrStdout().Write(out)
			return err
		},
	}
}

// deploymentOf finds a deployment by its name, or the newest. One that is in flight has not ended.
func deploymentOf(s control.Status, id string) (reconcile.Outcome, error) {
	all := s.History
	if d := s.Deployment; d != nil {
		all = append(slices.Clip(all), reconcile.Outcome{ID: d.ID, From: d.From.Toplevel, Started: d.Started})
	}
	for _, o := range slices.Backward(all) {
		if o.ID == cmp.Or(id, o.ID) {
			return o, nil
		}
	}
	if id == "" {
		return reconcile.Outcome{}, fmt.Errorf("nothing was deployed yet")
	}
	return reconcile.Outcome{}, fmt.Errorf(`no deployment %q is remembered (hint: "infra-agent history" lists them)`, id)
}

// journalOf is journalctl with what shows a deployment: the agent, the units that have its name, and those
// that ran beside it for the time that it took. The unit that restores a default is named after the old system.
func journalOf(o reconcile.Outcome) []string {
	args := []string{"journalctl", "--no-pager", "--since=" + journalTime(o.Started)}
	if !o.Ended.IsZero() {
		args = append(args, "--until="+journalTime(o.Ended.Add(afterwards)))
	}
	hash, _, _ := strings.Cut(base(o.From), "-")
	for _, unit := range []string{
		"infra-agent.service", "infra-agent-trial-" + o.ID + "-*", "infra-agent-back-" + o.ID + "-*",
		"infra-agent-promote-" + o.ID + "-*", "infra-agent-restore-" + hash + "-*", "infra-agent-guard-" + o.ID + ".service", "infra-agent-run-*",
	} {
		args = append(args, "--unit="+unit)
	}
	return args
}

// journalTime is a time as journalctl takes it, whatever the zone: systemd.time(7).
func journalTime(t time.Time) string { return fmt.Sprintf("@%d.%06d", t.Unix(), t.Nanosecond()/1000) }
