//go:build integration

package integration

import (
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
