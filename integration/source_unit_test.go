//go:build integration

package integration

import (
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/infra-agent/infra-agent/agent/control"
	"github.com/infra-agent/infra-agent/integration/lab"
	"github.com/infra-agent/infra-agent/reconcile"
)

// maxExposure is the most that "systemd-analyze security" may find in a unit that
// reads what strangers send.
const maxExposure = 1.5

func TestFetchHasNoRights(t *testing.T) {
	f := newSourceFleet(t, "")
	ssh := must[*lab.SSH](t)(f.ServeSSH())
	silent := must[string](t)(f.ServeSilence())
	f.follow(ssh.URL, "ssh_key_file = \"/etc/deploy-key\"\nknown_hosts_file = \"/etc/known-hosts\"\n\n[[source.remotes]]\nname = \"silent\"\nurl = \""+silent+"\"\ntimeout = \"20s\"")
	web := f.upWith(map[string]string{"/etc/deploy-key": ssh.Key, "/etc/known-hosts": ssh.KnownHosts})
	commit := f.edit("roles/web.nix", "VERSION=1", "VERSION=2")
	web.wait("promoted", ended(reconcile.ResultPromoted, commit))

	t.Log("what it left belongs to it, and only root gets there")
	const dir = "/var/lib/private/infra-agent-fetch"
	if got := must[string](t)(web.Run(t.Context(), "stat", "-c", "%a %U", filepath.Dir(dir))); got != "700 root\n" {
		t.Errorf("mode and owner of %s are %s, want 700 root", filepath.Dir(dir), got)
	}
	if got := must[string](t)(web.Run(t.Context(), "stat", "-c", "%u", dir)); got == "0\n" {
		t.Errorf("%s belongs to root, want a user of its own", dir)
	}
	if out, err := web.Run(t.Context(), "ls", "/var/lib/infra-agent/source"); err == nil {
		t.Errorf("the agent has a git store of its own: %s", out)
	}

	t.Log("a poll of a server that says nothing shows the unit")
	unit, promoted := "", web.uptime()
	web.wait("polling the silent server", func(control.Status) bool {
		out, err := web.Run(t.Context(), "systemctl", "list-units", "--plain", "--no-legend", "--state=running", "infra-agent-fetch-*")
		if unit, _, _ = strings.Cut(out, " "); err != nil || unit == "" {
			web.sync()
			return false
		}
		out, err = web.Run(t.Context(), "systemctl", "show", "-P", "ExecMainStartTimestampMonotonic", unit)
		started, bad := strconv.ParseFloat(strings.TrimSpace(out), 64) // microseconds
		// A poll of the other server is over in a moment.
		return err == nil && bad == nil && started/1e6 > promoted && web.uptime()-started/1e6 > 5
	})
	report := must[string](t)(web.Run(t.Context(), "systemd-analyze", "security", "--no-pager", unit))
	found := regexp.MustCompile(`Overall exposure level for \S+: ([0-9.]+)`).FindStringSubmatch(report)
	if found == nil {
		t.Fatalf("systemd-analyze says nothing of %s:\n%s", unit, report)
	}
	if score := must[float64](t)(strconv.ParseFloat(found[1], 64)); score > maxExposure {
		t.Errorf("exposure of %s is %v, want at most %v:\n%s", unit, score, maxExposure, report)
	} else {
		t.Logf("exposure of the fetch unit: %v", score)
	}
	pid := strings.TrimSpace(must[string](t)(web.Run(t.Context(), "systemctl", "show", "-P", "MainPID", unit)))
	status := must[string](t)(web.Read("/proc/" + pid + "/status"))
	for _, want := range []string{"CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"} {
		if !strings.Contains(status, want) {
			t.Errorf("status of the fetch: no %q in\n%s", want, status)
		}
	}
	if journal := must[string](t)(web.Journal("infra-agent")); strings.Contains(journal, "not confined") {
		t.Errorf("the fetch has no Landlock:\n%s", journal)
	}
	web.wait("the poll has ended", func(control.Status) bool {
		_, err := web.Run(t.Context(), "systemctl", "is-active", "--quiet", unit)
		return err != nil
	})
	if out := must[string](t)(web.Run(t.Context(), "systemctl", "list-units", "--plain", "--no-legend", "--state=failed", "infra-agent*")); out != "" {
		t.Errorf("failed units are left: %s", out)
	}
	if journal := must[string](t)(web.Journal("")); strings.Contains(journal, "Started infra-agent-fetch-") {
		t.Errorf("polls and fetches that went well are in the journal:\n%s", journal)
	}
}

// uptime is how long the node's kernel runs, in seconds: CLOCK_BOOTTIME, as systemd's monotonic times on a machine that never sleeps.
func (n *node) uptime() float64 {
	n.t.Helper()
	out := must[string](n.t)(n.Read("/proc/uptime"))
	return must[float64](n.t)(strconv.ParseFloat(strings.Fields(out)[0], 64))
}
