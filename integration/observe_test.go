//go:build integration

package integration

import (
	"strings"
	"testing"

	"github.com/infra-agent/infra-agent/agent/control"
	"github.com/infra-agent/infra-agent/integration/lab"
	"github.com/infra-agent/infra-agent/reconcile"
)

// In observe mode the agent follows the branch while another tool deploys it, and says what it would have made of each commit.
func TestObserveMode(t *testing.T) {
	f := newFleet(t)
	f.push("look on", map[string]string{"config.toml": "mode = \"observe\"\n" + must[string](t)(f.Repo().File("config.toml"))})
	web := f.up("web1")[0]
	deploys := func(commit string) { // "nixos-rebuild switch"
		system := must[string](t)(web.Build(t.Context(), commit))
		must[string](t)(web.Run(t.Context(), "nix-env", "--profile", lab.Profile, "--set", system))
		_, _ = web.Run(t.Context(), system+"/bin/switch-to-configuration", "switch") // a bad one exits 4
	}
	observed := func(n int) func(control.Status) bool {
		return func(s control.Status) bool { return len(s.Observed) == n }
	}

	t.Log("a good commit")
	before := web.toplevel(lab.CurrentSystem)
	good := f.edit("roles/web.nix", "VERSION=1", "VERSION=2")
	s := web.wait("held", held(reconcile.GateObserve, "nothing is tried in observe mode; "+good[:8]+" would be, and change lab-web.service"))
	if now := web.toplevel(lab.CurrentSystem); now != before || s.InSync {
		t.Errorf("the node runs %s, want %s as before", now, before)
	}
	deploys(good)
	if s := web.wait("observed", observed(1)); s.Observed[0].Revision != reconcile.Commit(good) || s.Observed[0].Cause.Reason != "" || !s.InSync {
		t.Errorf("of the good commit it says %+v", s.Observed)
	}

	t.Log("a bad one")
	bad := f.edit("roles/web.nix", "ExecStart=/bin/sleep infinity", "ExecStart=/bin/false")
	web.wait("held", held(reconcile.GateObserve, bad[:8]))
	deploys(bad)
	if s := web.wait("observed", observed(2)); s.Observed[1].Revision != reconcile.Commit(bad) || s.Observed[1].Cause.Reason != reconcile.ReasonUnit {
		t.Errorf("of the bad commit it says %+v", s.Observed[1])
	}
	const want = "1 of the last 2 commits would have been rolled back; the last, "
	if said := must[string](t)(web.agent("status")); !strings.Contains(said, want+bad[:8]) {
		t.Errorf("the status is\n%s\nwant one with %q", said, want)
	}
	if now := web.wait("in sync", inSync(bad)); len(now.History) != 0 {
		t.Errorf("it deployed %+v", now.History)
	}

	t.Log("from now on it deploys itself")
	f.push("a fix, and the mode", map[string]string{
		"config.toml":   strings.Replace(must[string](t)(f.Repo().File("config.toml")), "mode = \"observe\"\n", "", 1),
		"roles/web.nix": strings.Replace(must[string](t)(f.Repo().File("roles/web.nix")), "ExecStart=/bin/false", "ExecStart=/bin/sleep infinity", 1),
	})
	fix := f.tip()
	web.wait("held", held(reconcile.GateObserve, fix[:8]))
	deploys(fix) // the last time
	web.wait("in sync", inSync(fix))
	next := f.edit("roles/web.nix", "VERSION=2", "VERSION=3")
	web.wait("promoted", ended(reconcile.ResultPromoted, next))
}
