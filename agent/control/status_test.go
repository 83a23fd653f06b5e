package control

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/infra-agent/infra-agent/reconcile"
)

func TestStatusOf(t *testing.T) {
	now := time.Date(2026, 3, 29, 1, 0, 0, 0, time.UTC)
	good := reconcile.System{Toplevel: "/nix/store/aaa", Revision: "aaaa"}
	rev := reconcile.Revision{Commit: "bbbb", Subject: "dns: add a zone", Warnings: []string{"a submodule"}}
	resolved := reconcile.Resolved{
		Fetched: reconcile.Fetched{Revision: rev},
		Target:  reconcile.Target{Node: "web", Roles: []reconcile.Role{"dns"}, Warnings: []string{"w"}},
	}
	s := reconcile.Snapshot{
		Record: reconcile.Record{
			Phase: reconcile.Idle{}, Anchor: "bbbb", Good: good, Heights: map[reconcile.Commit]int{"aaaa": 1, "bbbb": 4},
			Tally: reconcile.Tally{Entered: now.Add(-time.Hour), LastPollOK: now.Add(-time.Minute)},
			Work:  reconcile.Work{Tip: reconcile.Tip{Commit: "bbbb"}, Steps: map[reconcile.Purpose]reconcile.Step{reconcile.PurposeBranch: resolved}},
		},
		Observation: reconcile.Observation{
			Now: now, Slots: reconcile.Slots{Running: "/nix/store/aaa"}, Booted: "/nix/store/old",
			Job: reconcile.Build{From: reconcile.Evaluated{Resolved: resolved}},
		},
		JobSince: now.Add(-time.Second), Progress: reconcile.Progress{Built: 1, ToBuild: 2}, Reboot: []string{"kernel"},
		Reload:   reconcile.Reload{Err: "line 3"},
		Counters: reconcile.Counters{Checks: map[string]reconcile.CheckCount{"web": {Last: reconcile.CheckResult{OK: true}}}},
	}
	want := Status{
		Version: "1.2.3", Running: true, Node: "web", Roles: []reconcile.Role{"dns"}, State: "building", Since: now.Add(-time.Second),
		Doing: "build bbbb", DoingSince: now.Add(-time.Second), Build: &reconcile.Progress{Built: 1, ToBuild: 2},
		Tip: "bbbb", Anchor: "bbbb", Subject: "dns: add a zone", Behind: 3, LastPoll: now.Add(-time.Minute), Good: good,
		Slots: reconcile.Slots{Running: "/nix/store/aaa"}, Booted: "/nix/store/old", Reboot: []string{"kernel"},
		Checks: map[string]reconcile.CheckResult{"web": {OK: true}}, Settings: "line 3", Warnings: []string{"a submodule", "w"},
	}
	if diff := cmp.Diff(want, StatusOf(s, "1.2.3", true)); diff != "" {
		t.Errorf("StatusOf() (-want +got):\n%s", diff)
	}
	s.Observation.Job = reconcile.Tidy{}
	if got := StatusOf(s, "1.2.3", true); got.Build != nil || got.Doing != "tidy" {
		t.Errorf("while tidying: doing %q, build %v, want tidy and no progress", got.Doing, got.Build)
	}
	m := reconcile.Manifest{Place: "https://ci.example.org/web.json", Signer: "ci"}
	s.Record.Work.Steps = map[reconcile.Purpose]reconcile.Step{reconcile.PurposeBranch: reconcile.Evaluated{Resolved: resolved, Manifest: m}}
	s.Observation.Policy.Manifests.Mode = reconcile.ManifestOnly
	if got := StatusOf(s, "1.2.3", true); got.Manifest == nil || *got.Manifest != m || got.Manifests != reconcile.ManifestOnly {
		t.Errorf("manifest %v, mode %q, want %v, only", got.Manifest, got.Manifests, m)
	}
}

func TestASuspensionWithoutAnEndIsAWarning(t *testing.T) {
	since := time.Date(2026, 3, 29, 1, 0, 0, 0, time.UTC)
	const warning = "the suspension has no end: no fix reaches this node until somebody resumes"
	for _, tt := range []struct {
		suspended reconcile.Suspension
		want      []string
	}{
		{reconcile.Suspension{}, nil},
		{reconcile.Suspension{Reason: "x", Since: since}, []string{warning}},
		{reconcile.Suspension{Reason: "x", Since: since, Until: since.Add(time.Hour)}, nil},
	} {
		s := reconcile.Snapshot{Record: reconcile.Record{Phase: reconcile.Idle{}, Suspended: tt.suspended}}
		if diff := cmp.Diff(tt.want, StatusOf(s, "", true).Warnings); diff != "" {
			t.Errorf("%+v: warnings (-want +got):\n%s", tt.suspended, diff)
		}
	}
}

func TestAHoldOfTheRegistryIsAWarning(t *testing.T) {
	const warning = "the registry holds or pins this node, which has no end: no fix reaches it until a commit takes that away"
	for _, tt := range []struct {
		target reconcile.Target
		want   []string
	}{
		{reconcile.Target{Warnings: []string{"x"}}, []string{"x"}},
		{reconcile.Target{Hold: "the database moves", Warnings: []string{"x"}}, []string{"x", warning}},
		{reconcile.Target{Pin: "3f2a81c0"}, []string{warning}},
	} {
		s := reconcile.Snapshot{Record: reconcile.New()}
		s.Record.Work.Steps = map[reconcile.Purpose]reconcile.Step{reconcile.PurposeBranch: reconcile.Resolved{Target: tt.target}}
		if diff := cmp.Diff(tt.want, StatusOf(s, "", true).Warnings); diff != "" {
			t.Errorf("%+v: warnings (-want +got):\n%s", tt.target, diff)
		}
	}
}

