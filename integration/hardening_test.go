//go:build integration

package integration

import (
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/infra-agent/infra-agent/agent/control"
	"github.com/infra-agent/infra-agent/integration/lab"
	"github.com/infra-agent/infra-agent/reconcile"
)

// exposed returns what systemd-analyze(1) says of a unit, from 0 to 10.
func (n *node) exposed(unit string) float64 {
	n.t.Helper()
	out := must[string](n.t)(n.Run(n.t.Context(), "systemd-analyze", "security", "--no-pager", unit))
	level := regexp.MustCompile(`Overall exposure level for \S+: ([0-9.]+)`).FindStringSubmatch(out)
	if level == nil {
		n.t.Fatalf("systemd-analyze says nothing of %s:\n%s", unit, out)
	}
	n.t.Logf("%s: %s", unit, level[1])
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, "✗") {
			n.t.Log(strings.TrimSpace(line))
		}
	}
	return must[float64](n.t)(strconv.ParseFloat(level[1], 64))
}

func TestTheAgentsUnitIsClosed(t *testing.T) {
	f := newFleet(t)
	web := f.up("web1")[0]
	if got := web.exposed("infra-agent.service"); got > 2.0 {
		t.Errorf("the exposure of the agent's unit is %v, want at most 2.0", got)
	}
}

// TestChecksSeeTheMachine: the sandbox must not change what a check says.
func TestChecksSeeTheMachine(t *testing.T) {
	f := newFleet(t)
	web := f.up("web1")[0]
	ctx := t.Context()
	must[string](t)(web.Run(ctx, "mkdir", "-p", "/srv/media", "/home/me"))
	must[string](t)(web.Run(ctx, "mount", "-t", "tmpfs", "tmpfs", "/srv/media"))
	check(t, web.Write("/root/stamp", "backup ok\n", 0o600))
	commit := f.edit("infrastructure.toml", "description = \"Web servers\"", `checks.mounted = { kind = "mount", path = "/srv/media", within = "5s" }
checks.home = { kind = "mount", path = "/home/me", required = false }
checks.stamp = { kind = "file", path = "/root/stamp", contains = "ok", max_age = "1h" }
checks.name = { kind = "dns", target = "localhost" }`)
	f.edit("roles/web.nix", "VERSION=1", "VERSION=2")
	s := web.wait("promoted", func(s control.Status) bool {
		last, ok := last(s)
		return ok && last.Result == reconcile.ResultPromoted && s.Doing == "" && s.InSync && s.Tip != reconcile.Commit(commit)
	})
	for name, want := range map[string]bool{"mounted": true, "home": false, "stamp": true, "name": true} {
		if got := s.Checks[name]; got.OK != want {
			t.Errorf("check %s is green: %t (%s), want %t", name, got.OK, got.Detail, want)
		}
	}
}

func TestProgramsRunOutsideOfTheAgentsUnit(t *testing.T) {
	f := newFleet(t)
	web := f.up("web1")[0]
	// What the sandbox would not allow: the home directory, and another user.
	const script = "test -d /root && grep -q infra-agent-run-%s /proc/self/cgroup && exec setpriv --reuid=65534 --regid=65534 --clear-groups true"
	check := "[\"/bin/sh\", \"-c\", \"" + strings.Replace(script, "%s", "check-", 1) + "\"]"
	drain := "[\"/bin/sh\", \"-c\", \"" + strings.Replace(script, "%s", "command-", 1) + "\"]"
	commit := f.edit("infrastructure.toml", "description = \"Web servers\"",
		"drain = "+drain+"\nchecks.apart = { kind = \"exec\", within = \"0s\", interval = \"1s\", command = "+check+" }")
	commit2 := f.edit("roles/web.nix", "VERSION=1", "VERSION=2")
	s := web.wait("promoted", func(s control.Status) bool {
		return ended(reconcile.ResultPromoted, commit)(s) || ended(reconcile.ResultPromoted, commit2)(s)
	})
	if got := s.Checks["apart"]; !got.OK {
		t.Errorf("the check says %q", got.Detail)
	}
}

func TestAnEvaluationOutOfMemoryDoesNotHurtTheAgent(t *testing.T) {
	f := newFleet(t)
	settings := must[string](t)(f.Repo().File("config.toml"))
	must[string](t)(f.Repo().Commit("little memory", map[string]string{
		"config.toml": strings.Replace(settings, "[limits]", "[limits]\nevaluate_memory = \"1GiB\"", 1),
	}))
	web := f.up("web1")[0]
	good, pid := web.toplevel(lab.CurrentSystem), web.mainPID()
	role := must[string](t)(f.Repo().File("roles/web.nix"))
	f.push("more than there is", map[string]string{
		"roles/web.nix": "{ ... }: assert builtins.stringLength (builtins.concatStringsSep \"\" (builtins.genList (x: \"${toString x} is a string of some length\") 100000000)) > 0; {" + unitsOf(role),
	})
	web.wait("held", held(reconcile.GateEvaluate, "Nix needs more than 1024 MiB of memory"))
	web.expect(good)
	if now := web.mainPID(); now != pid {
		t.Errorf("the agent is process %s, was %s", now, pid)
	}
	commit := f.push("back to normal", map[string]string{"roles/web.nix": strings.Replace(role, "VERSION=1", "VERSION=3", 1)})
	web.wait("promoted", ended(reconcile.ResultPromoted, commit))
}

func (n *node) mainPID() string {
	n.t.Helper()
	return must[string](n.t)(n.Run(n.t.Context(), "systemctl", "show", "-P", "MainPID", "infra-agent"))
}
