//go:build integration

package integration

import (
	"strings"
	"testing"
	"time"

	"github.com/infra-agent/infra-agent/agent/control"
	"github.com/infra-agent/infra-agent/integration/lab"
	"github.com/infra-agent/infra-agent/reconcile"
)

// The promise: whatever a commit breaks, the node is back on the system that
// worked, by itself, within the deadline.

func TestLostNetworkIsRolledBack(t *testing.T) {
	f := newFleet(t)
	web := f.up("web1")[0]
	good := web.toplevel(lab.CurrentSystem)
	cut := unit("lab-cut.service", "Type=oneshot\nRemainAfterExit=true\nExecStart=/usr/sbin/ip link set host0 down\nExecStop=/usr/sbin/ip link set host0 up")
	commit := f.edit("roles/web.nix", "{ ... }: {", "{ ... }: {\n"+cut)
	web.rolledBack(commit, good, reconcile.ReasonConnectivity)
	s := web.wait("polling again", func(s control.Status) bool { return s.LastPoll.After(s.History[0].Ended) })
	if _, blocked := s.Blocked[s.History[0].To]; !blocked {
		t.Errorf("the system that cut the network is not blocked: %v", s.Blocked)
	}
}

// A system that would not follow its branch is never activated, and the fix arrives.
func TestSystemWithoutAgentIsHeld(t *testing.T) {
	f := newFleet(t)
	web := f.up("web1")[0]
	good := web.toplevel(lab.CurrentSystem)
	bad := f.edit("agent-version", agentVersion, "none")
	s := web.wait("held", func(s control.Status) bool { return len(s.Holds) > 0 && s.Holds[0].Gate == reconcile.GatePreflight })
	if !strings.Contains(s.Holds[0].Why, "has no infra-agent") || len(s.History) > 0 {
		t.Errorf("holds are %v, history %v, want a hold that says why, and no deployment", s.Holds, s.History)
	}
	web.expect(good)
	fix := must[string](t)(f.Repo().Revert(bad))
	f.sync()
	web.wait("in sync", inSync(fix))
}

// agentThat adds an agent version that is the given shell script.
func (n *node) agentThat(version, script string) {
	n.t.Helper()
	path := "/usr/local/lib/infra-agent-lab/" + version + "/infra-agent"
	check(n.t, n.Write(path, "#!/bin/sh\n"+script+"\n", 0o755))
}

func TestAgentThatExitsAtOnceIsReverted(t *testing.T) {
	f := newFleet(t)
	web := f.up("web1")[0]
	good := web.toplevel(lab.CurrentSystem)
	web.agentThat("exits", `[ "$1" != run ] && exit 0; exit 1`)
	f.edit("agent-version", agentVersion, "exits")
	s := web.wait("rolled back", func(s control.Status) bool {
		o, ok := last(s)
		return ok && s.Running && o.Result == reconcile.ResultRolledBack
	})
	web.expect(good)
	if o, _ := last(s); o.To == reconcile.Toplevel(good) {
		t.Errorf("rolled back to %s from itself", o.To)
	}
}

func TestAgentThatHangsIsReverted(t *testing.T) {
	f := newFleet(t)
	web := f.up("web1")[0]
	good := web.toplevel(lab.CurrentSystem)
	web.agentThat("hangs", `[ "$1" != run ] && exit 0; systemd-notify --ready; exec sleep infinity`)
	start := time.Now()
	commit := f.edit("agent-version", agentVersion, "hangs")
	web.rolledBack(commit, good, reconcile.ReasonDeadline)
	t.Logf("back after %v", time.Since(start))
}

func TestGitServerDownForEverybodyRollsNobodyBack(t *testing.T) {
	f := newFleet(t)
	nodes := f.up("web1", "web2")
	commit := f.edit("roles/web.nix", "VERSION=1", "VERSION=2")
	for _, n := range nodes {
		n.wait("confirming", func(s control.Status) bool { return s.State == "confirming" || s.State == "activating" })
	}
	check(t, f.StopGit())
	for _, n := range nodes { // a poll in its trial tells the node, which waits then
		n.wait("promoted, or waiting", func(s control.Status) bool {
			_, shows := s.Checks["follow: poll"]
			return shows || ended(reconcile.ResultPromoted, commit)(s)
		})
	}
	check(t, f.StartGit())
	for _, n := range nodes {
		s := n.wait("promoted", ended(reconcile.ResultPromoted, commit))
		n.expect(string(s.Good.Toplevel))
	}
}

func TestHandMadeSwitchWhileConfirmingIsLeftAlone(t *testing.T) {
	f := newFleet(t)
	web := f.up("web1")[0]
	f.longTrial()
	third := f.edit("roles/web.nix", "VERSION=1", "VERSION=3")
	must[string](t)(web.agent("suspend", "preparing the third system"))
	system := must[string](t)(web.Build(t.Context(), third))
	commit := f.edit("roles/web.nix", "VERSION=3", "VERSION=2")
	must[string](t)(web.agent("resume"))
	web.wait("confirming", func(s control.Status) bool {
		return s.State == "confirming" && s.Deployment.To.Revision == reconcile.Commit(commit)
	})
	must[string](t)(web.Run(t.Context(), system+"/bin/switch-to-configuration", "test"))
	web.wait("drift", held(reconcile.GateDrift, "is not the system profile"))
	if got := web.toplevel(lab.CurrentSystem); got != system {
		t.Errorf("running %s, want %s as the person switched", got, system)
	}
	must[string](t)(web.Run(t.Context(), "nix-env", "--profile", lab.Profile, "--set", system))
	must[string](t)(web.Run(t.Context(), system+"/bin/switch-to-configuration", "boot"))
	web.wait("waiting for the tip to move", held(reconcile.GateDrift, "switched by hand"))
	web.expect(system)
}

