package main

import (
	"testing"
	"time"

	"github.com/infra-agent/infra-agent/agent/control"
	"github.com/infra-agent/infra-agent/reconcile"
)

// TestVerbsSayWhatTheyChanged, where a script cannot: a trial needs a NixOS system.
func TestVerbsSayWhatTheyChanged(t *testing.T) {
	const red = "/nix/store/r-red"
	deployment := &control.Deployment{ID: "d7", From: reconcile.System{Toplevel: "/nix/store/a-old"}, To: reconcile.System{Revision: "0123456789012345678901234567890123456789"}}
	later := *deployment
	later.Deadline = time.Now().Add(time.Hour)
	failed := control.Status{
		Blocked:  map[reconcile.Toplevel]reconcile.Block{red: {Cause: reconcile.Cause{Why: "web.service failed"}}},
		Failures: map[reconcile.FailureKey]reconcile.Failure{{Kind: reconcile.FailedRevision}: {}, {Kind: reconcile.FailedDerivation}: {}},
	}
	trying, extended := control.Status{Deployment: deployment}, control.Status{Deployment: &later}
	for _, c := range []struct {
		use           string
		before, after control.Status
		want          string
	}{
		{"confirm", trying, trying, "Confirmed without its checks: deployment d7, a-old to 01234567"},
		{"cancel", trying, control.Status{}, "Cancelled, the node goes back: deployment d7, a-old to 01234567"},
		{"cancel", control.Status{}, trying, "Cancelled, the node goes back: the deployment that has just begun"},
		{"extend DURATION", trying, extended, "To be confirmed within 1h0m0s now: deployment d7, a-old to 01234567"},
		{"rollback", control.Status{Good: reconcile.System{Toplevel: red}, Previous: deployment.From}, trying, "The node goes back to a-old; r-red is blocked."},
		{"rollback", trying, trying, "Cancelled, the node goes back: deployment d7, a-old to 01234567"},
		{"suspend REASON", trying, trying, "Suspended: nothing is deployed until \"infra-agent resume\".\nIt ends first: deployment d7, a-old to 01234567"},
		{"retry", failed, control.Status{}, "No longer blocked:\n  r-red: web.service failed\nForgotten, too: 2 failures."},
		{"retry", control.Status{Failures: failed.Failures}, control.Status{}, "Forgotten, and tried again: 2 failures."},
		{"retry", failed, failed, "Nothing that failed was remembered; what waits is looked at again."},
		{"adopt", control.Status{}, control.Status{Good: reconcile.System{Toplevel: red}}, "Good is now r-red (good, adopted)"},
	} {
		for _, v := range verbs() {
			if got := v.changed(done{"", c.before, c.after}); v.use == c.use && got != c.want {
				t.Errorf("%s says %q, want %q", c.use, got, c.want)
			}
		}
	}
}
