//go:build integration

package integration

import (
	"fmt"
	"strings"
	"testing"

	"github.com/infra-agent/infra-agent/agent/control"
	"github.com/infra-agent/infra-agent/integration/lab"
	"github.com/infra-agent/infra-agent/reconcile"
)

func onTrial(s control.Status) bool { return s.State == "confirming" }

// pausedTrial pushes a commit and returns once its switch stands between the
// flip of /run/current-system and the start of the services.
func (f fleet) pausedTrial(n *node) string {
	f.t.Helper()
	check(f.t, n.Write("/run/lab-pause", "", 0o644))
	commit := f.edit("roles/web.nix", "VERSION=1", "VERSION=2")
	n.wait("in the middle of the switch", func(control.Status) bool {
		_, err := n.Read("/run/lab-paused")
		return err == nil
	})
	return commit
}

func TestKilledSwitchIsRepairedOrUndone(t *testing.T) {
	f := newFleet(t)
	web := f.up("web1")[0]
	commit := f.pausedTrial(web)
	if got := web.active("lab-web"); got != "inactive" {
		t.Fatalf("lab-web is %s in the middle of the switch, want inactive", got)
	}
	check(t, web.Remove("/run/lab-pause"))
	must[string](t)(web.Run(t.Context(), "systemctl", "kill", "--signal=KILL", "infra-agent-trial-*"))
	s := web.wait("promoted by the second attempt", ended(reconcile.ResultPromoted, commit))
	web.expect(string(s.Good.Toplevel))
	if got := web.active("lab-web"); got != "active" {
		t.Errorf("lab-web is %s, want active", got)
	}
}

// powerCut cuts the power and boots again.
func (n *node) powerCut() {
	n.t.Helper()
	check(n.t, n.Kill())
	check(n.t, n.Boot(n.t.Context()))
}

func TestPowerCutWhileActivating(t *testing.T) {
	f := newFleet(t)
	web := f.up("web1")[0]
	good := web.toplevel(lab.CurrentSystem)
	commit := f.pausedTrial(web)
	web.powerCut()
	if got := web.toplevel(lab.BootedSystem); got != good {
		t.Errorf("booted %s, want the old system %s", got, good)
	}
	t.Log("one loss of power says nothing about the system: it is tried once more")
	s := web.wait("promoted", ended(reconcile.ResultPromoted, commit))
	web.expect(string(s.Good.Toplevel))
	if o := s.History[0]; o.Cause.Reason != reconcile.ReasonReboot {
		t.Errorf("first deployment ended with %v, want reason reboot", o)
	}
}

func TestPowerCutTwiceWhileConfirmingBlocks(t *testing.T) {
	f := newFleet(t)
	web := f.up("web1")[0]
	f.longTrial()
	good := web.toplevel(lab.CurrentSystem)
	f.edit("roles/web.nix", "VERSION=1", "VERSION=2")
	deployment := ""
	for range 2 {
		s := web.wait("confirming", func(s control.Status) bool {
			return s.State == "confirming" && s.Deployment.ID != deployment
		})
		deployment = s.Deployment.ID
		web.powerCut()
		if got := web.toplevel(lab.BootedSystem); got != good {
			t.Errorf("booted %s, want the old system %s", got, good)
		}
	}
	web.wait("held by the blocked system", held(reconcile.GateBlocked, "rebooted before the trial was confirmed"))
	web.expect(good)
}

func TestPowerCutBetweenProfileAndBootDefault(t *testing.T) {
	f := newFleet(t)
	web := f.up("web1")[0]
	good := web.toplevel(lab.CurrentSystem)
	t.Log("the boot loader waits until the power is cut")
	real := must[string](t)(web.Read("/usr/local/sbin/lab-bootloader"))
	check(t, web.Write("/usr/local/sbin/lab-bootloader", "#!/bin/sh\nsleep infinity\n", 0o755))
	commit := f.edit("roles/web.nix", "VERSION=1", "VERSION=2")
	web.wait("promoting, with the profile set", func(s control.Status) bool {
		return s.State == "promoting" && string(s.Slots.Profile) != good
	})
	check(t, web.Kill())
	check(t, web.Write("/usr/local/sbin/lab-bootloader", real, 0o755))
	check(t, web.Boot(t.Context()))
	if got := web.toplevel(lab.BootedSystem); got != good {
		t.Errorf("booted %s, want the old system %s", got, good)
	}
	s := web.wait("promoted at the second try", ended(reconcile.ResultPromoted, commit))
	web.expect(string(s.Good.Toplevel))
}

