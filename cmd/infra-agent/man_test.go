package main

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// TestManual: every command that people may use is in the page, and every flag of it.
func TestManual(t *testing.T) {
	c := root()
	c.InitDefaultHelpCmd()
	page := manual(c)
	var look func(c *cobra.Command)
	look = func(c *cobra.Command) {
		for _, below := range c.Commands() {
			if got := strings.Contains(page, "\n.SS "+roff(below.CommandPath())); got == below.Hidden {
				t.Errorf("%s is in the page: %t, want %t", below.CommandPath(), got, !below.Hidden)
			}
			if !below.Hidden {
				look(below)
			}
		}
	}
	look(c)
	for _, want := range []string{
		".TH INFRA-AGENT 1 \"\" \"infra-agent dev\"\n.SH NAME\ninfra\\-agent \\- GitOps for NixOS",
		"\n.SS infra\\-agent extend DURATION\nGive the system on trial more time to be confirmed.\n",
		"\n      \\-\\-state\\-dir string   directory of the agent's record",
		"\n      \\-\\-strict           warnings fail too\n",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q:\n%s", want, page)
		}
	}
	if got, want := roff(".x\n'y\na\\b"), "\\&.x\n\\&'y\na\\eb"; got != want {
		t.Errorf("roff is %q, want %q", got, want)
	}
}
