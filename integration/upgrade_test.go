//go:build integration

package integration

import (
	"os"
	"strings"
	"testing"

	"github.com/infra-agent/infra-agent/agent/control"
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
	web := f.up("web1")[0]
	good := web.toplevel(lab.CurrentSystem)
	web.offer("next", lab.Change{File: "agent/store/schema.go", Old: "Schema    = 1\n\tMinReader = 1", New: "Schema    = 2\n\tMinReader = 2"})
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

// offer builds another version of the agent and puts it where the fleet's package takes it from.
func (n *node) offer(version string, changes ...lab.Change) {
	n.t.Helper()
	binary := must[string](n.t)(lab.BuildAgent(n.t.Context(), n.t.TempDir(), version, changes...))
	check(n.t, n.Write("/usr/local/lib/infra-agent-lab/"+version+"/infra-agent", string(must[[]byte](n.t)(os.ReadFile(binary))), 0o755))
}

// later is what a later version has: another record, a new setting, a new kind of check, a new field of roles, and a
// phase with another name.
var later = []lab.Change{
	{File: "agent/store/schema.go", Old: "Schema    = 1", New: "Schema    = 2"},
	{File: "reconcile/record.go", Old: "type Record struct {", New: "type Record struct {\n\tOmens []string `json:\"omens\"`\n"},
	{File: "reconcile/record.go", Old: "return Record{Phase: Idle{}}", New: "return Record{Phase: Idle{}, Omens: []string{\"good\"}}"},
	{File: "agent/config/settings.go", Old: "type Settings struct {", New: "type Settings struct {\n\tNovelty string `toml:\"novelty\"`\n"},
	{File: "reconcile/check.go", Old: "CheckMount, CheckFile}", New: "CheckMount, CheckFile, \"quantum\"}"},
	{File: "reconcile/check_validate.go", Old: "[]CheckKind{CheckTCP, CheckHTTP, CheckDNS}", New: "[]CheckKind{CheckTCP, CheckHTTP, CheckDNS, \"quantum\"}"},
	{File: "agent/health/check.go", Old: "case reconcile.CheckTCP:", New: "case reconcile.CheckTCP, \"quantum\":"},
	{File: "reconcile/phase.go", Old: `return "confirming"`, New: `return "rehearsing"`},
}

// A version that knows more is brought by one that does not, and goes again.
func TestAVersionThatKnowsMoreComesAndGoes(t *testing.T) {
	f := newFleet(t)
	web := f.up("web1")[0]
	web.offer("later", later...)
	settings := must[string](t)(f.Repo().File("config.toml"))
	registry := must[string](t)(f.Repo().File("infrastructure.toml"))
	module := must[string](t)(f.Repo().File("nixos-module/settings.nix"))
	commit := f.push("a later version, with what it knows", map[string]string{
		"agent-version":             "later\n",
		"nixos-module/settings.nix": strings.Replace(module, `"mount" "file" ]`, `"mount" "file" "quantum" ]`, 1),
		"config.toml":               "novelty = \"yes\"\n\n" + settings + "\n[checks.flux]\nkind = \"quantum\"\ntarget = \"127.0.0.1:10119\"\n",
		"infrastructure.toml":       strings.Replace(registry, `description = "Web servers"`, "placement = \"spread\"\nchecks.depth = { kind = \"quantum\", target = \"10.99.0.1:80\" }", 1),
	})
	s := web.wait("promoted", ended(reconcile.ResultPromoted, commit))
	if s.Version != "later" || !s.Checks["flux"].OK {
		t.Errorf("version %s, checks %+v, want the later one, and its check green", s.Version, s.Checks)
	}
	t.Log("the later version goes on by itself, with its own checks")
	commit = f.edit("roles/web.nix", "VERSION=1", "VERSION=2")
	s = web.wait("promoted", ended(reconcile.ResultPromoted, commit))
	if !s.Checks["flux"].OK || !s.Checks["depth"].OK {
		t.Errorf("checks %+v, want flux and depth green", s.Checks)
	}
	t.Log("the earlier version is back; the registry stays")
	commit = f.push("the earlier version", map[string]string{"agent-version": agentVersion + "\n", "config.toml": settings, "nixos-module/settings.nix": module})
	s = web.wait("promoted", ended(reconcile.ResultPromoted, commit))
	if s.Version == "later" {
		t.Errorf("version %s", s.Version)
	}
	commit = f.edit("roles/web.nix", "VERSION=2", "VERSION=3")
	web.wait("promoted", ended(reconcile.ResultPromoted, commit))
}

// The later version is gone in the middle of a phase that the earlier one has no name for: the guard brings the old
// system back, and its agent goes on from there.
func TestAPhaseThatOnlyTheLaterVersionKnows(t *testing.T) {
	f := newFleet(t)
	settings := must[string](t)(f.Repo().File("config.toml"))
	f.edit("config.toml", `window = "2s"`, `window = "20s"`)
	web := f.up("web1")[0]
	good := web.toplevel(lab.CurrentSystem)
	web.offer("later", later...)
	f.push("a later version", map[string]string{"agent-version": "later\n"})
	web.wait("rehearsing", func(s control.Status) bool { return s.State == "rehearsing" && s.Version == "later" })
	must[string](t)(web.Run(t.Context(), "systemctl", "stop", "infra-agent"))
	s := web.wait("back", func(s control.Status) bool { return s.State == "held" && len(s.Blocked) == 1 })
	web.expect(good)
	o, _ := last(s)
	if o.Result != reconcile.ResultRolledBack || !strings.Contains(o.Cause.Why, `in the phase "rehearsing", which this one does not know`) {
		t.Errorf("it ended as %s for %q", o.Result, o.Cause.Why)
	}
	fix := f.push("the earlier version, and a fix", map[string]string{"agent-version": agentVersion + "\n", "config.toml": settings})
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
