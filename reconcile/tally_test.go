package reconcile

import (
	"maps"
	"testing"
	"time"
)

// What a stage was reached at is told as long as the revision stays there, however often it is looked at.
func TestAMarkStays(t *testing.T) {
	date, at := time.Unix(100, 0), func(s int64) time.Time { return time.Unix(1000+s, 0) }
	r := New()
	for i, step := range []struct {
		rev  Revision
		at   time.Time
		want Mark
	}{
		{Revision{Commit: "c1"}, at(1), Mark{Revision: "c1", Reached: at(1)}},
		{Revision{Commit: "c1"}, at(2), Mark{Revision: "c1", Reached: at(1)}}, // a poll after a restart
		{Revision{Commit: "c1", Time: date}, at(3), Mark{Revision: "c1", Time: date, Reached: at(1)}},
		{Revision{Commit: "c1"}, at(4), Mark{Revision: "c1", Time: date, Reached: at(1)}},
		{Revision{Commit: "c2"}, at(5), Mark{Revision: "c2", Reached: at(5)}},
		{Revision{Commit: "c1", Time: date}, at(6), Mark{Revision: "c1", Time: date, Reached: at(6)}}, // back
	} {
		r = mark(r, StageSeen, step.rev, step.at)
		if got := r.Tally.Marks[StageSeen]; got != step.want {
			t.Errorf("step %d: the mark is %+v, want %+v", i+1, got, step.want)
		}
	}
}

// Bounds of buckets as Prometheus has them: its schema 2 ends one at each 2^(i/4) seconds.
func TestDurationsAreCountedInPrometheusBuckets(t *testing.T) {
	for d, bucket := range map[time.Duration]int{
		time.Second: 0, time.Second + 1: 1, 1189 * time.Millisecond: 1, 1190 * time.Millisecond: 2, 2 * time.Second: 4, 2001 * time.Millisecond: 5, 500 * time.Millisecond: -4,
		90 * time.Second: 26, 0: -39, -time.Second: -39, time.Millisecond: -39, 48 * time.Hour: 70, 300 * time.Hour: 70,
	} {
		if got := (Durations{}).with(d).Buckets; len(got) != 1 || got[bucket] != 1 {
			t.Errorf("%v is counted in %v, want bucket %d", d, got, bucket)
		}
	}
	d := Durations{}.with(time.Second).with(3 * time.Second).with(time.Second)
	if d.Count() != 3 || d.Sum != 5*time.Second {
		t.Errorf("1 s, 3 s and 1 s are %d runs of %v", d.Count(), d.Sum)
	}
}

// What a deployment took is what was spent on its commit and on its trial, and nothing of another one's.
func TestADeploymentTellsWhatItTook(t *testing.T) {
	s := time.Second
	at := func(n int) time.Time { return time.Unix(int64(n), 0) }
	fetched := Fetched{Purpose: PurposeBranch, Revision: Revision{Commit: "c1", Subject: "web: more"}, Took: Times{"verify": s}}
	r := New()
	r.Anchor = "c0"
	r.Tally.Spent = Times{"promote": 99 * s} // of the one before
	r = Fold(r, Advanced{Job: Fetch{Tip: Tip{Commit: "c1"}}, Step: fetched, Took: 3 * s})
	r = Fold(r, Advanced{Job: Resolve{}, Step: Resolved{Fetched: r.Work.Steps[PurposeBranch].fetched()}, Took: s})
	r = Fold(r, Advanced{Job: Evaluate{}, Step: Evaluated{Resolved: r.Work.Steps[PurposeBranch].(Resolved), Toplevel: "B"}, Took: 10 * s})
	built := Built{r.Work.Steps[PurposeBranch].(Evaluated)}
	r = Fold(r, Advanced{Job: Build{}, Step: built, Took: 60 * s})
	r = Fold(r, Advanced{Job: Build{}, Step: r.Work.Steps[PurposeBranch], Took: s}) // once more, after a trial of the testing branch
	ready := Ready{Built: r.Work.Steps[PurposeBranch].(Built)}
	trial := Trial{Deployment: Deployment{ID: "d", New: System{Toplevel: "B", Revision: "c1"}, Subject: ready.Revision.Subject, Took: ready.Took}}

	r = Fold(r, Entered{Phase: Arming{Trial: trial}, At: at(0)})
	r = Fold(r, Entered{Phase: Activating{Trial: trial}, At: at(1)})
	r = Fold(r, Activated{Took: 4 * s})
	r = Fold(r, Entered{Phase: Confirming{Trial: trial, Until: 1}, At: at(10)})
	r = Fold(r, Entered{Phase: Confirming{Trial: trial, Until: 2}, At: at(20)}) // a person extends it
	red := r
	r = Fold(r, Entered{Phase: Promoting{Trial: trial}, At: at(70)})
	r = Fold(r, Done{Job: Promote{}, Took: 2 * s})
	r = Fold(r, Promoted{At: at(80)})
	want := Times{"fetch": 2 * s, "verify": s, "evaluate": 10 * s, "build": 61 * s, "activate": 4 * s, "confirm": 60 * s, "promote": 2 * s}
	if got := r.History[0]; !maps.Equal(got.Took, want) || got.Subject != "web: more" {
		t.Errorf("the deployment of %q took %v, want %v", got.Subject, got.Took, want)
	}
	for phase, d := range map[string]time.Duration{"verify": s, "fetch": 2 * s, "build": s, "confirm": 60 * s} {
		if r.Tally.Took[phase] != d {
			t.Errorf("the last %s took %v, want %v", phase, r.Tally.Took[phase], d)
		}
	}
	if d := r.Tally.Durations["build"]; d.Count() != 2 || d.Sum != 61*s {
		t.Errorf("the builds were %+v", d)
	}

	red = Fold(red, Entered{Phase: RollingBack{Trial: trial}, At: at(15)})
	red = Fold(red, Activated{Took: 5 * s})
	red = Fold(red, Entered{Phase: VerifyingRollback{Trial: trial}, At: at(30)})
	red = Fold(red, RolledBack{At: at(31)})
	want = Times{"fetch": 2 * s, "verify": s, "evaluate": 10 * s, "build": 61 * s, "activate": 4 * s, "confirm": 5 * s, "goback": 5 * s}
	if got := red.History[0].Took; !maps.Equal(got, want) {
		t.Errorf("the one that was rolled back took %v, want %v", got, want)
	}
	if _, told := red.Tally.Took["confirm"]; told {
		t.Error("a confirmation that did not end well is told as the last one")
	}
}

func TestSinceWhenARebootIsRequired(t *testing.T) {
	r := New()
	for i, step := range []struct {
		is        bool
		now, want int64
	}{{true, 10, 10}, {true, 20, 10}, {false, 30, 0}, {true, 40, 40}} {
		r = RebootRequired(r, step.is, time.Unix(step.now, 0))
		if got := r.Tally.RebootSince; step.want == 0 != got.IsZero() || step.want != 0 && got.Unix() != step.want {
			t.Errorf("step %d: since %v, want %d", i+1, got, step.want)
		}
	}
}
