package reconcile

import "testing"

// A held node is behind by all that was accepted since its good revision, however many
// fetches that took.
func TestBehindCountsFromTheGoodRevision(t *testing.T) {
	r := New()
	accept := func(c Commit, commits int) {
		fetch := Fetch{Tip: Tip{Commit: c}, Purpose: PurposeBranch}
		r = Fold(r, Advanced{Job: fetch, Step: Fetched{Revision: Revision{Commit: c}, Behind: commits, Purpose: PurposeBranch}})
	}
	accept("c1", 0)
	r.Good.Revision = "c1"
	accept("c3", 2)
	accept("c3", 2) // fetched once more after a restart
	accept("c6", 3)
	if got := r.Behind(); got != 5 {
		t.Errorf("behind by %d, want 5", got)
	}
	r.Good.Revision = "c6"
	if got := r.Behind(); got != 0 {
		t.Errorf("in sync, and behind by %d", got)
	}
	r.Good.Revision = "adopted"
	if got := r.Behind(); got != 0 {
		t.Errorf("behind an unknown revision by %d, want 0", got)
	}
}
