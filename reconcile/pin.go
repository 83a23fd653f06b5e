package reconcile

import (
	"fmt"
	"slices"
	"time"
)

// A pin names a system for this node, and no commit: it may be of the commit before the newest, or
// of one that nobody ever reviewed. So a node takes none that is older than the commit, or than the
// pin before it, and none that it had before; and while a commit has its system by a pin, it asks
// for the pin again and again: whoever makes pins may come to that commit later.

// A Pin is one that was accepted.
type Pin struct {
	Toplevel Toplevel  `json:"toplevel"`
	At       time.Time `json:"at"` // its own date
}

// Pins are what a pin is judged by.
type Pins struct {
	Last Pin        // accepted last; zero: none was
	Gone []Toplevel // accepted before it, and neither it nor what runs
}

// pinAhead is how far a pin may be dated in the future. Later ones have to be newer still, so one of
// next year would hold the node until then.
const pinAhead = 5 * time.Minute

// Accepts says why a pin does not name the system of a commit of that time; nil: it does.
func (p Pins) Accepts(pin Pin, commit, now time.Time) error {
	date := func(t time.Time) string { return t.UTC().Format(time.RFC3339) }
	switch {
	case pin.At.Before(commit):
		return fmt.Errorf("the pin is of %s, and the commit of %s (hint: whoever makes pins has not come to it yet)", date(pin.At), date(commit))
	case pin.At.After(now.Add(pinAhead)):
		return fmt.Errorf("the pin is of %s, and it is %s (hint: is a clock wrong?)", date(pin.At), date(now))
	case pin.At.Before(p.Last.At), pin.At.Equal(p.Last.At) && pin.Toplevel != p.Last.Toplevel:
		return fmt.Errorf("the pin is of %s, and the one that was accepted last of %s: it is not newer", date(pin.At), date(p.Last.At))
	case slices.Contains(p.Gone, pin.Toplevel):
		return fmt.Errorf("the pin names %s, as one did before, and a pin leads to nothing old (hint: give every commit a system of its own, by system.configurationRevision = self.rev; or have a manifest made, which names its commit)", pin.Toplevel)
	}
	return nil
}
