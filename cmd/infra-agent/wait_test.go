package main

import (
	"testing"
	"time"

	"github.com/infra-agent/infra-agent/agent/control"
	"github.com/infra-agent/infra-agent/reconcile"
)

// How each verb ends, by what the agent says then.
func TestItIsDecided(t *testing.T) {
	const goesOn = -1
	before := control.Status{Running: true, State: "idle", InSync: true, History: []reconcile.Outcome{{ID: "d1", Result: reconcile.ResultRolledBack}}}
	trying := before
	trying.State, trying.Deployment = "confirming", &control.Deployment{ID: "d2"}
	after := func(change func(*control.Status)) control.Status {
		s := before
		s.Anchor, s.Subject = revA, "dns: add a zone"
		s.Remotes = []control.Remote{{Name: "origin", Commit: revA, At: now.Add(time.Second)}}
		change(&s)
		return s
	}
	ended := func(res reconcile.Result, more func(*control.Status)) control.Status {
		return after(func(s *control.Status) {
			o := reconcile.Outcome{ID: "d2", Result: res, Revision: revA, Subject: "dns: add a zone", Started: now, Ended: now.Add(time.Minute)}
			if res != reconcile.ResultPromoted {
				o.Cause = reconcile.Cause{Reason: reconcile.ReasonUnit, Why: "dns.service failed"}
			}
			s.History = []reconcile.Outcome{{ID: "d1"}, o}
			more(s)
		})
	}
	nothing := func(*control.Status) {}
	blocked := func(s *control.Status) {
		s.State, s.InSync, s.Holds = "held", false, []reconcile.Hold{{Gate: reconcile.GateBlocked, Why: "this system failed here", Hint: "push a fix"}}
	}
	phase := func(state, why string) control.Status {
		return after(func(s *control.Status) {
			s.State, s.Deployment = state, &control.Deployment{ID: "d2", Cause: reconcile.Cause{Why: why}}
		})
	}
	for _, tt := range []struct {
		name, verb    string
		before, after control.Status
		code          int
		text          string
	}{
		{"nothing new", "sync", before, after(nothing), 0, "in sync: aaaaaaaa dns: add a zone"},
		{"not polled yet", "sync", before, after(func(s *control.Status) { s.Remotes[0].At = now.Add(-time.Second) }), goesOn, ""},
		{"no remotes yet", "sync", before, after(func(s *control.Status) { s.Remotes = nil }), goesOn, ""},
		{"silence", "sync", before, after(func(s *control.Status) { s.Remotes[0].Commit, s.Remotes[0].Why = "", "no answer" }), exitOtherwise, "no remote shows a commit: origin: no answer"},
		{"one of two is silent", "sync", before, after(func(s *control.Status) {
			s.Remotes = append([]control.Remote{{Name: "mirror", At: now.Add(time.Second), Why: "no answer"}}, s.Remotes...)
		}), 0, "in sync: aaaaaaaa dns: add a zone"},
		{"the agent starts again", "sync", before, control.Status{State: "held", Holds: []reconcile.Hold{{Gate: reconcile.GateSource}}}, goesOn, ""},
		{"it builds", "sync", before, after(func(s *control.Status) { s.State, s.InSync = "building", false }), goesOn, ""},
		{"between two jobs", "sync", before, after(func(s *control.Status) { s.InSync = false }), goesOn, ""},
		{"a trial", "sync", before, phase("confirming", ""), goesOn, ""},
		{"promoted", "sync", before, ended(reconcile.ResultPromoted, nothing), 0, "promoted aaaaaaaa dns: add a zone, took 1m0s"},
		{"rolled back", "sync", before, ended(reconcile.ResultRolledBack, blocked), exitOtherwise, "rolled back aaaaaaaa dns: add a zone, took 1m0s\nunit: dns.service failed\nhint: infra-agent logs d2"},
		{"held", "sync", before, after(blocked), exitHeld, "held by blocked: this system failed here\nhint: push a fix"},
		{"promoted, and the next one is held", "sync", before, ended(reconcile.ResultPromoted, blocked), exitHeld, "held by blocked: this system failed here\nhint: push a fix"},
		{"stuck", "sync", before, phase("stuck", "no reboot"), exitOtherwise, "stuck: no reboot"},
		{"a person is to decide", "retry", before, phase("confirming", "check web is red"), exitHeld, "it waits for a person to confirm it or to roll it back: check web is red"},
		{"no poll is needed", "resume", before, after(func(s *control.Status) { s.Remotes = nil }), 0, "in sync: aaaaaaaa dns: add a zone"},

		{"confirmed", "confirm", trying, ended(reconcile.ResultPromoted, nothing), 0, "promoted aaaaaaaa dns: add a zone, took 1m0s"},
		{"it fails all the same", "confirm", trying, ended(reconcile.ResultRolledBack, blocked), exitOtherwise, "rolled back aaaaaaaa dns: add a zone, took 1m0s\nunit: dns.service failed\nhint: infra-agent logs d2"},
		{"cancelled", "cancel", trying, ended(reconcile.ResultCancelled, blocked), 0, "cancelled aaaaaaaa dns: add a zone, took 1m0s\nunit: dns.service failed"},
		{"too late", "cancel", trying, ended(reconcile.ResultPromoted, nothing), exitOtherwise, "promoted aaaaaaaa dns: add a zone, took 1m0s\nhint: infra-agent logs d2"},
		{"a wish is ended", "cancel", before, after(nothing), 0, "the node stays on the system that runs"},
		{"stepped back", "rollback", before, ended(reconcile.ResultSteppedBack, blocked), 0, "stepped back aaaaaaaa dns: add a zone, took 1m0s\nunit: dns.service failed"},
		{"it does not go back", "rollback", before, ended(reconcile.ResultRolledBack, nothing), exitOtherwise, "rolled back aaaaaaaa dns: add a zone, took 1m0s\nunit: dns.service failed\nhint: infra-agent logs d2"},
		{"it has to wait", "rollback", before, after(func(s *control.Status) { blocked(s); s.Back = topA }), exitHeld, "held by blocked: this system failed here\nhint: push a fix"},
		{"it is looked at", "rollback", before, after(func(s *control.Status) { s.Back = topA }), goesOn, ""},
		{"nobody wants it any more", "rollback", before, after(nothing), exitOtherwise, "nothing was deployed"},
		{"a trial is ended by it", "rollback", trying, ended(reconcile.ResultCancelled, blocked), 0, "cancelled aaaaaaaa dns: add a zone, took 1m0s\nunit: dns.service failed"},
	} {
		end, is := wait{tt.verb, tt.before, now}.decided(tt.after)
		if !is {
			end.code = goesOn
		}
		if end.code != tt.code || end.text != tt.text {
			t.Errorf("%s: %s: %d, %q, want %d, %q", tt.verb, tt.name, end.code, end.text, tt.code, tt.text)
		}
	}
}
