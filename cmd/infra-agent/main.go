// Command infra-agent keeps a NixOS node on the newest commit of its
// configuration repository, and puts it back when the commit does not work.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/infra-agent/infra-agent/agent/control"
	"github.com/infra-agent/infra-agent/reconcile"
)

// version is set when the program is built: -ldflags "-X main.version=1.2.3".
var version = "dev"

// Exit codes, documented in docs/operations.md.
const (
	exitFailed  = 1 // something went wrong
	exitUsage   = 2 // the command line is wrong
	exitRecord  = 3 // check --record: the record cannot be read
	exitRefused = 4 // the agent refuses now; the hint says what to do
	exitDown    = 5 // no agent is running

	exitOtherwise = 6 // --wait: it ended otherwise
	exitHeld      = 7 // --wait: the node is held
)

// exitError carries an exit code past cobra.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := root().ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "infra-agent:", err)
		if hint := hintOf(err); hint != "" {
			fmt.Fprintln(os.Stderr, "hint:", hint)
		}
	}
	os.Exit(codeOf(err))
}

func codeOf(err error) int {
	if err == nil {
		return 0
	}
	if e, ok := errors.AsType[*exitError](err); ok {
		return e.code
	}
	if _, ok := errors.AsType[*reconcile.RefusedError](err); ok {
		return exitRefused
	}
	if errors.Is(err, control.ErrDown) {
		return exitDown
	}
	return exitFailed
}

func hintOf(err error) string {
	if refused, ok := errors.AsType[*reconcile.RefusedError](err); ok {
		return refused.Hint
	}
	if errors.Is(err, control.ErrDown) {
		return `"systemctl status infra-agent" says why; "infra-agent status" still reads the record`
	}
	return ""
}

// The groups of commands, in the order of the help.
const everyday, trial, operator, files, program = "everyday", "trial", "operator", "files", "program"

var groups = []*cobra.Group{
	{ID: everyday, Title: "Every day:"},
	{ID: trial, Title: "A system on trial:"},
	{ID: operator, Title: "When the node does not go on by itself:"},
	{ID: files, Title: "Settings and registry, without an agent:"},
	{ID: program, Title: "The program:"},
}

func root() *cobra.Command {
	c := &cobra.Command{
		Use:           "infra-agent",
		Short:         "GitOps for NixOS: pull, build, try, and go back by itself",
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.SetFlagErrorFunc(usageError)
	dirFlags(c)
	c.AddGroup(groups...)
	in := func(group string, cmds ...*cobra.Command) {
		for _, cmd := range cmds {
			cmd.GroupID = group
		}
		c.AddCommand(cmds...)
	}
	in(everyday, statusCommand(), planCommand(), historyCommand(), logsCommand(), doctorCommand(), fleetCommand())
	for _, v := range verbs() {
		in(v.group, v.command())
	}
	in(files, checkCommand(), registryCommand())
	in(program, runCommand(), versionCommand())
	c.SetHelpCommandGroupID(program)
	c.SetCompletionCommandGroupID(program)
	c.AddCommand(guardCommand(), fetchChildCommand(), lookCommand(), manCommand())
	explainUsage(c)
	return c
}

// explainUsage makes a wrong number of arguments, of any command, say how it goes.
func explainUsage(c *cobra.Command) {
	args := c.Args
	c.Args = func(c *cobra.Command, given []string) error {
		if err := args(c, given); err != nil {
			return usageError(c, err)
		}
		return nil
	}
	for _, c := range c.Commands() {
		explainUsage(c)
	}
}

// usageError says that the command line is wrong, and where to read how it goes.
func usageError(c *cobra.Command, err error) error {
	return &exitError{exitUsage, fmt.Errorf("%w: see %q", err, c.CommandPath()+" --help")}
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(c.OutOrStdout(), "infra-agent", version)
			return err
		},
	}
}
