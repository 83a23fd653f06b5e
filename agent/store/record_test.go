package store

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/infra-agent/infra-agent/reconcile"
)

const (
	revA = reconcile.Commit("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")
	revB = reconcile.Commit("bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb")
	topA = reconcile.Toplevel("/nix/store/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-nixos-system-web-25.05")
	topB = reconcile.Toplevel("/nix/store/bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb-nixos-system-web-25.05")
)

func clock(minute int) time.Time { return time.Date(2026, 3, 29, 1, minute, 0, 123000000, time.UTC) }

var check = reconcile.Check{
	Name: "web <&>", Kind: reconcile.CheckHTTP, Required: true, Within: time.Minute, Interval: 5 * time.Second,
	Timeout: 3 * time.Second, Successes: 2, Unit: "nginx.service", Target: "http://[::1]:80/?a=1&b=2", Status: 204,
	Contains: "ok\u2028", Command: []string{"/bin/true", "--all"},
	Server: "127.0.0.1:53", Answer: "192.0.2.1", Path: "/srv/ä", MaxAge: time.Hour, Later: map[string]json.RawMessage{"later": json.RawMessage(`"x"`)},
}

var care = reconcile.Care{Rollback: reconcile.RollbackNever, Drain: [][]string{{"/bin/drain"}}, Undrain: [][]string{{"/bin/undrain"}}, Judged: "5f"}

var deployment = reconcile.Deployment{
	ID: "20260329T010000", Purpose: reconcile.PurposeRollback,
	Old: reconcile.System{Toplevel: topA, Revision: revA, Checks: []reconcile.Check{check}, Care: care, Retires: true},
	New: reconcile.System{Toplevel: topB, Revision: revB, Checks: []reconcile.Check{check}, Care: care, Retires: true}, Boot: "7f1c1d3e-boot",
	Started: clock(1), Asleep: 5 * time.Minute, Rollback: reconcile.RollbackHold,
	Drain: [][]string{{"/bin/drain", "a b"}}, Undrain: [][]string{{"/bin/undrain"}}, Subject: "dns: ä", Took: reconcile.Times{"build": time.Minute},
	Recovery: reconcile.Recovery{Switch: 10 * time.Minute, Verify: 3 * time.Minute, LastResort: reconcile.LastResortReboot},
	Confirm: reconcile.Confirm{
		Settle: 10 * time.Second, Window: time.Minute, Deadline: 10 * time.Minute, DeadlineMax: time.Hour,
		Targets: []string{"git.example.org:443"}, IgnoreUnits: []string{"podman-*.service"},
	},
}

var trial = reconcile.Trial{Deployment: deployment, Baseline: reconcile.Baseline{
	Failed: []string{"old.service"}, Restarting: []string{"getty.service"}, Active: []string{"sshd.service"},
	Checks: map[string]bool{"web <&>": true}, Targets: []string{"git.example.org:443"}, Print: "sha256", Nix: "sha256 too",
}}

var cause = reconcile.Cause{Reason: reconcile.ReasonUnit, Why: `unit "nginx.service" failed`, Outside: true, OfRevision: true}

// phases holds every phase, with everything set.
var phases = []reconcile.Phase{
	reconcile.Idle{},
	reconcile.Arming{Trial: trial, Measured: true},
	reconcile.Activating{Trial: trial, Attempt: 2, Since: 90 * time.Second},
	reconcile.Confirming{Trial: trial, Since: 91 * time.Second, Until: 691 * time.Second, Approved: true, Held: "check web is red", Flaw: cause},
	reconcile.Promoting{Trial: trial, Try: 3, Flaw: cause},
	reconcile.RollingBack{Trial: trial, Cause: cause, Attempt: 2, Promoted: true},
	reconcile.VerifyingRollback{Trial: trial, Cause: cause, Boot: "another-boot", Since: 5 * time.Second},
	reconcile.RebootingBack{Trial: trial, Cause: cause, Since: 100 * time.Second},
	reconcile.Stuck{Trial: trial, Cause: cause},
}

