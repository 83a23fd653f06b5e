package source

import (
	"path/filepath"
	"runtime"
	"testing"
)

// What a fetch may cost on a repository of 20,000 commits and 3,000 files with
// 6 MB of content that does not compress.
const (
	maxFirstFetch = 7 << 20  // bytes, both ways
	maxUpdate     = 10_000   // bytes, both ways, of one new commit
	maxAnonymous  = 12 << 10 // KiB of the fetch's process
	maxVerify     = 8 << 20  // bytes that the agent allocates, and frees, to hash 3,000 files
)

func TestCostOfFetches(t *testing.T) {
	c := newCourse(t)
	dir := t.TempDir()
	pid := filepath.Join(dir, "pid")
	f := c.fetcher(filepath.Join(dir, "own"), "/bin/sh", "-c", "echo $$ >"+pid+"; exec "+static(t))
	get := func(req Request) (bytes int64, anonymous int) {
		t.Helper()
		req.Remote = "origin"
		bytes = c.bytes(func() {
			anonymous = peak(pid, func() {
				if _, err := f.Fetch(t.Context(), req); err != nil {
					t.Fatal(err)
				}
			})
		})
		return bytes, anonymous
	}
	bytes, anonymous := get(Request{Tip: c.commits[0]})
	t.Logf("first fetch: %d bytes, %d KiB of memory", bytes, anonymous)
	if bytes > maxFirstFetch {
		t.Errorf("the first fetch costs %d bytes, want at most %d", bytes, maxFirstFetch)
	}
	if anonymous > maxAnonymous || anonymous == 0 {
		t.Errorf("the first fetch takes %d KiB of memory, want at most %d", anonymous, maxAnonymous)
	}
	bytes, anonymous = get(Request{Tip: c.to(t, 1), Anchor: c.commits[0]})
	t.Logf("one new commit: %d bytes, %d KiB of memory", bytes, anonymous)
	if bytes > maxUpdate {
		t.Errorf("one new commit costs %d bytes, want at most %d", bytes, maxUpdate)
	}
	if anonymous > maxAnonymous || anonymous == 0 {
		t.Errorf("one new commit takes %d KiB of memory, want at most %d", anonymous, maxAnonymous)
	}
}

func TestCostOfAVerification(t *testing.T) {
	c := newCourse(t)
	f := c.fetcher(t.TempDir(), static(t))
	got, err := f.Fetch(t.Context(), Request{Remote: "origin", Tip: c.commits[0]})
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if err := f.Verify(got, got.Tree); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if bytes := after.TotalAlloc - before.TotalAlloc; bytes > maxVerify {
		t.Errorf("it allocates %d bytes, want at most %d", bytes, maxVerify)
	}
}
