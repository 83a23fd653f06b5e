package source

import (
	"strings"
	"testing"
	"time"
)

// A limit below what the repository has already is shown to be one in the trial of the commit that sets it, and not when a
// later commit needs the whole.
func TestAProofKnowsTheLimitOfAFetch(t *testing.T) {
	w := newWorld(t)
	w.write("base", random(3<<20))
	tip := w.pushed("a", "1")
	w.follow(Remote{Name: "origin", URL: w.url, Timeout: time.Minute}, Limits{TreeBytes: 64 << 20, TreeEntries: 1000, FetchBytes: 8 << 20})
	w.mustFetch(tip, "")
	prove := func() error {
		_, err := w.fetcher.Fetch(t.Context(), Request{Remote: "origin", Tip: tip, Anchor: tip, Prove: true})
		return err
	}
	if err := prove(); err != nil {
		t.Errorf("with the limit of before: %v", err)
	}
	w.fetcher.opts.Limits.FetchBytes = 1 << 20
	if err := prove(); err == nil || !strings.Contains(err.Error(), "sends more than 1048576 bytes") {
		t.Errorf("with a limit below what there is: %v", err)
	}
	w.fetcher.opts.Limits.FetchBytes = 8 << 20
	if err := prove(); err != nil {
		t.Errorf("back again: %v", err)
	}
}
