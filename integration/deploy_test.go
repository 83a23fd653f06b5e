//go:build integration

package integration

import (
	"testing"

	"github.com/infra-agent/infra-agent/integration/lab"
	"github.com/infra-agent/infra-agent/reconcile"
)

func TestGoodCommitIsPromotedWhereItMatters(t *testing.T) {
	f := newFleet(t)
	nodes := f.up("web1", "db1")
	web, db := nodes[0], nodes[1]
	before := db.toplevel(lab.CurrentSystem)

	commit := f.edit("roles/web.nix", "VERSION=1", "VERSION=2")
	s := web.wait("promoted", ended(reconcile.ResultPromoted, commit))
	web.expect(string(s.Good.Toplevel))
	if got := must[string](t)(web.Run(t.Context(), "systemctl", "show", "-P", "Environment", "lab-web")); got != "VERSION=2\n" {
		t.Errorf("lab-web runs with %q, want VERSION=2", got)
	}
	s = db.wait("in sync", inSync(commit))
	if len(s.History) != 0 {
		t.Errorf("db1 deployed %v, want nothing", s.History)
	}
	db.expect(before)
}
