package reconcile

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// What failed is remembered, so that the same thing is not tried again too soon.

// memories says for each kind of failure how long the pauses are after which it is tried
// again, where that can help, and which events besides "retry" make the node forget it.
var memories = map[FailureKind]struct {
	pauses []time.Duration
	reload bool // the settings were changed: how to fetch and to build is a setting
	sync   bool // a person asked to look again now
}{
	FailedFetch:      {pauses: evaluateBackoff, reload: true, sync: true},
	FailedRevision:   {pauses: evaluateBackoff, reload: true},
	FailedManifest:   {pauses: manifestBackoff, reload: true, sync: true},
	FailedDerivation: {pauses: buildBackoff, reload: true},
	FailedToplevel:   {pauses: preflightBackoff, sync: true},
	FailedTrial:      {pauses: buildBackoff, sync: true},
}

// What failed for the moment is tried again after these; the last one repeats.
var (
	jobBackoff       = []time.Duration{time.Second, 2 * time.Second, 5 * time.Second, 15 * time.Second, 30 * time.Second, time.Minute}
	promoteBackoff   = []time.Duration{5 * time.Second, 30 * time.Second}
	evaluateBackoff  = []time.Duration{time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 30 * time.Minute, time.Hour}
	preflightBackoff = []time.Duration{time.Minute}
	manifestBackoff  = []time.Duration{15 * time.Second, 15 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute}
	buildBackoff     = []time.Duration{
		time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour, 6 * time.Hour,
	}
)

// rejected remembers a failure that trying again cannot mend.
func rejected(r Record, key FailureKey, gate Gate, why string, at time.Time) Record {
	return remember(r, key, Failure{Gate: gate, Why: why, At: at})
}

// postponed remembers a failure that may pass.
func postponed(r Record, key FailureKey, gate Gate, why string, at time.Time, spread float64) Record {
	p := pause(at, memories[key.Kind].pauses, r.Failures[key].Tries+1, spread)
	return remember(r, key, Failure{Gate: gate, Why: why, At: at, After: p.Until})
}

// remember adds f, and forgets the oldest failures beyond the limit.
func remember(r Record, key FailureKey, f Failure) Record {
	before := r.Failures[key]
	f.Tries, f.Since = before.Tries+1, before.Since
	if before.Tries > 0 && f.Since.IsZero() {
		f.Since = before.At
	}
	all := with(r.Failures, key, f)
	for len(all) > keepFailures {
		delete(all, slices.MinFunc(slices.Collect(maps.Keys(all)), func(a, b FailureKey) int {
			if c := all[a].At.Compare(all[b].At); c != 0 {
				return c
			}
			return strings.Compare(a.String(), b.String())
		}))
	}
	r.Failures = all
	return r
}

// forget drops the failures that are no reason any more.
func forget(r Record, is func(FailureKey, Failure) bool) Record {
	r.Failures = without(r.Failures, is)
	return r
}
