//go:build integration

package integration

import (
	"errors"
	"strings"
	"testing"

	"github.com/infra-agent/infra-agent/agent/control"
	"github.com/infra-agent/infra-agent/integration/lab"
	"github.com/infra-agent/infra-agent/reconcile"
)

// longTrialOf pushes a good commit whose trial takes 15 s, and returns once it
// is being confirmed.
func (f fleet) longTrialOf(n *node) (commit string, s control.Status) {
	f.t.Helper()
	f.longTrial()
	commit = f.edit("roles/web.nix", "VERSION=1", "VERSION=2")
	return commit, n.wait("confirming", onTrial)
}

func TestOperatorConfirms(t *testing.T) {
	f := newFleet(t)
	web := f.up("web1")[0]
	commit, before := f.longTrialOf(web)
	must[string](t)(web.agent("extend", "30s"))
	s := web.wait("extended", func(s control.Status) bool {
		return s.Deployment != nil && s.Deployment.Deadline.After(before.Deployment.Deadline)
	})
	if got := s.Deployment.Deadline.Sub(before.Deployment.Deadline).Round(1e9).Seconds(); got != 30 {
		t.Errorf("the deadline moved by %v s, want 30", got)
	}
	_, err := web.agent("extend", "2h")
	if failed, ok := errors.AsType[*lab.CommandError](err); !ok || failed.Code != 4 || !strings.Contains(failed.Stderr, "confirm.deadline_max") {
		t.Errorf("extend 2h: %v, want refused with exit code 4 and the limit's name", err)
	}
	must[string](t)(web.agent("confirm"))
	s = web.wait("promoted", ended(reconcile.ResultPromoted, commit))
	web.expect(string(s.Good.Toplevel))
	if o, _ := last(s); o.Ended.Sub(o.Started).Seconds() > 15 {
		t.Errorf("promoted after %v, want before the window of 15 s ended", o.Ended.Sub(o.Started))
	}
}

func TestOperatorCancelsAndStepsBack(t *testing.T) {
	f := newFleet(t)
	web := f.up("web1")[0]
	first := web.toplevel(lab.CurrentSystem)
	commit, _ := f.longTrialOf(web)
	second := string(must[control.Status](t)(web.status()).Good.Toplevel)
	must[string](t)(web.agent("cancel"))
	s := web.wait("cancelled", ended(reconcile.ResultCancelled, commit))
	web.expect(second)
	if o, _ := last(s); o.Cause.Reason != reconcile.ReasonOperator {
		t.Errorf("cancelled because of %v, want reason operator", o.Cause)
	}
	t.Log("back to the good system before this one, under guard")
	must[string](t)(web.agent("rollback"))
	web.wait("stepped back", func(s control.Status) bool {
		o, _ := last(s)
		return s.Deployment == nil && o.Result == reconcile.ResultSteppedBack && string(o.To) == first
	})
	web.expect(first)
	web.wait("not deploying what was rolled back", held(reconcile.GateBlocked, ""))
}

func TestSuspendedNodeDeploysNothing(t *testing.T) {
	f := newFleet(t)
	web := f.up("web1")[0]
	good := web.toplevel(lab.CurrentSystem)
	must[string](t)(web.agent("suspend", "holidays"))
	commit := f.edit("roles/web.nix", "VERSION=1", "VERSION=2")
	web.wait("held, but built", func(s control.Status) bool {
		return s.Anchor == reconcile.Commit(commit) && held(reconcile.GateSuspend, "holidays")(s) && s.Doing == ""
	})
	web.expect(good)
	must[string](t)(web.agent("resume"))
	s := web.wait("promoted", ended(reconcile.ResultPromoted, commit))
	web.expect(string(s.Good.Toplevel))
}

func TestStatusWithoutAgent(t *testing.T) {
	f := newFleet(t)
	web := f.up("web1")[0]
	must[string](t)(web.Run(t.Context(), "systemctl", "stop", "infra-agent"))
	out := must[string](t)(web.agent("status"))
	for _, want := range []string{"agent not running; its record says idle", "(good, "} {
		if !strings.Contains(out, want) {
			t.Errorf("status has no %q:\n%s", want, out)
		}
	}
	_, err := web.agent("sync")
	if failed, ok := errors.AsType[*lab.CommandError](err); !ok || failed.Code != 5 {
		t.Errorf("sync without an agent: %v, want exit code 5", err)
	}
}

func TestOnlyRootChangesAnything(t *testing.T) {
	f := newFleet(t)
	web := f.up("web1")[0]
	// The lab's control group is root: run with that group, as nobody.
	asNobody := []string{"setpriv", "--reuid=65534", "--regid=0", "--clear-groups", agentProgram}
	if _, err := web.Run(t.Context(), append(asNobody, "status")...); err != nil {
		t.Errorf("status as a member of the control group: %v", err)
	}
	_, err := web.Run(t.Context(), append(asNobody, "suspend", "mischief")...)
	if failed, ok := errors.AsType[*lab.CommandError](err); !ok || !strings.Contains(failed.Stderr, "only root") {
		t.Errorf("suspend as nobody: %v, want refused", err)
	}
}
