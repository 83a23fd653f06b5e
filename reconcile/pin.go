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

const (
	pinEvery = 5 * time.Minute
	// pinAhead is how far a pin may be dated in the future. Later ones have to be newer still, so one of
	// next year would hold the node until then.
	pinAhead = 5 * time.Minute
)

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

func (r Record) pins() (p Pins) {
	if len(r.Pins) == 0 {
		return p
	}
	p.Last = r.Pins[len(r.Pins)-1]
	for _, before := range r.Pins {
		if t := before.Toplevel; t != p.Last.Toplevel && t != r.Good.Toplevel {
			p.Gone = append(p.Gone, t)
		}
	}
	return p
}

// withPin remembers the pin that named a system.
func withPin(r Record, s Evaluated, at time.Time) Record {
	pin, all := Pin{s.Toplevel, s.Manifest.Pinned}, slices.Clone(r.Pins)
	if last := len(all) - 1; last >= 0 && all[last].Toplevel == pin.Toplevel {
		all[last] = pin
	} else {
		all = append(all, pin)
	}
	r.Pins, r.Work.PinAsked = all[max(0, len(all)-keepAccepted):], at
	return r
}

// knows reports whether a commit's system is known to be that one already, however far it has come.
func (r Record) knows(s Evaluated) bool {
	for _, known := range r.Work.Steps {
		if k, is := evaluatedOf(known); is && k.Revision.Commit == s.Revision.Commit && k.Purpose == s.Purpose && k.Toplevel == s.Toplevel {
			return true
		}
	}
	return false
}

// pinAgain returns when the pin that named the system of a candidate is to be asked for again; zero: there is none.
func pinAgain(c Candidate, r Record, o Observation) time.Time {
	s, is := evaluatedOf(c.Step)
	if !is || s.Manifest.Pinned.IsZero() {
		return time.Time{}
	}
	key := manifestKey(s.Revision.Commit)
	if h := failure(r, o, key); h.Gate != "" {
		return h.Until
	}
	if p := (Pause{r.Work.PinAsked, r.Work.PinAsked.Add(pinEvery)}); p.lasts(o.Now) {
		return p.Until
	}
	return o.Now
}
