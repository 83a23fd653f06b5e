//go:build integration

package integration

import (
	"os"
	"strings"
	"testing"

	"github.com/infra-agent/infra-agent/integration/lab"
	"github.com/infra-agent/infra-agent/reconcile"
)

func TestNewAgentConfirmsItself(t *testing.T) {
	f := newFleet(t)
	web := f.up("web1")[0]
	binary := must[[]byte](t)(os.ReadFile(must[string](t)(builtAgent())))
	check(t, web.Write("/usr/local/lib/infra-agent-lab/newer/infra-agent", string(binary), 0o755))
	commit := f.edit("agent-version", agentVersion, "newer")
	s := web.wait("promoted", ended(reconcile.ResultPromoted, commit))
	web.expect(string(s.Good.Toplevel))
	exec := must[string](t)(web.Run(t.Context(), "systemctl", "show", "-P", "ExecStart", "infra-agent"))
	if !strings.Contains(exec, "infra-agent-newer/bin/infra-agent") {
		t.Errorf("infra-agent runs as %s, want the newer package", exec)
	}
}

func TestAgentWithANewerRecordGoesBackToTheOldOne(t *testing.T) {
	f := newFleet(t)
	next := must[string](t)(lab.BuildAgent(t.Context(), t.TempDir(), "next", "schemanext"))
	web := f.up("web1")[0]
	good := web.toplevel(lab.CurrentSystem)
	check(t, web.Write("/usr/local/lib/infra-agent-lab/next/infra-agent", string(must[[]byte](t)(os.ReadFile(next))), 0o755))
	t.Log("the new agent takes over with the record of the old one, and the commit breaks a unit")
	role := must[string](t)(f.Repo().File("roles/web.nix"))
	commit := f.push("a newer agent and a broken unit", map[string]string{
		"agent-version": "next\n",
		"roles/web.nix": strings.Replace(role, "ExecStart=/bin/sleep infinity", "ExecStart=/bin/sh -c 'sleep 1; exit 1'", 1),
	})
	web.rolledBack(commit, good, reconcile.ReasonUnit)
	state := must[string](t)(web.Read("/var/lib/infra-agent/state.json"))
	if !strings.Contains(state, `"schema": 1,`) {
		t.Errorf("the record is not of schema 1:\n%s", state)
	}
	t.Log("the old agent goes on with it")
	fix := must[string](t)(f.Repo().Revert(commit))
	f.sync()
	web.wait("in sync", inSync(fix))
}

func TestRunningAgentKeepsItsSettingsWhenTheFileIsWrong(t *testing.T) {
	f := newFleet(t)
	web := f.up("web1")[0]
	const file = "/etc/infra-agent/config.toml"
	settings := must[string](t)(web.Run(t.Context(), "cat", file))
	check(t, web.Remove(file))
	check(t, web.Write(file, strings.Replace(settings, "interval", "intervall", 1), 0o644))
	must[string](t)(web.Run(t.Context(), "systemctl", "kill", "--signal=HUP", "--kill-whom=main", "infra-agent"))
	s := web.wait("refusing the settings", settingsRefused)
	if want := `intervall`; !strings.Contains(s.Settings, want) || !strings.Contains(s.Settings, "config.toml") {
		t.Errorf("settings error is %q, want file and key", s.Settings)
	}
	t.Log("the old settings are in force: a push still arrives")
	commit := f.edit("infrastructure.toml", "Databases", "More databases")
	web.wait("in sync", inSync(commit))
}
