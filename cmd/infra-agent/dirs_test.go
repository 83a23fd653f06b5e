package main

import (
	"bytes"
	"path/filepath"
	"testing"

	"github.com/spf13/cobra"
)

// TestDirectoriesWithoutSettings: who asks for the status may be after the reason why the settings cannot be used.
func TestDirectoriesWithoutSettings(t *testing.T) {
	broken := filepath.Join(t.TempDir(), "config.toml")
	write(t, broken, "run_dir = \"run\"\nsource.remotes = [{ url = \"/srv/fleet\" }]\n")
	missing := filepath.Join(t.TempDir(), "config.toml")
	for settings, told := range map[string]string{
		missing: "",
		broken: "infra-agent: " + broken + `:1:1: run_dir: "run" is not an absolute path of a directory of its own` +
			"\nwarning: so /run/infra-agent is taken for the directory (hint: --run-dir names another)\n",
	} {
		c := &cobra.Command{}
		dirFlags(c)
		var out bytes.Buffer
		c.SetErr(&out)
		if err := c.ParseFlags(nil); err != nil {
			t.Fatal(err)
		}
		if err := c.Flags().Lookup("config").Value.Set(settings); err != nil { // as the default, which nobody named
			t.Fatal(err)
		}
		if dir, err := runDir(c); dir != "/run/infra-agent" || err != nil || out.String() != told {
			t.Errorf("runDir() = %q, %v, and it tells\n%s\nwant the default, and\n%s", dir, err, out.String(), told)
		}
	}
}
