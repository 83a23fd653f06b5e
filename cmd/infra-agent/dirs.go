package main

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/spf13/cobra"

	"github.com/infra-agent/infra-agent/agent/config"
)

// dirFlags are the flags about where the agent of this node is.
func dirFlags(c *cobra.Command) {
	c.PersistentFlags().String("config", defaultSettings, "settings file")
	c.PersistentFlags().String("run-dir", "", "directory of the agent's control socket (default: run_dir of the settings)")
	c.PersistentFlags().String("state-dir", "", "directory of the agent's record (default: state_dir of the settings)")
}

// runDir is where the agent's control socket is.
func runDir(c *cobra.Command) (string, error) {
	return dirOf(c, "run-dir", func(s config.Settings) string { return s.RunDir })
}

// stateDir is where the agent's record is.
func stateDir(c *cobra.Command) (string, error) {
	return dirOf(c, "state-dir", func(s config.Settings) string { return s.StateDir })
}

// dirOf returns what a flag says, else what the settings say. Where nobody named the settings and
// they cannot be used, it is the default, and a warning says so: who asks for the status may be
// after the very reason.
func dirOf(c *cobra.Command, flag string, of func(config.Settings) string) (string, error) {
	if dir, _ := c.Flags().GetString(flag); dir != "" {
		return dir, nil
	}
	path, _ := c.Flags().GetString("config")
	settings, err := config.Load(path)
	if err == nil {
		return of(settings), nil
	}
	if c.Flags().Changed("config") {
		return "", err
	}
	dir := of(config.Default())
	if !errors.Is(err, fs.ErrNotExist) {
		fmt.Fprintf(c.ErrOrStderr(), "infra-agent: %v\nwarning: so %s is taken for the directory (hint: --%s names another)\n", err, dir, flag)
	}
	return dir, nil
}
