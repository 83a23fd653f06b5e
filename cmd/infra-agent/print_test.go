package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/infra-agent/infra-agent/agent/control"
	"github.com/infra-agent/infra-agent/reconcile"
)

var now = time.Date(2026, 3, 29, 12, 0, 0, 0, time.UTC)

const (
	topA = reconcile.Toplevel("/nix/store/aaa-nixos-system-web")
	topB = reconcile.Toplevel("/nix/store/bbb-nixos-system-web")
	revA = reconcile.Commit("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")
	revB = reconcile.Commit("bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb")
)

var (
	sysA = reconcile.System{Toplevel: topA, Revision: revA}
	sysB = reconcile.System{Toplevel: topB, Revision: revB}
)

func TestStatusAndPlanForPeople(t *testing.T) {
	trial := func(d control.Deployment) *control.Deployment {
		d.ID, d.From, d.To, d.Started = "20260329T115900", sysA, sysB, now.Add(-time.Minute)
		return &d
	}
	tests := []struct {
		name   string
		status control.Status
		want   string
		plan   string
	}{
		{
			"in sync",
			control.Status{
				Running: true, Node: "web", Roles: []reconcile.Role{"dns", "mail"}, State: "idle", Since: now.Add(-time.Minute), InSync: true,
				Tip: revA, Anchor: revA, Subject: "dns: add a zone", Good: sysA, Slots: reconcile.Slots{Running: topA, Profile: topA, Default: topA},
				Checks: map[string]reconcile.CheckResult{
					"web": {OK: true, Took: 12345 * time.Microsecond, At: now.Add(-3 * time.Hour)}, "db": {Detail: "dial tcp [::1]:5432: connect: connection refused"},
				},
				History: []reconcile.Outcome{
					{Result: reconcile.ResultPromoted, Revision: "cccccccccccccccccccccccccccccccccccccccc", Ended: now.Add(-time.Hour)},
					{
						Result: reconcile.ResultRolledBack, Revision: revB, Cause: reconcile.Cause{Reason: reconcile.ReasonUnit, Why: "unit nginx.service failed"},
						Ended: now.Add(-90 * time.Minute),
					},
				},
			},
			`
node     web (dns, mail)
state    idle since 60 s ago
running  aaa-nixos-system-web (good, aaaaaaaa)
branch   aaaaaaaa dns: add a zone (in sync)
checks   red    db: dial tcp [::1]:5432: connect: connection refused
         green  web (12ms, 3 h ago)
last     rolled back bbbbbbbb, 90 min ago
         unit: unit nginx.service failed
`,
			"Nothing: aaaaaaaa is what the branch describes for web (dns, mail).",
		},
		{
			"looking on",
			control.Status{
				Running: true, Node: "web", State: "held", Since: now.Add(-time.Minute), Tip: revB, Anchor: revB, Good: sysA, Slots: reconcile.Slots{Running: topA, Profile: topA, Default: topA},
				Holds: []reconcile.Hold{{Gate: reconcile.GateObserve, Why: "nothing is tried in observe mode; bbbbbbbb would be, and change nginx.service", Hint: `set mode = "deploy" to have it tried`}},
				Observed: []reconcile.Observed{
					{Revision: "cccccccccccccccccccccccccccccccccccccccc", At: now.Add(-3 * time.Hour)},
					{Revision: revB, Cause: reconcile.Cause{Reason: reconcile.ReasonCheck, Why: "check web is red: status 500"}, At: now.Add(-2 * time.Hour)},
					{Revision: revA, System: topA, At: now.Add(-time.Hour)},
				},
			},
			`
node      web
state     held since 60 s ago
held      observe: nothing is tried in observe mode; bbbbbbbb would be, and change nginx.service
          hint: set mode = "deploy" to have it tried
running   aaa-nixos-system-web (good, aaaaaaaa)
branch    bbbbbbbb
observed  1 of the last 3 commits would have been rolled back; the last, bbbbbbbb, 2 h ago
          check: check web is red: status 500
`,
			"Nothing now: nothing is tried in observe mode; bbbbbbbb would be, and change nginx.service.\nhint: set mode = \"deploy\" to have it tried",
		},
		{
			"building",
			control.Status{
				Running: true, State: "building", Tip: revB, Anchor: revB, Subject: "web: x", Good: sysA, Doing: "build bbbbbbbb", DoingSince: now.Add(-3 * time.Hour),
				Build: &reconcile.Progress{Built: 1, ToBuild: 3, Copied: 4, ToCopy: 9, Bytes: 5 << 20, BytesAll: 50 << 20}, Slots: reconcile.Slots{Running: topA, Profile: topA},
			},
			`
state    building
doing    build bbbbbbbb, started 3 h ago, built 1/3, copied 4/9, 5/50 MiB
running  aaa-nixos-system-web (good, aaaaaaaa)
branch   bbbbbbbb web: x
`,
			"Bring the node from aaaaaaaa to bbbbbbbb: evaluate, build, try, confirm.",
		},
		{
			"copying what a manifest names",
			control.Status{
				Running: true, State: "building", Tip: revB, Anchor: revB, Good: sysA, Doing: "build bbbbbbbb", Build: &reconcile.Progress{ToCopy: 9},
				Slots: reconcile.Slots{Running: topA, Profile: topA}, Manifests: reconcile.ManifestOnly, Manifest: &reconcile.Manifest{Place: "web.json of branch manifests", Signer: "ci@example.org"},
			},
			`
state     building
doing     build bbbbbbbb, built 0/0, copied 0/9
running   aaa-nixos-system-web (good, aaaaaaaa)
branch    bbbbbbbb
manifest  web.json of branch manifests, signed by ci@example.org
`,
			"Bring the node from aaaaaaaa to bbbbbbbb: ask for its manifest, copy what that names, try, confirm.\n" +
				"The system of bbbbbbbb is named by web.json of branch manifests, signed by ci@example.org.",
		},
		{
			"what a pin names",
			control.Status{
				Running: true, State: "idle", InSync: true, Tip: revA, Anchor: revA, Good: sysA, Node: "web", Slots: reconcile.Slots{Running: topA, Profile: topA},
				Manifests: reconcile.ManifestOnly, Manifest: &reconcile.Manifest{Place: "https://ci.example.org/pins/web", Pinned: time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)},
			},
			`
node      web
state     idle
running   aaa-nixos-system-web (good, aaaaaaaa)
branch    aaaaaaaa (in sync)
manifest  https://ci.example.org/pins/web, a pin of 2026-01-31T12:00:00Z: nobody signed it, and it names no commit
`,
			"Nothing: aaaaaaaa is what the branch describes for web.\n" +
				"The system of aaaaaaaa is named by https://ci.example.org/pins/web, a pin of 2026-01-31T12:00:00Z: nobody signed it, and it names no commit.",
		},
		{
			"held, drifted, with a broken settings file",
			control.Status{
				Running: true, State: "held", Tip: revB, Anchor: revA, Good: reconcile.System{Toplevel: topA}, Previous: sysB,
				Slots: reconcile.Slots{Running: topA, Profile: topB, Default: "/nix/store/ccc-nixos-system-web"}, Reboot: []string{"kernel", "systemd"},
				Settings: "config.toml:1: no\nconfig.toml:2: neither", Warnings: []string{"two nodes match"},
				Holds: []reconcile.Hold{
					{Gate: reconcile.GateDrift, Why: "the running system is not the profile", Hint: `run "infra-agent adopt"`},
					{Gate: reconcile.GateBuild, Why: "no space", Until: now.Add(90 * time.Second)},
				},
			},
			`
state         held
held          drift: the running system is not the profile
              hint: run "infra-agent adopt"
held          build: no space
              again in 1m30s
running       aaa-nixos-system-web (good, adopted)
profile       bbb-nixos-system-web (the good one before)
boot default  ccc-nixos-system-web
branch        bbbbbbbb, not accepted; newest accepted aaaaaaaa
reboot        needed for kernel, systemd
settings      not reloaded, the old ones are in force:
              config.toml:1: no
              config.toml:2: neither
warning       two nodes match
`,
			"Nothing now: the running system is not the profile.\nhint: run \"infra-agent adopt\"",
		},
		{
			"two remotes, one of which is gone",
			control.Status{
				Running: true, State: "held", Good: sysA, Anchor: revA, Slots: reconcile.Slots{Running: topA, Profile: topA},
				Holds: []reconcile.Hold{{Gate: reconcile.GateUnverified, Why: "commit bbbbbbbb: not signed (hint: sign it)"}},
				Remotes: []control.Remote{
					{Name: "forge", Why: "poll forge: the server answers 404 (hint: is the url of remote forge right?)"}, {Name: "mirror", Commit: revB, Failed: 3},
				},
			},
			`
state    held
held     unverified: commit bbbbbbbb: not signed
         hint: sign it
running  aaa-nixos-system-web (good, aaaaaaaa)
branch   aaaaaaaa
remote   poll forge: the server answers 404
         hint: is the url of remote forge right?
remote   mirror shows bbbbbbbb, and 3 fetches of it failed
`,
			"Nothing now: commit bbbbbbbb: not signed.\nhint: sign it",
		},
		{
			"testing",
			control.Status{
				Running: true, State: "confirming", Good: sysA, Anchor: revA, Slots: reconcile.Slots{Running: topB, Profile: topA},
				Deployment: trial(control.Deployment{Testing: true, Deadline: now.Add(5 * time.Minute)}),
				Testing:    &reconcile.Testing{Commit: revB, Subject: "web: x", State: "on trial"},
			},
			`
state       confirming
deployment  20260329T115900 to bbbbbbbb, started 60 s ago
            of the testing branch: goes back in 5m0s
running     bbb-nixos-system-web
profile     aaa-nixos-system-web (good, aaaaaaaa)
branch      aaaaaaaa
testing     bbbbbbbb web: x
            on trial
`,
			"Go back to aaaaaaaa when the trial of bbbbbbbb is over: the testing branch is only tried.",
		},
		{
			"a testing branch that failed",
			control.Status{
				Running: true, State: "idle", Good: sysA, Anchor: revA, InSync: true, Slots: reconcile.Slots{Running: topA, Profile: topA},
				Testing: &reconcile.Testing{Commit: revB, State: "rolled_back", Why: "unit nginx.service failed"},
			},
			`
state    idle
running  aaa-nixos-system-web (good, aaaaaaaa)
branch   aaaaaaaa (in sync)
testing  bbbbbbbb
         rolled back: unit nginx.service failed
`,
			"Nothing: aaaaaaaa is what the branch describes for the node.",
		},
		{
			"confirming",
			control.Status{
				Running: true, State: "confirming", Good: sysA, Slots: reconcile.Slots{Running: topB, Profile: topA},
				Deployment: trial(control.Deployment{Deadline: now.Add(5 * time.Minute), Red: []string{"check web is red: 500"}}),
			},
			`
state       confirming
deployment  20260329T115900 to bbbbbbbb, started 60 s ago
            to be confirmed within 5m0s, or it goes back
            not healthy: check web is red: 500
running     bbb-nixos-system-web
profile     aaa-nixos-system-web (good, aaaaaaaa)
branch      not seen yet
`,
			"Confirm bbbbbbbb and make it permanent, or go back to aaaaaaaa.",
		},
		{
			"kept though it is not well, and a debt that could not be paid",
			control.Status{
				Running: true, State: "promoting", Good: sysA,
				Owed: []reconcile.Debt{
					{Kind: reconcile.DebtRestore, System: topA},
					{Kind: reconcile.DebtUndrain, Tries: 2, Why: "undrain: exit status 1", After: now.Add(5 * time.Second)},
				},
				Deployment: trial(control.Deployment{Flaw: "unit nginx.service failed"}),
			},
			`
state       promoting
deployment  20260329T115900 to bbbbbbbb, started 60 s ago
            kept all the same: unit nginx.service failed
owed        undrain: exit status 1
            again in 5s
running     unknown
branch      not seen yet
`,
			"Confirm bbbbbbbb and make it permanent, or go back to aaaaaaaa.",
		},
		{
			"confirming, and waiting for a person",
			control.Status{
				Running: true, State: "confirming", Good: sysA,
				Deployment: trial(control.Deployment{Cause: reconcile.Cause{Why: "check web is red: 500"}}),
			},
			`
state       confirming
deployment  20260329T115900 to bbbbbbbb, started 60 s ago
            waits for a person: check web is red: 500
running     unknown
branch      not seen yet
`,
			"Nothing by itself: bbbbbbbb is not healthy: check web is red: 500.\nhint: \"infra-agent confirm\" keeps it, \"infra-agent rollback\" goes back to aaaaaaaa",
		},
		{
			"rolling back",
			control.Status{
				Running: true, State: "rolling_back",
				Deployment: trial(control.Deployment{Cause: reconcile.Cause{Reason: reconcile.ReasonUnit, Why: "unit nginx.service failed"}}),
			},
			`
state       rolling back
deployment  20260329T115900 to bbbbbbbb, started 60 s ago
            unit: unit nginx.service failed
running     unknown
branch      not seen yet
`,
			"Go back to aaaaaaaa, because unit nginx.service failed.",
		},
		{
			"stuck",
			control.Status{
				State:      "stuck",
				Deployment: trial(control.Deployment{Cause: reconcile.Cause{Reason: reconcile.ReasonUnit, Why: "unit nginx.service failed; the node did not reboot"}}),
			},
			`
state       agent not running; its record says stuck
deployment  20260329T115900 to bbbbbbbb, started 60 s ago
            unit: unit nginx.service failed; the node did not reboot
running     unknown
branch      not seen yet
`,
			"The agent is not running. When it starts: Nothing: unit nginx.service failed; the node did not reboot. " +
				"Bring a working system back by hand, then run \"infra-agent adopt\".",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var b strings.Builder
			if err := printStatus(&b, tt.status, now); err != nil || b.String() != tt.want[1:] {
				t.Errorf("status (%v):\n%s\nwant\n%s", err, b.String(), tt.want[1:])
			}
			b.Reset()
			if err := printPlan(&b, tt.status); err != nil || b.String() != tt.plan+"\n" {
				t.Errorf("plan (%v):\n%s\nwant\n%s", err, b.String(), tt.plan)
			}
		})
	}
}

