package reconcile

import (
	"strings"
	"testing"
	"time"
)

// What a trial shows of following is shown in order, up to the first step that is not there. A
// fetch verifies as well: what it refuses has been fetched.
func TestStepsOfFollowing(t *testing.T) {
	p := Confirming{Trial: Trial{Deployment: Deployment{New: System{Toplevel: "B", Revision: "c1"}, Old: System{Revision: "c0"}}, Baseline: Baseline{Print: "old"}}}
	o := Observation{Now: time.Unix(100, 0), Uptime: 100 * time.Second, Following: FollowState{Print: "other"}}
	fetched := Fetched{Revision: Revision{Commit: "c1"}}
	resolved := Resolved{Fetched: fetched}
	answers := []Answer{{Remote: "lab", Commit: "c1", Anew: o.Now}}
	for _, c := range []struct {
		name    string
		remotes []Answer
		step    Step
		failed  *Failed
		want    string // the steps, the red one last and with a !
	}{
		{"nothing was heard yet", nil, nil, nil, "settings poll!"},
		{"a remote has answered", answers, nil, nil, "settings poll fetch!"},
		{"no connection for the fetch", answers, nil, &Failed{Job: Fetch{Tip: Tip{Commit: "c1"}, Purpose: PurposeFollow}, Why: "reset"}, "settings poll fetch!"},
		{"a signature by nobody who may", answers, nil, &Failed{Job: Fetch{Tip: Tip{Commit: "c1"}, Purpose: PurposeFollow}, Gate: GateUnverified, Why: "not allowed"}, "settings poll fetch verify!"},
		{"keys that are not there", answers, nil, &Failed{Job: Fetch{Tip: Tip{Commit: "c1"}, Purpose: PurposeFollow}, NoKeys: true, Why: "no such file"}, "settings poll fetch verify!"},
		{"fetched", answers, fetched, nil, "settings poll fetch verify registry!"},
		{"not in the registry", answers, fetched, &Failed{Job: Resolve{fetched}, Gate: GateIdentity, Why: "no web9"}, "settings poll fetch verify registry!"},
		{"found", answers, resolved, nil, "settings poll fetch verify registry evaluate!"},
		{"evaluated", answers, Evaluated{Resolved: resolved, Toplevel: "B"}, nil, "settings poll fetch verify registry evaluate"},
	} {
		r := New()
		r.Phase, r.Work.Remotes, r.Work.Following.Step = p, c.remotes, c.step
		if c.failed != nil {
			r = stepFailed(r, *c.failed)
		}
		results, got := Follow(r, o), ""
		for _, step := range []string{"settings", "poll", "fetch", "verify", "registry", "evaluate"} {
			if res, shown := results["follow: "+step]; shown {
				got += " " + step + map[bool]string{false: "!"}[res.OK]
				delete(results, "follow: "+step)
			}
		}
		if got = strings.TrimSpace(got); got != c.want || len(results) > 0 {
			t.Errorf("%s: got %q and %v, want %q", c.name, got, results, c.want)
		}
	}
}

// With a limit that this very activation would have passed, no later one would end in time, nor would the way back.
func TestALimitThatEndsEveryActivation(t *testing.T) {
	p := Confirming{Trial: Trial{Baseline: Baseline{Print: "old"}}}
	for limits, want := range map[Limits]bool{
		{Activate: time.Second, Rollback: time.Minute}:     true,
		{Activate: time.Minute, Rollback: time.Second}:     true,
		{Activate: 4 * time.Second, Rollback: time.Minute}: false,
		{Activate: time.Minute, Rollback: 4 * time.Second}: false,
	} {
		o := Observation{Now: time.Unix(100, 0), Uptime: 100 * time.Second, Following: FollowState{Print: "other"}, Policy: Policy{Limits: limits}}
		r := New()
		r.Phase, r.Tally.Spent = p, Times{"activate": 4 * time.Second}
		if got := follows(p, r, o); got.wrong != want {
			t.Errorf("with limits.activate = %v and limits.rollback = %v: %+v", limits.Activate, limits.Rollback, got)
		}
	}
}

// Where Nix's settings or limits are other ones, an answer from Nix's cache would be no proof.
func TestAProofEvaluatesAnewWhereNixChanged(t *testing.T) {
	p := Confirming{Trial: Trial{Deployment: Deployment{New: System{Toplevel: "B", Revision: "c1"}}, Baseline: Baseline{Print: "old", Nix: "old"}}}
	for nix, want := range map[string]bool{"old": false, "other": true} {
		o := Observation{Now: time.Unix(100, 0), Uptime: 100 * time.Second, Following: FollowState{Print: "other", Nix: nix}}
		r := New()
		r.Phase, r.Work.Remotes, r.Work.Following.Step = p, []Answer{{Remote: "lab", Commit: "c1", Anew: o.Now}}, Resolved{}
		if j, is := follows(p, r, o).job.(Evaluate); !is || j.Anew != want {
			t.Errorf("with %s: got %+v", nix, j)
		}
	}
}

// New settings judge the commit that brings them, and what comes after it: another policy of trust says nothing of commits
// that the node has accepted, nor does a rewind that a person allowed.
func TestAProofJudgesNoCommitBeforeItsOwn(t *testing.T) {
	p := Confirming{Trial: Trial{Deployment: Deployment{New: System{Toplevel: "B", Revision: "c1"}, Old: System{Revision: "c0"}}, Baseline: Baseline{Print: "old"}}}
	o := Observation{Now: time.Unix(100, 0), Uptime: 100 * time.Second, Following: FollowState{Print: "other"}}
	for _, tip := range []Commit{"c1", "c2"} {
		r := New()
		r.Phase, r.Work.Remotes = p, []Answer{{Remote: "lab", Commit: tip, Anew: o.Now}}
		fetch, is := follows(p, r, o).job.(Fetch)
		if !is || fetch.Tip.Commit != tip || fetch.Anchor != "c1" || fetch.Rewind != "" {
			t.Errorf("the branch is at %s: got %+v", tip, fetch)
		}
	}
}

// A full disk is no fault of the commit: the trial waits, and goes back without a block. What else
// fails then is counted from the start.
func TestAFullDiskIsNoFaultOfATrial(t *testing.T) {
	p := Confirming{Trial: Trial{Deployment: Deployment{New: System{Toplevel: "B", Revision: "c1"}, Old: System{Revision: "c0"}}, Baseline: Baseline{Print: "old"}}}
	o := Observation{Now: time.Unix(100, 0), Uptime: 100 * time.Second, Following: FollowState{Print: "other"}}
	r := New()
	r.Phase, r.Work.Remotes, r.Work.Following.Step = p, []Answer{{Remote: "lab", Commit: "c1", Anew: o.Now}}, Resolved{Fetched: Fetched{Revision: Revision{Commit: "c1"}}}
	failed := Failed{Job: Evaluate{}, Disk: true, Why: "no space left on device", At: o.Now}
	for range 2 * followFails {
		r = stepFailed(r, failed)
	}
	got := follows(p, r, o)
	if cause := got.cause(); got.wrong || !got.outage || !cause.Outside || !strings.Contains(cause.Why, "evaluate: no space left") {
		t.Errorf("with a full disk: %+v, %+v", got, got.cause())
	}
	failed.Disk = false
	for i := range followFails {
		if got = follows(p, r, o); got.wrong {
			t.Errorf("after %d other failures it is the commit's fault", i)
		}
		r = stepFailed(r, failed)
	}
	if got = follows(p, r, o); !got.wrong || got.cause().Outside {
		t.Errorf("after %d other failures: %+v, %+v", followFails, got, got.cause())
	}
}
