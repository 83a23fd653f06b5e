package reconcile

import (
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
