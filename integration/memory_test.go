//go:build integration

package integration

import (
	"testing"

	"github.com/infra-agent/infra-agent/agent/control"
	"github.com/infra-agent/infra-agent/integration/lab"
	"github.com/infra-agent/infra-agent/reconcile"
)

func TestWhatFailedIsRememberedBySystem(t *testing.T) {
	f := newFleet(t)
	web := f.up("web1")[0]
	good := web.toplevel(lab.CurrentSystem)
	bad := f.edit("roles/web.nix", "ExecStart=/bin/sleep infinity", "ExecStart=/bin/false")
	web.rolledBack(bad, good, reconcile.ReasonUnit)

	t.Log("a commit that changes a comment is the same system: it is not tried again")
	comment := f.edit("roles/web.nix", "{ ... }:", "# a comment\n{ ... }:")
	s := web.wait("held at the comment", func(s control.Status) bool {
		return s.Anchor == reconcile.Commit(comment) && held(reconcile.GateBlocked, "lab-web.service")(s)
	})
	if got := len(s.History); got != 1 {
		t.Errorf("%d deployments, want 1: %v", got, s.History)
	}

	t.Log("a fix is another system: it is applied")
	fix := f.edit("roles/web.nix", "ExecStart=/bin/false", "ExecStart=/bin/sleep 1000000")
	s = web.wait("promoted", ended(reconcile.ResultPromoted, fix))
	web.expect(string(s.Good.Toplevel))
}

func TestRevertAppliesAtOnce(t *testing.T) {
	f := newFleet(t)
	web := f.up("web1")[0]
	good := web.toplevel(lab.CurrentSystem)
	bad := f.edit("roles/web.nix", "ExecStart=/bin/sleep infinity", "ExecStart=/bin/false")
	web.rolledBack(bad, good, reconcile.ReasonUnit)
	revert := must[string](t)(f.Repo().Revert(bad))
	f.sync()
	web.wait("in sync", inSync(revert))
	web.expect(good)
}

func TestRetryTriesABlockedSystemAgain(t *testing.T) {
	f := newFleet(t)
	web := f.up("web1")[0]
	check(t, web.Write("/etc/lab-fails", "", 0o644))
	commit := f.edit("roles/web.nix", "ExecStart=/bin/sleep infinity", "ExecStartPre=/usr/bin/test ! -e /etc/lab-fails\nExecStart=/bin/sleep infinity")
	web.wait("rolled back", ended(reconcile.ResultRolledBack, commit))
	check(t, web.Remove("/etc/lab-fails"))
	must[string](t)(web.agent("retry"))
	s := web.wait("promoted", ended(reconcile.ResultPromoted, commit))
	web.expect(string(s.Good.Toplevel))
}
