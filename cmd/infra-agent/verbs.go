package main

import (
	"github.com/spf13/cobra"

	"github.com/infra-agent/infra-agent/agent/control"
)

// verbCommands are the operators' wishes: each one is a request to the agent.
func verbCommands() []*cobra.Command {
	verbs := []struct{ use, short, arg string }{
		{"sync", "Poll the remotes now", ""},
		{"rollback", "Go back to the system before this one, under guard, and block this one", ""},
		{"confirm", "Confirm the system on trial now, without its checks", ""},
		{"cancel", "Roll the system on trial back now", ""},
		{"extend DURATION", "Give the system on trial more time to be confirmed", "DURATION"},
		{"suspend REASON", "Deploy nothing until resume; what is in flight ends", "REASON"},
		{"resume", "End a suspension", ""},
		{"retry", "Forget what failed, and try it again", ""},
		{"adopt", "Take the running system as good, as it is", ""},
		{"allow-rewind COMMIT", "Accept this commit once, though the branch was moved back or rewritten", "COMMIT"},
	}
	var cmds []*cobra.Command
	for _, v := range verbs {
		args := cobra.NoArgs
		if v.arg != "" {
			args = cobra.ExactArgs(1)
		}
		cmds = append(cmds, &cobra.Command{
			Use: v.use, Short: v.short, Args: args,
			RunE: func(c *cobra.Command, args []string) error {
				dir, _ := c.Flags().GetString("run-dir")
				req := control.Request{Verb: c.Name()}
				if len(args) == 1 {
					req.Arg = args[0]
				}
				return control.Client{RunDir: dir}.Do(c.Context(), req)
			},
		})
	}
	return cmds
}
