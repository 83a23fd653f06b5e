//go:build integration

package integration

import (
	"strings"
	"testing"

	"github.com/infra-agent/infra-agent/agent/control"
	"github.com/infra-agent/infra-agent/integration/lab"
	"github.com/infra-agent/infra-agent/reconcile"
)

// followsTesting makes the nodes follow the branch testing, too.
func (f fleet) followsTesting() {
	f.t.Helper()
	f.edit("config.toml", `interval = "5s"`, "interval = \"5s\"\ntesting_branch = \"testing\"")
}

// tries pushes a change to the testing branch.
func (f fleet) tries(old, text string) string {
	f.t.Helper()
	before := must[string](f.t)(f.Repo().File("roles/web.nix"))
	commit := must[string](f.t)(f.Repo().Testing("try it", map[string]string{"roles/web.nix": strings.Replace(before, old, text, 1)}))
	f.sync()
	return commit
}

func testingIs(commit, state string) func(control.Status) bool {
	return func(s control.Status) bool {
		return s.Testing != nil && s.Testing.Commit == reconcile.Commit(commit) && s.Testing.State == state && s.Deployment == nil
	}
}

func TestTheTestingBranchIsOnlyTried(t *testing.T) {
	f := newFleet(t)
	f.followsTesting()
	web := f.up("web1")[0]
	good := web.toplevel(lab.CurrentSystem)

	commit := f.tries("VERSION=1", "VERSION=2")
	s := web.wait("on trial", onTrial)
	if tried := string(s.Deployment.To.Toplevel); web.toplevel(lab.CurrentSystem) != tried || web.toplevel(lab.Profile) != good || web.toplevel(lab.BootDefault) != good {
		t.Errorf("%s is tried, and the links are %s, %s, %s; want only the first to be it", tried, web.toplevel(lab.CurrentSystem), web.toplevel(lab.Profile), web.toplevel(lab.BootDefault))
	}
	if _, err := web.agent("confirm"); err == nil || !strings.Contains(err.Error(), "only tried") {
		t.Errorf("confirm: %v, want refused", err)
	}
	s = web.wait("back by itself", testingIs(commit, "tested"))
	web.expect(good)
	if !inSync(f.tip())(s) || len(s.Blocked) > 0 {
		t.Errorf("in sync: %v, blocked: %v; want in sync with the branch, nothing blocked", s.InSync, s.Blocked)
	}

	t.Log("one that is not healthy goes back at once")
	commit = f.tries("ExecStart=/bin/sleep infinity", "ExecStart=/bin/false")
	web.wait("back", testingIs(commit, "rolled_back"))
	web.expect(good)

	t.Log("a new commit of the branch does not wait for the end of a trial")
	commit = f.tries("VERSION=1", "VERSION=3")
	web.wait("on trial", onTrial)
	check(t, f.Repo().FastForward(commit))
	f.sync()
	s = web.wait("promoted", ended(reconcile.ResultPromoted, commit))
	web.expect(string(s.Good.Toplevel))

	t.Log("the power is cut in a trial: it boots what is good, and does not try again")
	good = web.toplevel(lab.CurrentSystem)
	commit = f.tries("VERSION=3", "VERSION=4")
	web.wait("on trial", onTrial)
	web.powerCut()
	web.wait("back", testingIs(commit, "rolled_back"))
	web.expect(good)
}
