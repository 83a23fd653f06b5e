//go:build !race

package source

import "testing"

// maxStore is how many times its first size the store may have after 500 updates.
const maxStore = 3

// It counts bytes, for which the race detector would take six times as long.
func TestStoreStaysSmall(t *testing.T) {
	c := newCourse(t)
	dir := t.TempDir()
	var first, most int64
	for i := range c.commits {
		j := job{Remote: c.remote, Branches: onMain, Dir: dir, Limits: c.fetcher(dir).opts.Limits, Tip: c.to(t, i)}
		if i > 0 {
			j.Anchor = c.commits[i-1]
		}
		c.update(t, j) // without writing the tree, which takes a hundred times as long
		now := size(t, j.store())
		if i == 0 {
			first = now
		}
		most = max(most, now)
	}
	t.Logf("the store has %d bytes at first, %d at most in %d updates", first, most, len(c.commits)-1)
	if most > maxStore*first {
		t.Errorf("the store has grown to %d bytes, want at most %d times its first %d", most, maxStore, first)
	}
}

// update does with the store what a fetch does.
func (c *course) update(t *testing.T, j job) {
	t.Helper()
	s, err := openStore(j.store())
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	r := remote{job: j}
	defer r.close()
	if err := r.bring(t.Context(), s, hash(j.Tip), hash(j.Anchor)); err != nil {
		t.Fatal(err)
	}
	s.compact(hash(j.Tip))
}
