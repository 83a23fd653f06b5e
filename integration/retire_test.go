//go:build integration

package integration

import (
	"strings"
	"testing"

	"github.com/infra-agent/infra-agent/agent/control"
	"github.com/infra-agent/infra-agent/integration/lab"
	"github.com/infra-agent/infra-agent/reconcile"
)

// A commit that drops the agent is held until somebody says that it is meant. Then the
// last agent judges the system without it as any other, and ends.
func TestAnAgentIsTakenOffItsNode(t *testing.T) {
	f := newFleet(t)
	web := f.up("web1")[0]
	good := web.toplevel(lab.CurrentSystem)

	f.push("no agent", map[string]string{"agent-version": "none\n"})
	web.wait("held", held(reconcile.GatePreflight, "the new system has no infra-agent"))
	web.expect(good)

	t.Log("it is meant, and not healthy")
	registry := must[string](t)(f.Repo().File("infrastructure.toml"))
	role := must[string](t)(f.Repo().File("roles/web.nix"))
	commit := f.push("the agent goes", map[string]string{
		"infrastructure.toml": strings.Replace(registry, "[nodes.web1]\n", "[nodes.web1]\nretire = true\n", 1),
		"roles/web.nix":       strings.Replace(role, "ExecStart=/bin/sleep infinity", "ExecStart=/bin/false", 1),
	})
	web.rolledBack(commit, good, reconcile.ReasonUnit)

	t.Log("it is meant, and healthy")
	commit = f.push("the agent goes, and the web server stays", map[string]string{"roles/web.nix": role})
	web.wait("promoted, and without an agent", func(s control.Status) bool {
		return !s.Running && ended(reconcile.ResultPromoted, commit)(s)
	})
	if web.toplevel(lab.CurrentSystem) == good {
		t.Error("the old system runs")
	}
	web.expect(web.toplevel(lab.CurrentSystem))
	if got := web.active("infra-agent"); got != "inactive" {
		t.Errorf("the agent is %s", got)
	}
	if got := web.active("lab-web"); got != "active" {
		t.Errorf("lab-web is %s", got)
	}
	without := web.toplevel(lab.CurrentSystem)
	check(t, web.Kill())
	check(t, web.Boot(t.Context()))
	web.expect(without)
	if got := web.active("infra-agent"); got != "inactive" {
		t.Errorf("after a reboot the agent is %s", got)
	}
}

// A person may say it on the node, where no registry does.
func TestAPersonTakesTheAgentOff(t *testing.T) {
	f := newFleet(t)
	web := f.up("web1")[0]
	commit := f.push("no agent", map[string]string{"agent-version": "none\n"})
	web.wait("held", held(reconcile.GatePreflight, "the new system has no infra-agent"))
	if out := must[string](t)(web.agent("confirm", "--retire")); !strings.Contains(out, "without infra-agent") {
		t.Errorf("it says %q", out)
	}
	web.wait("promoted, and without an agent", func(s control.Status) bool {
		return !s.Running && ended(reconcile.ResultPromoted, commit)(s)
	})
}
