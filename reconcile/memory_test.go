package reconcile

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"
)

// A pause never counts as the trace of a clock that was set back, however long it is, and
// one that such a clock leaves behind ends at once.
func TestPauseLasts(t *testing.T) {
	begin := time.Unix(1e9, 0)
	for _, tt := range []struct {
		now  time.Duration
		want bool
	}{{0, true}, {time.Hour, true}, {6 * time.Hour, false}, {-time.Second, false}} {
		if got := (Pause{begin, begin.Add(6 * time.Hour)}).lasts(begin.Add(tt.now)); got != tt.want {
			t.Errorf("%v after its beginning: it lasts is %v, want %v", tt.now, got, tt.want)
		}
	}
}

func TestPausesNeverShrink(t *testing.T) {
	all := map[string][]time.Duration{"job": jobBackoff, "debt": debtBackoff}
	for kind, m := range memories {
		all[string(kind)] = m.pauses
	}
	at := time.Unix(1e9, 0)
	for name, steps := range all {
		last := time.Duration(0)
		for tries := 1; tries < 20; tries++ {
			got := pause(at, steps, tries, 1).Until.Sub(at)
			if got < last || got <= 0 {
				t.Errorf("%s: a pause of %v after one of %v", name, got, last)
			}
			last = got
		}
		if half := pause(at, steps, 1, 0.5).Until.Sub(at); half*2 != steps[0] {
			t.Errorf("%s: with a spread of 0.5 %v, want half of %v", name, half, steps[0])
		}
	}
}

// What is forgotten when; "retry" forgets everything.
func TestWhatIsForgotten(t *testing.T) {
	const c, other Commit = "1111111111111111111111111111111111111111", "2222222222222222222222222222222222222222"
	all := []FailureKey{fetchKey(c, "a"), fetchKey(other, "a"), revisionKey(c), revisionKey(other), derivationKey("d"), toplevelKey("t"), trialKey("t")}
	for _, tt := range []struct {
		event Event
		left  []FailureKey
	}{
		{Reloaded{}, []FailureKey{toplevelKey("t"), trialKey("t")}},
		{Synced{}, []FailureKey{revisionKey(c), revisionKey(other), derivationKey("d")}},
		{Rewound{To: c}, []FailureKey{fetchKey(other, "a"), revisionKey(other), derivationKey("d"), toplevelKey("t"), trialKey("t")}},
		{Retried{}, nil},
	} {
		r := New()
		for _, key := range all {
			r = rejected(r, key, GateBuild, "", time.Unix(1e9, 0))
		}
		r = Fold(r, tt.event)
		want := map[FailureKey]bool{}
		for _, key := range tt.left {
			want[key] = true
		}
		for _, key := range all {
			if _, kept := r.Failures[key]; kept != want[key] {
				t.Errorf("%T: %v is kept: %v", tt.event, key, kept)
			}
		}
	}
}

func TestOldestFailuresAreForgotten(t *testing.T) {
	r := New()
	for i := range keepFailures + 2 {
		r = rejected(r, revisionKey(Commit(fmt.Sprint(i))), GateBuild, "", time.Unix(int64(1e9+i), 0))
	}
	_, first := r.Failures[revisionKey("1")]
	_, second := r.Failures[revisionKey("2")]
	if len(r.Failures) != keepFailures || first || !second {
		t.Errorf("%d are kept; 1 is %v, 2 is %v", len(r.Failures), first, second)
	}
}

// The record of a newer agent may name failures that this one does not know.
func TestFailureKeysAreWrittenAndRead(t *testing.T) {
	const text = `{"fetch c a":{"gate":"source","why":"","tries":1,"at":"2026-01-02T03:04:05Z"},"omen of it":{"gate":"build","why":"","tries":2,"at":"2026-01-02T03:04:05Z"}}`
	var m map[FailureKey]Failure
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		t.Fatal(err)
	}
	if m[fetchKey("c", "a")].Tries != 1 || m[FailureKey{"omen", "of it"}].Tries != 2 {
		t.Errorf("got %v", m)
	}
	if again, err := json.Marshal(m); err != nil || string(again) != text {
		t.Errorf("got %s, %v", again, err)
	}
}

// What is built for the branch has one root: the build of another commit takes it, and what was
// built before may be collected as garbage.
func TestABuildTakesTheRootOfTheOneBefore(t *testing.T) {
	built := func(c Commit, top Toplevel) Built {
		var b Built
		b.Purpose, b.Revision.Commit, b.Toplevel = PurposeBranch, c, top
		return b
	}
	for _, tip := range []Commit{"c5", "c6", "c7"} { // where the branch is meanwhile
		r := New()
		r.Good.Revision, r.Accepted, r.Work.Tip.Commit = "c0", []Commit{"c0", "c5", "c6"}, tip
		r.Work.Steps = map[Purpose]Step{PurposeBranch: Fetched{Revision: Revision{Commit: "c6"}, Purpose: PurposeBranch}, PurposeEarlier: built("c5", "S5")}
		if r = Fold(r, Advanced{Job: Build{}, Step: built("c6", "S6")}); isBuilt(r.Work.Steps[PurposeEarlier]) {
			t.Errorf("the branch at %s: what was built of c5 counts as built", tip)
		}
		if r = Fold(r, Advanced{Job: Build{}, Step: built("c5", "S5")}); !isBuilt(r.Work.Steps[PurposeEarlier]) || isBuilt(r.Work.Steps[PurposeBranch]) {
			t.Errorf("the branch at %s: built again, c5 is %T, and c6 %T", tip, r.Work.Steps[PurposeEarlier], r.Work.Steps[PurposeBranch])
		}
	}
}
