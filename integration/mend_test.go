//go:build integration

package integration

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/infra-agent/infra-agent/agent/control"
	"github.com/infra-agent/infra-agent/integration/lab"
	"github.com/infra-agent/infra-agent/reconcile"
)

// What a commit breaks the next commit mends: a file over the limits comes and goes, and only the tip's own files count.
func TestAFileOverTheLimitIsTakenBack(t *testing.T) {
	f := newFleet(t)
	f.edit("config.toml", "[limits]", "[limits]\nfetch_bytes = \"2MiB\"\ntree_bytes = \"2MiB\"")
	web := f.up("web1")[0]
	noise := rand.New(rand.NewPCG(1, 2)) // which no compression makes smaller than half
	var text strings.Builder
	for range 8 << 20 / 16 {
		fmt.Fprintf(&text, "%016x", noise.Uint64())
	}
	good := web.toplevel(lab.CurrentSystem)
	f.push("a disk image", map[string]string{"image": text.String()})
	web.wait("held", held(reconcile.GateUnverified, "limits."))
	web.expect(good)
	fix := must[string](t)(f.Repo().Delete("without it", "image"))
	f.sync()
	web.wait("in sync", inSync(fix))
	commit := f.edit("roles/web.nix", "VERSION=1", "VERSION=2")
	web.wait("promoted", ended(reconcile.ResultPromoted, commit))
}

// Pushes that come faster than a build deploy all the same: the second build in a row is not ended for a newer commit.
func TestPushesFasterThanBuildsDeploy(t *testing.T) {
	f := newFleet(t)
	web := f.up("web1")[0]
	f.edit("roles/web.nix", "{ ... }: {", "{ ... }: { buildSeconds = 6;")
	deployed := func(s control.Status) bool {
		o, ended := last(s)
		return s.Deployment != nil || ended && o.Result == reconcile.ResultPromoted && len(s.History) > 1
	}
	for i := 1; ; i++ {
		commit := f.edit("roles/web.nix", fmt.Sprintf("VERSION=%d\n", i), fmt.Sprintf("VERSION=%d\n", i+1))
		s := web.wait("seen", func(s control.Status) bool { return s.Tip == reconcile.Commit(commit) || deployed(s) })
		if deployed(s) {
			break
		}
		if i == 60 {
			t.Fatal("after 60 pushes nothing was deployed")
		}
	}
	web.wait("in sync at last", inSync(f.tip()))
}

// A record does not move with a commit that names another place for it. The directory of sockets does, at the agent's start:
// a deployment that begins in one and ends in another has its guard all the same.
func TestOtherDirectories(t *testing.T) {
	f := newFleet(t)
	web := f.up("web1")[0]
	good := web.toplevel(lab.CurrentSystem)
	settings := must[string](t)(f.Repo().File("config.toml"))
	role := must[string](t)(f.Repo().File("roles/web.nix"))
	f.push("another state_dir", map[string]string{"config.toml": "state_dir = \"/var/lib/elsewhere\"\n" + settings})
	web.wait("held", held(reconcile.GatePreflight, "its state_dir is /var/lib/elsewhere, and this node's record is in /var/lib/infra-agent"))
	web.expect(good)

	elsewhere := "run_dir = \"/run/elsewhere\"\n" + settings
	bad := f.push("another run_dir, and a service that fails", map[string]string{
		"config.toml": elsewhere, "roles/web.nix": strings.Replace(role, "ExecStart=/bin/sleep infinity", "ExecStart=/bin/false", 1),
	})
	web.rolledBack(bad, good, reconcile.ReasonUnit)
	if journal := must[string](t)(web.Run(t.Context(), "journalctl", "--no-pager")); strings.Contains(journal, "going back without a guard") {
		t.Error("the rollback had no guard")
	}
	fix := f.push("another run_dir", map[string]string{"config.toml": elsewhere, "roles/web.nix": role})
	web.wait("promoted", ended(reconcile.ResultPromoted, fix))
}
