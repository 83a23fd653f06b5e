//go:build integration

package integration

import (
	"slices"
	"strings"
	"testing"

	"github.com/infra-agent/infra-agent/agent/control"
	"github.com/infra-agent/infra-agent/integration/lab"
	"github.com/infra-agent/infra-agent/reconcile"
)

// stranger boots a node with a name of its own on the system of web1, and the
// registry as the test made it.
func (f fleet) stranger(hostname string) *node {
	f.t.Helper()
	raw := must[*lab.Node](f.t)(f.Node(hostname, "10.99.0.21"))
	n := &node{raw, f.t}
	ctx := f.t.Context()
	check(f.t, raw.InstallFrom(ctx, f.tip(), "nixosConfigurations.web1.config.system.build.toplevel"))
	check(f.t, raw.Boot(ctx))
	*f.nodes = append(*f.nodes, n)
	n.wait("answering", func(s control.Status) bool { return s.Running })
	f.sync()
	return n
}

// deploysNothing checks that the node holds, says why, and did nothing.
func (n *node) deploysNothing(why string) {
	n.t.Helper()
	system := n.toplevel(lab.Profile)
	s := n.wait("held: "+why, held(reconcile.GateIdentity, why))
	if len(s.History) != 0 {
		n.t.Errorf("deployed %v, want nothing", s.History)
	}
	n.expect(system)
}

func TestUnregisteredNodeDeploysNothing(t *testing.T) {
	f := newFleet(t)
	f.stranger("ghost").deploysNothing("ghost")
}

func TestHostNamedNixosDeploysNothing(t *testing.T) {
	f := newFleet(t)
	registry := must[string](t)(f.Repo().File("infrastructure.toml"))
	f.push("a node with the installer's name", map[string]string{
		"infrastructure.toml": registry + "\n[nodes.nixos]\nsystem = \"x86_64-linux\"\nroles = [\"web\"]\n",
	})
	f.stranger("nixos").deploysNothing("nixos")
}

func TestUnmanagedNodeDeploysNothing(t *testing.T) {
	f := newFleet(t)
	f.edit("infrastructure.toml", `roles = ["web"]`, "roles = [\"web\"]\nmanaged = false")
	f.stranger("web1").deploysNothing("managed")
}

func TestTwoMatchesDeployNothing(t *testing.T) {
	f := newFleet(t)
	f.edit("infrastructure.toml", `address = "10.99.0.12"`, "address = \"10.99.0.12\"\nhostname = \"twin\"")
	f.edit("infrastructure.toml", `address = "10.99.0.13"`, "address = \"10.99.0.13\"\nhostname = \"twin\"")
	f.stranger("twin").deploysNothing("twin")
}

func TestRunningSystemThatIsNotTheProfileHolds(t *testing.T) {
	f := newFleet(t)
	raw := must[*lab.Node](t)(f.Node("web1", addresses["web1"]))
	web := &node{raw, t}
	ctx := t.Context()
	check(t, raw.Install(ctx, f.tip()))
	// The profile is already at a system that the boot loader does not know.
	commit := f.edit("roles/web.nix", "VERSION=1", "VERSION=2")
	check(t, raw.Boot(ctx))
	other := must[string](t)(raw.Build(ctx, commit))
	check(t, raw.Kill())
	check(t, raw.Boot(ctx))
	running := web.toplevel(lab.CurrentSystem)
	must[string](t)(web.Run(ctx, "systemctl", "stop", "infra-agent"))
	must[string](t)(web.Run(ctx, "rm", "-f", "/var/lib/infra-agent/state.json"))
	must[string](t)(web.Run(ctx, "nix-env", "--profile", lab.Profile, "--set", other))
	must[string](t)(web.Run(ctx, "systemctl", "start", "infra-agent"))
	web.sync()
	web.wait("drift", held(reconcile.GateDrift, "is not the system profile"))
	if got := web.toplevel(lab.CurrentSystem); got != running {
		t.Errorf("running %s, want %s as before", got, running)
	}
	t.Log("a person accepts it: then the branch is deployed")
	must[string](t)(web.agent("adopt"))
	s := web.wait("promoted", ended(reconcile.ResultPromoted, commit))
	web.expect(string(s.Good.Toplevel))
}

// TestARegistryOfANewerVersion: the agent that is to be replaced reads the registry that
// came with its successor, and deploys.
func TestARegistryOfANewerVersion(t *testing.T) {
	f := newFleet(t)
	web := f.up("web1")[0]
	f.edit("infrastructure.toml", "schema = 1", "schema = 2\nmin_reader = 1\n\n[quorum.etcd]\nnodes = [\"db1\"]")
	f.edit("infrastructure.toml", "description = \"Web servers\"",
		"placement = \"spread\"\nchecks.rows = { kind = \"postgres\", database = \"web\" }\nchecks.home = { kind = \"file\", path = \"/etc/passwd\" }")
	f.edit("roles/web.nix", "VERSION=1", "VERSION=2")
	s := web.wait("promoted", func(s control.Status) bool {
		last, ok := last(s)
		return ok && last.Result == reconcile.ResultPromoted && s.InSync && s.Anchor == reconcile.Commit(f.tip())
	})
	if _, run := s.Checks["rows"]; run || !s.Checks["home"].OK {
		t.Errorf("checks are %+v, want home alone", s.Checks)
	}
	for _, want := range []string{"roles.web.checks.rows is not run", "left to a newer agent, for this version does not know it: schema, quorum, roles.web.placement"} {
		if !slices.ContainsFunc(s.Warnings, func(w string) bool { return strings.Contains(w, want) }) {
			t.Errorf("warnings are %q, want one with %q", s.Warnings, want)
		}
	}
}
