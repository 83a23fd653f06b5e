//go:build integration

package integration

import (
	"strings"
	"testing"

	"github.com/infra-agent/infra-agent/agent/control"
	"github.com/infra-agent/infra-agent/integration/lab"
	"github.com/infra-agent/infra-agent/reconcile"
)

func TestRewrittenBranchHolds(t *testing.T) {
	f := newFleet(t)
	web := f.up("web1")[0]
	first := f.tip()
	second := f.edit("roles/web.nix", "VERSION=1", "VERSION=2")
	s := web.wait("promoted", ended(reconcile.ResultPromoted, second))
	good := string(s.Good.Toplevel)

	t.Log("the branch is moved to a commit that does not descend from the accepted one")
	check(t, f.Repo().Reset(first))
	third := f.edit("roles/web.nix", "VERSION=1", "VERSION=3")
	web.wait("held as diverged", held(reconcile.GateUnverified, "diverged"))
	web.expect(good)
	must[string](t)(web.agent("allow-rewind", third))
	web.wait("promoted once a person allowed it", ended(reconcile.ResultPromoted, third))

	t.Log("the branch goes back to a commit that was accepted before")
	check(t, f.Repo().Reset(first))
	f.sync()
	web.wait("held as behind", held(reconcile.GateSource, "older than the accepted"))

	t.Log("the branch is deleted")
	check(t, f.Repo().DeleteBranch())
	f.sync()
	web.wait("held without a branch", held(reconcile.GateSource, "branch not found"))
}

func TestChangeThatNeedsARebootHolds(t *testing.T) {
	f := newFleet(t)
	web := f.up("web1")[0]
	good := web.toplevel(lab.CurrentSystem)
	f.edit("roles/web.nix", "{ ... }: {", "{ ... }: { inhibitors.systemd = \"258\";")
	s := web.wait("held: reboot", held(reconcile.GateReboot, "switchInhibitors"))
	web.expect(good)
	if len(s.Blocked) != 0 || len(s.History) != 0 {
		t.Errorf("blocked %v and deployed %v, want neither", s.Blocked, s.History)
	}
}

func TestNewKernelIsPromotedAndAsksForAReboot(t *testing.T) {
	f := newFleet(t)
	web := f.up("web1")[0]
	commit := f.edit("roles/web.nix", "{ ... }: {", "{ ... }: { kernel = \"6.12.2\";")
	web.wait("promoted", ended(reconcile.ResultPromoted, commit))
	s := web.wait("asking for a reboot", func(s control.Status) bool { return len(s.Reboot) > 0 })
	if got := strings.Join(s.Reboot, " "); got != "kernel initrd modules" {
		t.Errorf("reboot is needed for %q, want kernel initrd modules", got)
	}
}

func TestSwitchByAnotherIsWaitedFor(t *testing.T) {
	f := newFleet(t)
	web := f.up("web1")[0]
	must[string](t)(web.Run(t.Context(), "mkdir", "-p", "/run/nixos"))
	must[string](t)(web.Run(t.Context(), "systemd-run", "--quiet", "--unit=someone", "--service-type=exec",
		"flock", "/run/nixos/switch-to-configuration.lock", "sleep", "infinity"))
	commit := f.edit("roles/web.nix", "VERSION=1", "VERSION=2")
	web.wait("held: lock", held(reconcile.GateLock, "switch-to-configuration is running"))
	must[string](t)(web.Run(t.Context(), "systemctl", "stop", "someone"))
	web.sync()
	web.wait("promoted", ended(reconcile.ResultPromoted, commit))
}

func TestPlainFlakeWithoutRegistry(t *testing.T) {
	f := newFleet(t)
	config := must[string](t)(f.Repo().File("config.toml"))
	f.push("no registry", map[string]string{"config.toml": config + "\n[registry]\nsource = \"none\"\n"})
	web := f.up("web1")[0]
	commit := f.edit("roles/web.nix", "VERSION=1", "VERSION=2")
	s := web.wait("promoted", ended(reconcile.ResultPromoted, commit))
	if s.Node != "web1" || len(s.Roles) != 0 {
		t.Errorf("node %q with roles %v, want web1 without roles", s.Node, s.Roles)
	}
}

func TestServerThatWantsAToken(t *testing.T) {
	const token = "s3cret-lab-token"
	t.Parallel()
	agent := must[string](t)(builtAgent())
	f := fleet{newLab(t, lab.Options{Agents: map[string]string{agentVersion: agent}, GitToken: token}), t, new([]*node)}
	f.edit("config.toml", `url = "http://10.99.0.1/config.git"`, "url = \"http://10.99.0.1/config.git\"\ntoken_file = \"/etc/git-token\"")
	raw := must[*lab.Node](t)(f.Node("web1", addresses["web1"]))
	web := &node{raw, t}
	check(t, web.Write("/etc/git-token", token+"\n", 0o600))
	check(t, f.Up(t.Context(), f.tip(), raw))
	*f.nodes = append(*f.nodes, web)
	commit := f.edit("roles/web.nix", "VERSION=1", "VERSION=2")
	web.wait("promoted", ended(reconcile.ResultPromoted, commit))

	t.Log("the secret is in no log, no status and no state")
	check(t, web.Write("/etc/git-token", "wrong\n", 0o600))
	web.sync()
	web.wait("refused", held(reconcile.GateSource, "lab"))
	out := must[string](t)(web.Run(t.Context(), "sh", "-c", "journalctl --no-pager; cat /var/lib/infra-agent/state.json; "+agentProgram+" status --json"))
	if strings.Contains(out, token) {
		t.Error("the token is in the journal, the record or the status")
	}
}
