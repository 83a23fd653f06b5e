package reconcile

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// What failed is remembered, so that the same thing is not tried again too soon.

// A FailureKind says what failed.
type FailureKind string

// The kinds of failures.
const (
	FailedFetch      FailureKind = "fetch"      // of a commit from a remote
	FailedRevision   FailureKind = "revision"   // it is refused, or its registry or configuration is wrong
	FailedDerivation FailureKind = "derivation" // it does not build
	FailedToplevel   FailureKind = "toplevel"   // preflight found an obstacle
	FailedTrial      FailureKind = "trial"      // of a toplevel, for a reason outside of it
)

// memories says for each kind of failure how long the pauses are after which it is tried
// again, where that can help, and which events besides "retry" make the node forget it.
var memories = map[FailureKind]struct {
	pauses []time.Duration
	reload bool // the settings were changed: how to fetch and to build is a setting
	sync   bool // a person asked to look again now
}{
	FailedFetch:      {pauses: evaluateBackoff, reload: true, sync: true},
	FailedRevision:   {pauses: evaluateBackoff, reload: true},
	FailedDerivation: {pauses: buildBackoff, reload: true},
	FailedToplevel:   {pauses: preflightBackoff, sync: true},
	FailedTrial:      {pauses: buildBackoff, sync: true},
}

// What failed for the moment is tried again after these; the last one repeats.
var (
	jobBackoff       = []time.Duration{time.Second, 2 * time.Second, 5 * time.Second, 15 * time.Second, 30 * time.Second, time.Minute}
	evaluateBackoff  = []time.Duration{time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 30 * time.Minute, time.Hour}
	preflightBackoff = []time.Duration{time.Minute}
	buildBackoff     = []time.Duration{
		time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour, 6 * time.Hour,
	}
)

// A FailureKey names what failed.
type FailureKey struct {
	Kind FailureKind
	Of   string // a commit, with the remote of a fetch after it, a derivation or a toplevel
}

func fetchKey(c Commit, remote string) FailureKey {
	return FailureKey{FailedFetch, string(c) + " " + remote}
}
func revisionKey(c Commit) FailureKey       { return FailureKey{FailedRevision, string(c)} }
func derivationKey(d Derivation) FailureKey { return FailureKey{FailedDerivation, string(d)} }
func toplevelKey(t Toplevel) FailureKey     { return FailureKey{FailedToplevel, string(t)} }
func trialKey(t Toplevel) FailureKey        { return FailureKey{FailedTrial, string(t)} }

func (k FailureKey) String() string { return string(k.Kind) + " " + k.Of }

// MarshalText writes the kind, and what it is about.
func (k FailureKey) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads what MarshalText wrote. A kind that only a newer agent knows is kept.
func (k *FailureKey) UnmarshalText(text []byte) error {
	kind, of, _ := strings.Cut(string(text), " ")
	k.Kind, k.Of = FailureKind(kind), of
	return nil
}

// A Failure is remembered so that the same thing is not tried too soon.
type Failure struct {
	Gate  Gate      `json:"gate"`
	Why   string    `json:"why"`
	Tries int       `json:"tries"`
	At    time.Time `json:"at"`
	// After is when to try again; zero: not before the tip moves, or a person says retry.
	After time.Time `json:"after,omitzero"`
}

// holds reports whether it is not to be tried again yet.
func (f Failure) holds(now time.Time) bool {
	return f.After.IsZero() || Pause{f.At, f.After}.lasts(now)
}

// A Pause is a time in which something is not tried again.
type Pause struct{ From, Until time.Time }

// pause returns the pause after so many failures in a row.
func pause(at time.Time, steps []time.Duration, tries int, spread float64) Pause {
	return Pause{at, at.Add(time.Duration(float64(steps[min(tries, len(steps))-1]) * spread))}
}

// lasts reports whether p is not over. A clock that stands before its beginning was set
// back: then it is over, however long it was.
func (p Pause) lasts(now time.Time) bool { return !now.Before(p.From) && now.Before(p.Until) }

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
	f.Tries = r.Failures[key].Tries + 1
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
