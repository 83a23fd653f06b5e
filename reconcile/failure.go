package reconcile

import (
	"strings"
	"time"
)

// A FailureKind says what failed.
type FailureKind string

// The kinds of failures.
const (
	FailedFetch      FailureKind = "fetch"      // of a commit from a remote
	FailedRevision   FailureKind = "revision"   // it is refused, or its registry or configuration is wrong
	FailedManifest   FailureKind = "manifest"   // of a commit: there is none that counts, or what it names cannot be had
	FailedDerivation FailureKind = "derivation" // it does not build
	FailedToplevel   FailureKind = "toplevel"   // preflight found an obstacle
	FailedTrial      FailureKind = "trial"      // of a toplevel, for a reason outside of it
)

// A FailureKey names what failed.
type FailureKey struct {
	Kind FailureKind
	Of   string // a commit, with the remote of a fetch after it, a derivation or a toplevel
}

func fetchKey(c Commit, remote string) FailureKey {
	return FailureKey{FailedFetch, string(c) + " " + remote}
}

func revisionKey(c Commit) FailureKey { return FailureKey{FailedRevision, string(c)} }

func manifestKey(c Commit) FailureKey { return FailureKey{FailedManifest, string(c)} }

func derivationKey(d Derivation) FailureKey { return FailureKey{FailedDerivation, string(d)} }

func toplevelKey(t Toplevel) FailureKey { return FailureKey{FailedToplevel, string(t)} }

func trialKey(t Toplevel) FailureKey { return FailureKey{FailedTrial, string(t)} }

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
	Since time.Time `json:"since,omitzero"` // of the first of these tries; zero: of this one
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
