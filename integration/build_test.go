//go:build integration

package integration

import (
	"strings"
	"testing"

	"github.com/infra-agent/infra-agent/agent/control"
	"github.com/infra-agent/infra-agent/integration/lab"
	"github.com/infra-agent/infra-agent/reconcile"
)

func TestLongBuildIsSeenAndSuperseded(t *testing.T) {
	f := newFleet(t)
	web := f.up("web1")[0]
	f.edit("roles/web.nix", "{ ... }: {", "{ ... }: { buildSeconds = 600;")
	s := web.wait("building", func(s control.Status) bool { return s.State == "building" && s.Build != nil && s.Build.ToBuild > 0 })
	if s.Build.Built >= s.Build.ToBuild {
		t.Errorf("built %d of %d derivations while it is building", s.Build.Built, s.Build.ToBuild)
	}
	t.Log("a newer commit ends the build")
	commit := f.edit("roles/web.nix", "buildSeconds = 600;", "kernel = \"6.12.3\";")
	web.wait("promoted", ended(reconcile.ResultPromoted, commit))
	if out, err := web.Run(t.Context(), "pgrep", "--full", "nixos-rebuild build"); err == nil {
		t.Errorf("the superseded build goes on: %s", out)
	}
}

func TestFlappingServiceIsRolledBack(t *testing.T) {
	f := newFleet(t)
	web := f.up("web1")[0]
	good := web.toplevel(lab.CurrentSystem)
	commit := f.edit("roles/web.nix", "ExecStart=/bin/sleep infinity",
		"ExecStart=/bin/sh -c 'sleep 0.7; exit 1'\nRestart=always\nRestartSec=100ms\nStartLimitIntervalSec=0")
	web.rolledBack(commit, good, reconcile.ReasonUnit)
}

func TestServiceThatStopsIsRolledBack(t *testing.T) {
	f := newFleet(t)
	web := f.up("web1")[0]
	good := web.toplevel(lab.CurrentSystem)
	commit := f.edit("roles/web.nix", "ExecStart=/bin/sleep infinity", "ExecStart=/bin/sleep 0.5")
	web.rolledBack(commit, good, reconcile.ReasonUnit)
}

// An input that only the machine of its author has, and a file that only the node has: both are for the settings to allow,
// in every evaluation and in the build alike.
func TestSettingsOfNixCountForEvaluationAndBuild(t *testing.T) {
	f := newFleet(t)
	web := f.up("web1")[0]
	must[string](t)(web.Run(t.Context(), "mkdir", "/etc/word"))
	check(t, web.Write("/etc/word/text", "2", 0o644))
	config := must[string](t)(f.Repo().File("config.toml"))
	settings := f.push("settings of Nix", map[string]string{"config.toml": config + `
[nix]
impure = true
override_inputs = { word = "path:/etc/word" }
extra_args = ["--option", "cores", "2", "--show-trace"]
`})
	web.wait("promoted", ended(reconcile.ResultPromoted, settings))

	const lock = `{"nodes":{"root":{"inputs":{"word":"word"}},"word":{"flake":false,
		"locked":{"lastModified":1,"narHash":"sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=","path":"/home/me/word","type":"path"},
		"original":{"path":"/home/me/word","type":"path"}}},"root":"root","version":7}`
	const flake = `{
		inputs.word = { url = "path:/home/me/word"; flake = false; };
		outputs = { self, word }: assert builtins.readFile "${word}/text" == "2"; import ./fleet.nix { inherit self; };
	}`
	role := must[string](t)(f.Repo().File("roles/web.nix"))
	commit := f.push("an input and a file of the node", map[string]string{
		"flake.nix": flake, "flake.lock": lock, "roles/web.nix": strings.Replace(role, "VERSION=1", `VERSION=${builtins.readFile "/etc/word/text"}`, 1),
	})
	web.wait("promoted", ended(reconcile.ResultPromoted, commit))

	t.Log("the lock file is law with an input overridden, too")
	f.push("a lock file that lacks an input", map[string]string{"flake.nix": strings.Replace(flake, "inputs.word", `inputs.more.url = "path:/etc/word"; inputs.word`, 1)})
	web.wait("held", held(reconcile.GateEvaluate, "flake.lock is stale: it lacks input more"))
}