func TestAgo(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 s ago", 119 * time.Second: "119 s ago", 2 * time.Minute: "2 min ago", 119 * time.Minute: "119 min ago",
		2 * time.Hour: "2 h ago", 47 * time.Hour: "47 h ago", 48 * time.Hour: "2026-03-27 12:00 UTC",
	} {
		if got := ago("", now.Add(-d), now); got != want {
			t.Errorf("%v before now: got %q, want %q", d, got, want)
		}
	}
	if got := ago("since ", time.Time{}, now); got != "" {
		t.Errorf("never: got %q, want nothing", got)
	}
}

func TestExitCodes(t *testing.T) {
	refused := &reconcile.RefusedError{Why: "busy", Hint: "wait"}
	for _, tt := range []struct {
		err  error
		code int
		hint string
	}{
		{nil, 0, ""},
		{errors.New("no"), 1, ""},
		{&exitError{exitUsage, errors.New("no")}, 2, ""},
		{&exitError{exitRecord, errors.New("no")}, 3, ""},
		{fmt.Errorf("x: %w", refused), 4, "wait"},
		{fmt.Errorf("x: %w", control.ErrDown), 5, `"systemctl status infra-agent" says why; "infra-agent status" still reads the record`},
	} {
		if got := codeOf(tt.err); got != tt.code {
			t.Errorf("codeOf(%v) = %d, want %d", tt.err, got, tt.code)
		}
		if got := hintOf(tt.err); got != tt.hint {
			t.Errorf("hintOf(%v) = %q, want %q", tt.err, got, tt.hint)
		}
	}
}

func TestObservedAreListed(t *testing.T) {
	s := control.Status{Observed: []reconcile.Observed{
		{Revision: revB, Cause: reconcile.Cause{Reason: reconcile.ReasonCheck, Why: "check web is red: status 500"}, At: now.Add(-2 * time.Hour)},
		{Revision: revA, System: topA, At: now.Add(-time.Hour)},
	}}
	var b strings.Builder
	if err := printHistory(&b, s, now); err != nil {
		t.Fatal(err)
	}
	const want = `aaaaaaaa  would have been kept, 60 min ago
bbbbbbbb  would have been rolled back, 2 h ago
          check: check web is red: status 500
`
	if b.String() != want {
		t.Errorf("it says\n%s\nwant\n%s", b.String(), want)
	}
}