// full returns a record in phase p with everything set that is kept on disk.
func full(p reconcile.Phase) reconcile.Record {
	return reconcile.Record{
		Anchor: revB, Accepted: []reconcile.Commit{revA, revB}, Heights: map[reconcile.Commit]int{revB: 3}, Rewind: revA, Back: topA, Retiring: true, Tested: []reconcile.Commit{revB}, Good: deployment.Old, Previous: deployment.New, Phase: p,
		Pins:     []reconcile.Pin{{Toplevel: topA, At: clock(20)}},
		Blocked:  map[reconcile.Toplevel]reconcile.Block{topB: {Cause: cause, Revision: revB, At: clock(2), UntilPoll: true, Judged: "5f"}},
		Losses:   map[reconcile.Toplevel]int{topB: 1},
		Failures: map[reconcile.FailureKey]reconcile.Failure{{Kind: reconcile.FailedRevision, Of: string(revB)}: {Gate: reconcile.GateBuild, Why: "no", Tries: 3, At: clock(3), Since: clock(18), After: clock(4)}},
		Owed: []reconcile.Debt{{
			Kind: reconcile.DebtUndrain, Commands: [][]string{{"/bin/undrain"}}, System: topA, Since: clock(15), Tries: 1, Tried: clock(16), Why: "exit status 1", After: clock(17),
		}},
		Suspended: reconcile.Suspension{Reason: "the database moves", Since: clock(5), Until: clock(18)},
		Foreign:   reconcile.Foreign{Tip: revA, Accepted: reconcile.Slots{Running: topA, Profile: topB, Default: topB}},
		Tally: reconcile.Tally{
			Deployments:    map[reconcile.Result]int{reconcile.ResultPromoted: 7},
			LastDeployment: map[reconcile.Result]time.Time{reconcile.ResultPromoted: clock(6)},
			Rollbacks:      map[reconcile.Reason]int{reconcile.ReasonUnit: 2}, LastRollback: clock(7), Consecutive: 1, RollbackFailed: true,
			Verifications: map[reconcile.Verdict]int{reconcile.VerdictGood: 5},
			Audits:        map[reconcile.AuditResult]int{reconcile.AuditSame: 6},
			Entered:       clock(8), OutOfSync: clock(9), LastPollOK: clock(10),
			Marks:       map[reconcile.Stage]reconcile.Mark{reconcile.StageGood: {Revision: revA, Time: clock(11), Reached: clock(12)}},
			RebootSince: clock(20), Took: reconcile.Times{"build": 90 * time.Second}, Spent: reconcile.Times{"activate": 3 * time.Second},
			Durations: map[string]reconcile.Durations{"build": {Sum: 90 * time.Second, Buckets: map[int]int{26: 1}}},
		},
		History: []reconcile.Outcome{{
			ID: "20260328T010000", Result: reconcile.ResultRolledBack, Cause: cause, Revision: revB, Subject: "dns: ä",
			From: topA, To: topB, Started: clock(13), Ended: clock(14), Took: reconcile.Times{"confirm": time.Minute},
		}},
		Observed: []reconcile.Observed{{Revision: revA, System: topA, Cause: cause, At: clock(19)}},
	}
}

// A new field of the record or of a phase must be added above.
func TestFixturesLeaveNothingOut(t *testing.T) {
	for _, p := range phases {
		set(t, reflect.ValueOf(p), reflect.TypeOf(p).Name())
	}
	set(t, reflect.ValueOf(full(reconcile.Idle{})), "Record", "Phase", "Work", "Unreadable")
}

// set fails for every field below v that is zero.
func set(t *testing.T, v reflect.Value, path string, skip ...string) {
	t.Helper()
	if _, isTime := v.Interface().(time.Time); v.Kind() == reflect.Struct && !isTime {
	fields:
		for i := range v.NumField() {
			name := v.Type().Field(i).Name
			for _, s := range skip {
				if s == name {
					continue fields
				}
			}
			set(t, v.Field(i), path+"."+name)
		}
		return
	}
	switch {
	case v.IsZero():
		t.Errorf("%s is not set in the fixtures", path)
	case v.Kind() == reflect.Map:
		for _, key := range v.MapKeys() {
			set(t, v.MapIndex(key), path+"["+key.String()+"]")
		}
	case v.Kind() == reflect.Slice:
		set(t, v.Index(0), path+"[0]")
	}
}
