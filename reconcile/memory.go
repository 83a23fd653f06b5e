package reconcile

import "time"

// waiting reports whether a wait that began at from lasts at now. A clock that stands
// before its beginning was set back: then the wait is over, however long it was.
func waiting(from, until, now time.Time) bool {
	return !now.Before(from) && now.Before(until)
}
