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
		{"cancel", control.Status{Back: "/nix/store/a-old", Previous: deployment.From}, control.Status{}, "The node stays on the system that runs: it does not go back to a-old"},
		{"cancel", control.Status{}, trying, "Cancelled, the node goes back: the deployment that has just begun"},
		{"extend DURATION", trying, extended, "To be confirmed within 1h0m0s now: deployment d7, a-old to 01234567"},
		{"rollback", control.Status{Good: reconcile.System{Toplevel: red}, Previous: deployment.From}, trying, `The node goes back to a-old, as soon as it may. When that is good, r-red is blocked.`},
		{"rollback", trying, trying, "Cancelled, the node goes back: deployment d7, a-old to 01234567"},
		{"suspend REASON", trying, trying, "Suspended: nothing is deployed until \"infra-agent resume\".\nIt ends first: deployment d7, a-old to 01234567"},
		{
			"suspend REASON",
			control.Status{},
			control.Status{Suspended: reconcile.Suspension{Until: time.Date(2026, 3, 29, 18, 0, 0, 0, time.Local)}},
			"Suspended: nothing is deployed until 2026-03-29 18:00 " + time.Date(2026, 3, 29, 18, 0, 0, 0, time.Local).Format("MST") + ", or until \"infra-agent resume\".",
		},
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

func TestParseEnd(t *testing.T) {
	zone := time.FixedZone("", 2*3600)
	now := time.Date(2026, 3, 31, 17, 30, 15, 0, zone)
	for text, want := range map[string]time.Time{
		"2h30m":                now.Add(150 * time.Minute),
		"18:00":                time.Date(2026, 3, 31, 18, 0, 0, 0, zone),
		"17:30":                time.Date(2026, 4, 1, 17, 30, 0, 0, zone), // has just passed
		"2026-04-02T08:00":     time.Date(2026, 4, 2, 8, 0, 0, 0, zone),
		"2026-04-02 08:00":     time.Date(2026, 4, 2, 8, 0, 0, 0, zone),
		"2026-04-02T08:00:00Z": time.Date(2026, 4, 2, 8, 0, 0, 0, time.UTC),
	} {
		if got, err := parseEnd(text, now); err != nil || !got.Equal(want) {
			t.Errorf("parseEnd(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
	const refused = `until "tomorrow": want a duration like 2h30m, or a time like 18:00, 2026-03-29T18:00 or 2026-03-29T18:00:00Z`
	for _, text := range []string{"", "tomorrow", "25:00", "3d"} {
		if got, err := parseEnd(text, now); err == nil || text == "tomorrow" && err.Error() != refused {
			t.Errorf("parseEnd(%q) = %v, %v, want an error", text, got, err)
		}
	}
}