func TestTheDeploymentInFlight(t *testing.T) {
	now := time.Date(2026, 3, 29, 1, 0, 0, 0, time.UTC)
	d := reconcile.Deployment{
		ID: "20260329T005900", Old: reconcile.System{Toplevel: "/nix/store/aaa"}, New: reconcile.System{Toplevel: "/nix/store/bbb"}, Started: now.Add(-time.Minute),
	}
	trial := reconcile.Trial{Deployment: d}
	cause := reconcile.Cause{Reason: reconcile.ReasonUnit, Why: "unit nginx.service failed"}
	base := Deployment{ID: d.ID, From: d.Old, To: d.New, Started: d.Started}
	with := func(change func(*Deployment)) *Deployment { out := base; change(&out); return &out }
	begun := &Confirmation{Since: now.Add(-10 * time.Minute)} // at the boot, since the phases below do not say
	tests := []struct {
		phase reconcile.Phase
		want  *Deployment
	}{
		{reconcile.Idle{}, nil},
		{reconcile.Arming{Trial: reconcile.Trial{Deployment: d}}, &base},
		{reconcile.Activating{Trial: trial}, &base},
		{reconcile.Confirming{Trial: trial, Until: 700 * time.Second}, with(func(o *Deployment) { o.Deadline, o.Confirm = now.Add(100*time.Second), begun })},
		{reconcile.Confirming{Trial: trial, Until: 500 * time.Second, Held: "check web is red"}, with(func(o *Deployment) { o.Cause.Why, o.Confirm = "check web is red", begun })}, // it does not go back by itself
		{reconcile.Promoting{Trial: trial}, &base},
		{reconcile.RollingBack{Trial: trial, Cause: cause}, with(func(o *Deployment) { o.Cause = cause })},
		{reconcile.VerifyingRollback{Trial: trial, Cause: cause}, with(func(o *Deployment) { o.Cause = cause })},
		{reconcile.RebootingBack{Trial: trial, Cause: cause}, with(func(o *Deployment) { o.Cause = cause })},
		{reconcile.Stuck{Trial: trial, Cause: cause}, with(func(o *Deployment) { o.Cause = cause })},
	}
	for _, tt := range tests {
		s := reconcile.Snapshot{
			Record: reconcile.Record{Phase: tt.phase}, Observation: reconcile.Observation{Now: now, Uptime: 600 * time.Second, Boot: "b"},
		}
		if diff := cmp.Diff(tt.want, StatusOf(s, "", true).Deployment); diff != "" {
			t.Errorf("%s (-want +got):\n%s", reconcile.Name(tt.phase), diff)
		}
	}

	s := reconcile.Snapshot{Record: reconcile.Record{Phase: reconcile.Confirming{Trial: trial, Until: time.Hour}}}
	s.Record.Work.Watch.Red = map[string]reconcile.Red{
		"failed nginx.service": {Cause: cause}, "check web": {Cause: reconcile.Cause{Reason: reconcile.ReasonCheck, Why: "check web is red: 500"}},
	}
	got := StatusOf(s, "", false).Deployment
	if diff := cmp.Diff([]string{"check web is red: 500", "unit nginx.service failed"}, got.Red); diff != "" {
		t.Errorf("what is red (-want +got):\n%s", diff)
	}
	if !got.Deadline.IsZero() || got.Confirm != nil {
		t.Errorf("from a record on disk the deadline is %v, and the confirmation %v; nobody knows the clock it is on", got.Deadline, got.Confirm)
	}
}

func TestHowFarAConfirmationIs(t *testing.T) {
	now := time.Date(2026, 3, 29, 1, 0, 0, 0, time.UTC)
	d := reconcile.Deployment{Confirm: reconcile.Confirm{Window: time.Minute}}
	d.New.Checks = []reconcile.Check{{Name: "web"}, {Name: "db"}, {Name: "dns"}}
	s := reconcile.Snapshot{
		Record:      reconcile.Record{Phase: reconcile.Confirming{Trial: reconcile.Trial{Deployment: d}, Since: 500 * time.Second, Until: 1100 * time.Second}},
		Observation: reconcile.Observation{Now: now, Uptime: 600 * time.Second, Boot: "b"},
	}
	s.Record.Tally.Took = map[string]time.Duration{"build": time.Minute}
	s.Record.Work.Watch.Results = map[string]reconcile.CheckResult{"web": {OK: true}, "db": {}, "gone": {OK: true}}
	want := &Confirmation{Since: now.Add(-100 * time.Second), Window: time.Minute, Checks: 3, Green: 1}
	if diff := cmp.Diff(want, StatusOf(s, "", true).Deployment.Confirm); diff != "" {
		t.Errorf("while one is green (-want +got):\n%s", diff)
	}
	s.Record.Work.Watch.GreenSince = 580 * time.Second
	want.GreenSince = now.Add(-20 * time.Second)
	got := StatusOf(s, "", true)
	if diff := cmp.Diff(want, got.Deployment.Confirm); diff != "" {
		t.Errorf("while all is green (-want +got):\n%s", diff)
	}
	if got.Took["build"] != time.Minute {
		t.Errorf("the last build took %v, want 1m", got.Took)
	}
}
