package reconcile

import "time"

// A Window is a time of the week in which systems may be activated.
type Window struct {
	Text string        // as it was written
	Days [7]bool       // by [time.Weekday]: it begins on these
	From time.Duration // since midnight
	To   time.Duration // since midnight; not after From: on the day after
	Zone *time.Location
}

// MarshalText writes the window as it was written.
func (w Window) MarshalText() ([]byte, error) { return []byte(w.Text), nil }

// on returns the window that begins on the day of t, which is in its zone. Hours
// are those of the clock on the wall, whatever daylight saving does to the day.
func (w Window) on(t time.Time) (from, to time.Time) {
	clock := func(days int, since time.Duration) time.Time {
		return time.Date(t.Year(), t.Month(), t.Day()+days, 0, int(since/time.Minute), 0, 0, w.Zone)
	}
	if w.To <= w.From {
		return clock(0, w.From), clock(1, w.To)
	}
	return clock(0, w.From), clock(0, w.To)
}

// opens returns when the next of some windows opens: now, if one is open. Without
// windows it is always now.
func opens(windows []Window, now time.Time) time.Time {
	next := time.Time{}
	for _, w := range windows {
		today := now.In(w.Zone)
		for days := -1; days <= 7; days++ { // one of yesterday may still be open
			day := today.AddDate(0, 0, days)
			from, to := w.on(day)
			if !w.Days[day.Weekday()] || !to.After(now) || !to.After(from) { // the clock may skip all of it
				continue
			}
			if !from.After(now) {
				return now
			}
			if next.IsZero() || from.Before(next) {
				next = from
			}
		}
	}
	if next.IsZero() {
		return now
	}
	return next
}
