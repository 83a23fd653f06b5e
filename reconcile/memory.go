package reconcile

import "time"

// waiting reports whether a wait that began at from lasts at now. A clock that stands
// before its beginning was set back: then the wait is over, however long it was.
func waiting(from, until, now time.Time) bool {
	return !now.Before(from) && now.Before(until)
}

// Keys of what failed: a word that says of what, and its name.
func fetchKey(c Commit, remote string) string { return "fetch " + string(c) + " " + remote }
func revisionKey(c Commit) string             { return "revision " + string(c) }
func derivationKey(d Derivation) string       { return "derivation " + string(d) }
func toplevelKey(t Toplevel) string           { return "toplevel " + string(t) }
func trialKey(t Toplevel) string              { return "trial " + string(t) } // it outlives preflight
