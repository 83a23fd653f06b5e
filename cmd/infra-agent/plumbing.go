package main

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"

	"github.com/infra-agent/infra-agent/agent/config"
	"github.com/infra-agent/infra-agent/agent/guard"
	"github.com/infra-agent/infra-agent/agent/health"
	"github.com/infra-agent/infra-agent/agent/source"
	"github.com/infra-agent/infra-agent/agent/system"
	"github.com/infra-agent/infra-agent/reconcile"
)

// guardCommand is what the agent starts before a trial. Its command line is as
// frozen as the guard's file.
func guardCommand() *cobra.Command {
	return &cobra.Command{
		Use: "guard DEPLOYMENT", Short: "Bring the old system back at the deadline (the agent starts this)",
		Args: cobra.ExactArgs(1), Hidden: true,
		RunE: func(c *cobra.Command, args []string) error {
			dir, err := stateDir(c)
			if err != nil {
				return err
			}
			boot, err := (&system.Node{}).Boot()
			if err != nil {
				return err
			}
			log := logger(config.Default(), os.Stderr).With(slog.String("unit", "guard"))
			g := guard.Guard{
				Place: guard.Dir(dir), ID: args[0], Boot: boot, Uptime: system.Uptime,
				Current: func() string { current, _ := os.Readlink("/run/current-system"); return current }, Program: guard.Programs(log), Log: log,
				Ready: func() { _, _ = daemon.SdNotify(false, daemon.SdNotifyReady) },
			}
			return g.Run(c.Context())
		},
	}
}

// fetchChild is the command that [source.Child] is.
const fetchChild = "fetch-child"

// fetchChildCommand is the process that talks to git servers.
func fetchChildCommand() *cobra.Command {
	return &cobra.Command{
		Use: fetchChild, Short: "Fetch one revision (the agent starts this)", Args: cobra.NoArgs, Hidden: true,
		RunE: func(*cobra.Command, []string) error { return source.Child(os.Stdin, os.Stdout) },
	}
}

// look is the command that looks at files for the agent, whose sandbox would be in
// the way.
const look, lookAtSecrets, lookAtFile, lookAtRemotes = "look", "secrets", "file", "remotes"

// lookCommand reads what to look at as JSON.
func lookCommand() *cobra.Command {
	return &cobra.Command{
		Use: look + " " + lookAtSecrets + "|" + lookAtFile + "|" + lookAtRemotes, Short: "Look at something for the agent, which starts this", Hidden: true,
		Args: cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs), ValidArgs: []string{lookAtSecrets, lookAtFile, lookAtRemotes},
		RunE: func(c *cobra.Command, args []string) error {
			if args[0] == lookAtRemotes {
				path, _ := c.Flags().GetString("config")
				return pollOnce(c.Context(), path)
			}
			in, out := json.NewDecoder(c.InOrStdin()), c.OutOrStdout()
			if args[0] == lookAtSecrets {
				var secrets []reconcile.Secret
				if err := in.Decode(&secrets); err != nil {
					return err
				}
				return json.NewEncoder(out).Encode((&system.Node{}).Amiss(secrets))
			}
			var check reconcile.Check
			if err := in.Decode(&check); err != nil {
				return err
			}
			if wrong := health.File(check); wrong != nil {
				_, err := fmt.Fprint(out, wrong)
				return err
			}
			return nil
		},
	}
}
