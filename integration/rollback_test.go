//go:build integration

package integration

import (
	"fmt"
	"testing"

	"github.com/infra-agent/infra-agent/agent/control"
	"github.com/infra-agent/infra-agent/integration/lab"
	"github.com/infra-agent/infra-agent/reconcile"
)

// rolledBack waits until the commit was rolled back for the given reason and
// checks that everything points at the system that ran before.
func (n *node) rolledBack(commit, good string, reason reconcile.Reason) control.Status {
	n.t.Helper()
	s := n.wait("rolled back", ended(reconcile.ResultRolledBack, commit))
	n.expect(good)
	if o, _ := last(s); o.Cause.Reason != reason {
		n.t.Errorf("rolled back because of %v, want reason %v", o.Cause, reason)
	}
	return s
}

func TestFailingUnitIsRolledBack(t *testing.T) {
	f := newFleet(t)
	web := f.up("web1")[0]
	good := web.toplevel(lab.CurrentSystem)

	commit := f.edit("roles/web.nix", "ExecStart=/bin/sleep infinity", "ExecStart=/bin/false")
	web.rolledBack(commit, good, reconcile.ReasonUnit)
	if got := web.active("lab-web"); got != "active" {
		t.Errorf("lab-web is %s after the rollback, want active", got)
	}
	web.wait("held by the blocked system", held(reconcile.GateBlocked, "lab-web.service"))
}

// onPort is a check that nothing on the node answers.
const onPort = `
kind = "tcp"
target = "{address}:8081"
within = "1s"
interval = "500ms"
`

func TestFailingCheckIsRolledBack(t *testing.T) {
	f := newFleet(t)
	nodes := f.up("web1", "db1")
	web, db := nodes[0], nodes[1]
	good := web.toplevel(lab.CurrentSystem)

	registry := must[string](t)(f.Repo().File("infrastructure.toml"))
	role := must[string](t)(f.Repo().File("roles/web.nix"))
	commit := f.push("a check that fails", map[string]string{
		"infrastructure.toml": registry + "\n[roles.web.checks.port]" + onPort,
		"roles/web.nix":       "{ ... }: { etc.web = \"2\\n\"; " + unitsOf(role),
	})
	web.rolledBack(commit, good, reconcile.ReasonCheck)
	db.wait("in sync, as the role is not its own", inSync(commit))
}

// unitsOf returns what follows the head of a role file.
func unitsOf(role string) string {
	const head = "{ ... }: {"
	return role[len(head):]
}

func TestCheckOfANewRoleIsRolledBack(t *testing.T) {
	f := newFleet(t)
	db := f.up("db1")[0]
	good := db.toplevel(lab.CurrentSystem)
	registry := must[string](t)(f.Repo().File("infrastructure.toml"))
	web := must[string](t)(f.Repo().File("roles/web.nix"))
	f.push("a role with a check", map[string]string{
		"infrastructure.toml": registry + "\n[roles.cache.checks.port]" + onPort,
		"roles/cache.nix":     web,
	})
	commit := f.edit("infrastructure.toml", `roles = ["db"]`, `roles = ["db", "cache"]`)
	db.rolledBack(commit, good, reconcile.ReasonCheck)
}

// A switch exits 4 whenever a unit has failed, and so hides that the activation script failed
// on every node where one has been broken for long.
func TestFailingActivationScriptIsRolledBack(t *testing.T) {
	f := newFleet(t)
	role := must[string](t)(f.Repo().File("roles/web.nix"))
	broken := unit("lab-broken.service", "Type=oneshot\nExecStart=/bin/false")
	f.push("a unit that never worked", map[string]string{"roles/web.nix": "{ ... }: {\n" + broken + unitsOf(role)})
	web := f.up("web1")[0]
	good := web.toplevel(lab.CurrentSystem)
	commit := f.edit("roles/web.nix", "{ ... }: {", "{ ... }: { activateExit = 7;")
	web.rolledBack(commit, good, reconcile.ReasonActivation)
}

func TestUnitThatWasBrokenBeforeDoesNotCount(t *testing.T) {
	f := newFleet(t)
	role := must[string](t)(f.Repo().File("roles/web.nix"))
	broken := unit("lab-broken.service", "Type=oneshot\nExecStart=/bin/false")
	f.push("a unit that never worked", map[string]string{"roles/web.nix": "{ ... }: {\n" + broken + unitsOf(role)})
	web := f.up("web1")[0]
	if got := web.active("lab-broken"); got != "failed" {
		t.Fatalf("lab-broken is %s, want failed", got)
	}
	commit := f.edit("roles/web.nix", "Description=lab-broken.service", "Description=still broken\nAfter=multi-user.target")
	s := web.wait("promoted", ended(reconcile.ResultPromoted, commit))
	web.expect(string(s.Good.Toplevel))
}

// A unit that is between two of its starts at most looks is neither a failure nor something to wait for.
// Of several some run when the node is looked at before the trial.
func TestUnitsThatAlwaysRestartedDoNotCount(t *testing.T) {
	f := newFleet(t)
	role := must[string](t)(f.Repo().File("roles/web.nix"))
	again := ""
	for i, runs := range []string{"0.7", "1.0", "1.3"} {
		again += unit(fmt.Sprintf("lab-again%d.service", i), "ExecStart=/bin/sleep "+runs+"\nRestart=always\nRestartSec=1\n[Unit]\nStartLimitIntervalSec=0")
	}
	f.push("units that restart by design", map[string]string{"roles/web.nix": "{ ... }: {\n" + again + unitsOf(role)})
	web := f.up("web1")[0]
	must[string](t)(web.Run(t.Context(), "sh", "-c", "until [ $(systemctl show -P NRestarts lab-again2) -ge 3 ]; do sleep 0.2; done"))
	commit := f.edit("roles/web.nix", "VERSION=1", "VERSION=2")
	s := web.wait("promoted", ended(reconcile.ResultPromoted, commit))
	web.expect(string(s.Good.Toplevel))
}

func TestEvaluationErrorChangesNothing(t *testing.T) {
	f := newFleet(t)
	web := f.up("web1")[0]
	good := web.toplevel(lab.CurrentSystem)
	f.edit("roles/web.nix", "{ ... }: {", "{ ... }: { unknownSetting = 1;")
	web.wait("held by the evaluation", held(reconcile.GateEvaluate, "unknown setting unknownSetting"))
	web.expect(good)
}

func TestBuildErrorChangesNothing(t *testing.T) {
	f := newFleet(t)
	web := f.up("web1")[0]
	good := web.toplevel(lab.CurrentSystem)
	f.edit("roles/web.nix", "{ ... }: {", "{ ... }: { buildFails = true;")
	web.wait("held by the build", held(reconcile.GateBuild, "build"))
	web.expect(good)

	commit := f.edit("roles/web.nix", "buildFails = true;", "")
	web.wait("in sync with the fix, which is the system that runs", inSync(commit))
}
