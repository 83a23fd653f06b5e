package main

import (
	"encoding/json"
	"errors"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/infra-agent/infra-agent/agent/control"
	"github.com/infra-agent/infra-agent/agent/store"
	"github.com/infra-agent/infra-agent/agent/system"
	"github.com/infra-agent/infra-agent/reconcile"
)

func statusCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "status", Short: "Show what the agent is doing, and why it is not doing more", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			asJSON, _ := c.Flags().GetBool("json")
			if again, _ := c.Flags().GetBool("watch"); again {
				if asJSON {
					return usageError(c, errJSONOfOneMoment)
				}
				return watchStatus(c, statusEvery)
			}
			s, err := readStatus(c)
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(c.OutOrStdout(), s)
			}
			return printStatus(c.OutOrStdout(), s, time.Now())
		},
	}
	c.Flags().Bool("json", false, "print JSON")
	c.Flags().Bool("watch", false, "look again each second, until ctrl-C, and show how far it is")
	return c
}

// errJSONOfOneMoment is for commands that can watch.
var errJSONOfOneMoment = errors.New("--json is of one moment: --watch does not go with it")

// readStatus asks the agent, or reads its record when none runs.
func readStatus(c *cobra.Command) (control.Status, error) {
	run, err := runDir(c)
	if err != nil {
		return control.Status{}, err
	}
	s, err := control.Client{RunDir: run}.Status(c.Context())
	if !errors.Is(err, control.ErrDown) {
		return s, err
	}
	state, err := stateDir(c)
	if err != nil {
		return control.Status{}, err
	}
	record, err := store.Read(state)
	if err != nil {
		return control.Status{}, err
	}
	node := &system.Node{}
	o := reconcile.Observation{Now: time.Now(), Slots: node.Slots(), Booted: node.Booted()}
	snapshot := reconcile.Snapshot{Record: record, Observation: o, Holds: reconcile.Holds(record, o), Reboot: node.RebootRequired()}
	return control.StatusOf(snapshot, version, false), nil
}

func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