// A boot loader that hangs might wake up after the rollback and install the new
// system: it is stopped before the next try, and before the way back.
func TestABootLoaderThatHangsIsRolledBack(t *testing.T) {
	f := newFleet(t)
	f.edit("config.toml", "[limits]", "[limits]\npromote = \"2s\"")
	web := f.up("web1")[0]
	good := web.toplevel(lab.CurrentSystem)
	real := must[string](t)(web.Read("/usr/local/sbin/lab-bootloader"))
	check(t, web.Write("/usr/local/sbin/lab-bootloader.real", real, 0o755))
	check(t, web.Write("/usr/local/sbin/lab-bootloader", "#!/bin/sh\n[ \"$1\" = "+good+" ] || sleep infinity\nexec lab-bootloader.real \"$1\"\n", 0o755))
	f.edit("roles/web.nix", "VERSION=1", "VERSION=2")
	s := web.wait("rolled back", func(s control.Status) bool { return s.Deployment == nil && len(s.History) > 0 })
	if o, _ := last(s); o.Result != reconcile.ResultRolledBack || o.Cause.Reason != reconcile.ReasonPromotion {
		t.Errorf("it ended with %s (%v), want rolled back for the promotion", o.Result, o.Cause)
	}
	web.expect(good)
	o, _ := last(s)
	journal := must[string](t)(web.Journal(""))
	back := strings.Index(journal, "Starting infra-agent-back-"+o.ID+"-1")
	for try := 1; try <= reconcile.PromoteTries; try++ {
		stopped := strings.Index(journal, fmt.Sprintf("Stopped infra-agent-promote-%s-%d", o.ID, try))
		if stopped < 0 || stopped > back {
			t.Errorf("try %d was stopped at %d of the journal, want before the way back at %d", try, stopped, back)
		}
	}
}

func TestKilledAgentGoesOn(t *testing.T) {
	f := newFleet(t)
	web := f.up("web1")[0]
	f.longTrial()
	commit := f.pausedTrial(web)
	t.Log("killed while activating")
	kill(web, "infra-agent.service")
	check(t, web.Remove("/run/lab-pause"))
	web.wait("confirming", onTrial)
	t.Log("killed while confirming")
	kill(web, "infra-agent.service")
	s := web.wait("promoted", ended(reconcile.ResultPromoted, commit))
	web.expect(string(s.Good.Toplevel))
	if got := len(s.History); got != 2 {
		t.Errorf("%d deployments, want 2: %v", got, s.History)
	}
}

func TestKilledGuardIsBack(t *testing.T) {
	f := newFleet(t)
	web := f.up("web1")[0]
	f.longTrial()
	commit := f.pausedTrial(web)
	kill(web, "infra-agent-guard-*")
	check(t, web.Remove("/run/lab-pause"))
	web.wait("confirming", onTrial)
	kill(web, "infra-agent-guard-*")
	web.wait("guarded again", func(control.Status) bool {
		out, err := web.Run(t.Context(), "systemctl", "list-units", "--plain", "--no-legend", "--state=running", "infra-agent-guard-*")
		return err == nil && strings.Contains(out, "infra-agent-guard-")
	})
	s := web.wait("promoted", ended(reconcile.ResultPromoted, commit))
	web.expect(string(s.Good.Toplevel))
}

func kill(n *node, unit string) {
	n.t.Helper()
	must[string](n.t)(n.Run(n.t.Context(), "systemctl", "kill", "--signal=KILL", unit))
}