// longTrial makes the trial long enough to do something in the middle of it.
func (f fleet) longTrial() {
	f.t.Helper()
	commit := f.edit("config.toml", `window = "2s"`, `window = "15s"`)
	for _, n := range *f.nodes {
		n.wait("promoted", ended(reconcile.ResultPromoted, commit))
	}
}

// What people look at may fail; the agent deploys all the same, and mends it later.
func TestAgentDeploysWhileItsMetricsPortIsTaken(t *testing.T) {
	f := newFleet(t)
	web := f.up("web1")[0]
	must[string](t)(web.Run(t.Context(), "systemctl", "stop", "infra-agent"))
	must[string](t)(web.Run(t.Context(), "systemd-run", "--quiet", "--unit=squatter", "--service-type=exec",
		"python3", "-c", "import socket, time; s = socket.create_server((\"127.0.0.1\", 10119)); time.sleep(1e6)"))
	web.wait("port taken", func(control.Status) bool {
		_, err := web.Run(t.Context(), "python3", "-c", "import socket; socket.create_connection((\"127.0.0.1\", 10119))")
		return err == nil
	})
	must[string](t)(web.Run(t.Context(), "systemctl", "start", "infra-agent"))
	web.wait("told", func(s control.Status) bool {
		return s.Running && strings.Contains(strings.Join(s.Warnings, "\n"), "metrics: listen tcp 127.0.0.1:10119: bind: address already in use")
	})
	commit := f.edit("roles/web.nix", "VERSION=1", "VERSION=2")
	web.wait("promoted", ended(reconcile.ResultPromoted, commit))
	must[string](t)(web.Run(t.Context(), "systemctl", "stop", "squatter"))
	web.wait("mended", func(s control.Status) bool { return s.Running && len(s.Warnings) == 0 })
	if got := must[string](t)(web.Run(t.Context(), "python3", "-c", scrape, "127.0.0.1:10119")); !strings.Contains(got, "\ninfra_agent_troubles 0\n") {
		t.Errorf("a scrape of the port that is free again says\n%s\nwant no troubles", got)
	}
}

// scrape is a program that asks for the metrics at host:port or on a unix socket; the lab's Python has no http.
const scrape = `import socket, sys
host, _, port = sys.argv[1].partition(":")
if port:
    s = socket.create_connection((host, port))
else:
    s = socket.socket(socket.AF_UNIX)
    s.connect(host)
s.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
print(s.makefile().read())`

// A socket for scrapes is of one group, though the agent's unit has no right to give files away.
func TestMetricsSocketOfAGroup(t *testing.T) {
	f := newFleet(t)
	f.edit("config.toml", "[control]", "[metrics]\nlisten = \"/run/infra-agent/metrics.sock\"\nsocket_group = \"daemon\"\n\n[control]")
	web := f.up("web1")[0]
	web.wait("running", func(s control.Status) bool { return s.Running && len(s.Warnings) == 0 })
	as := func(group string) (string, error) {
		return web.Run(t.Context(), "setpriv", "--reuid=nobody", "--regid="+group, "--clear-groups", "python3", "-c", scrape, "/run/infra-agent/metrics.sock")
	}
	if got, err := as("daemon"); err != nil || !strings.Contains(got, "\ninfra_agent_troubles 0\n") {
		t.Errorf("a scrape by the group says %v\n%s\nwant metrics without troubles", err, got)
	}
	if _, err := as("nogroup"); err == nil || !strings.Contains(err.Error(), "Permission denied") {
		t.Errorf("a scrape by others: %v, want it refused", err)
	}
}

// No trial begins while the node is still booting, and it begins when it is up.
func TestNoTrialBeginsDuringABoot(t *testing.T) {
	f := newFleet(t)
	web := f.up("web1")[0]
	slow := unit("lab-slow.service", "Type=oneshot\nRemainAfterExit=true\nExecStart=/bin/sh -c 'until [ -e /run/lab-go ]; do sleep 0.2; done'")
	check(t, web.Write("/run/lab-go", "", 0o644))
	first := f.edit("roles/web.nix", "{ ... }: {", "{ ... }: {\n"+slow)
	web.wait("promoted", ended(reconcile.ResultPromoted, first))
	web.powerCut() // /run is empty after it
	commit := f.edit("roles/web.nix", "VERSION=1", "VERSION=2")
	web.wait("held", held(reconcile.GatePreflight, "still booting"))
	check(t, web.Write("/run/lab-go", "", 0o644))
	web.wait("booted", func(control.Status) bool {
		state, _ := web.Run(t.Context(), "systemctl", "is-system-running") // degraded is an error
		return !strings.Contains(state, "starting")
	})
	f.sync()
	web.wait("promoted", ended(reconcile.ResultPromoted, commit))
}
