package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/infra-agent/infra-agent/agent/config"
	"github.com/infra-agent/infra-agent/agent/handover"
	"github.com/infra-agent/infra-agent/agent/store"
)

// defaultSettings is where the module puts the settings file.
const defaultSettings = "/etc/infra-agent/config.toml"

func checkCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "check [FILE]", Short: "Check a settings file, or whether this version can read a record",
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			record, _ := c.Flags().GetString("record")
			asked, _ := c.Flags().GetBool("handover")
			path, _ := c.Flags().GetString("config")
			if len(args) == 1 {
				path = args[0]
			}
			switch {
			case asked:
				return json.NewEncoder(c.OutOrStdout()).Encode(answer(record, path))
			case record != "":
				if _, err := store.ReadFile(record); err != nil {
					return &exitError{exitRecord, err}
				}
				return nil
			}
			if _, err := config.Load(path); err != nil {
				return err
			}
			_, err := fmt.Fprintf(c.OutOrStdout(), "%s: ok\n", path)
			return err
		},
	}
	c.Flags().String("record", "", "record to read instead: state.json of a node")
	c.Flags().Bool("handover", false, "answer the agent that is about to try this system")
	_ = c.Flags().MarkHidden("handover") // its command line is frozen, see package handover
	return c
}

// answer says whether this agent can take over with that record and those settings.
func answer(record, path string) handover.Answer {
	a := handover.Answer{Schema: handover.Schema}
	if _, err := store.ReadFile(record); err != nil {
		a.Refusal = err.Error()
		return a
	}
	settings, err := config.Load(path)
	if err != nil {
		a.Refusal = err.Error()
		return a
	}
	if dir := filepath.Dir(record); filepath.Clean(settings.StateDir) != dir {
		a.Refusal = fmt.Sprintf("its state_dir is %s, and this node's record is in %s: an agent without it would not know of its own trial (hint: stop the agent, move the directory, and run nixos-rebuild switch by hand)", settings.StateDir, dir)
		return a
	}
	a.Checks, a.Identity, a.Files, a.Observes = settings.Checks, identity(settings), settings.Files(), settings.Mode == config.ModeObserve
	return a
}
