package reconcile

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestAPinLeadsToNothingOld(t *testing.T) {
	at := func(minute int) time.Time { return time.Date(2026, 1, 1, 12, minute, 0, 0, time.UTC) }
	last := Pins{Last: Pin{"B", at(10)}, Gone: []Toplevel{"old"}}
	for _, c := range []struct {
		name   string
		pins   Pins
		pin    Pin
		commit time.Time
		says   string // "": it counts
	}{
		{"the first", Pins{}, Pin{"B", at(10)}, at(9), ""},
		{"of the very second", Pins{}, Pin{"B", at(10)}, at(10), ""},
		{"a newer one", last, Pin{"C", at(11)}, at(11), ""},
		{"the last one again, after a restart", last, Pin{"B", at(10)}, at(9), ""},
		{"the last one, which was made again", last, Pin{"B", at(12)}, at(11), ""},
		{"from before the commit", Pins{}, Pin{"B", at(10)}, at(11), "whoever makes pins has not come to it yet"},
		{"from before the last one", last, Pin{"C", at(9)}, at(9), "it is not newer"},
		{"of the same time as the last one", last, Pin{"C", at(10)}, at(9), "it is not newer"},
		{"the last one, by a mirror that lags", last, Pin{"B", at(9)}, at(9), "it is not newer"},
		{"one that was accepted before", last, Pin{"old", at(12)}, at(11), "the pin names old, as one did before"},
		{"of a clock that is a little ahead", last, Pin{"C", at(24)}, at(11), ""},
		{"of next year, which would end all others", last, Pin{"C", at(20).AddDate(1, 0, 0)}, at(11), "is a clock wrong?"},
	} {
		err := c.pins.Accepts(c.pin, c.commit, at(20))
		if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.says)
		}
	}
}

// What runs is no step back, and what was accepted last is none either.
func TestPinsThatAreGone(t *testing.T) {
	pins := func(tops ...Toplevel) (all []Pin) {
		for i, top := range tops {
			all = append(all, Pin{top, time.Unix(int64(i), 0)})
		}
		return all
	}
	for _, c := range []struct {
		pins []Pin
		last Toplevel
		gone string
	}{
		{nil, "", "[]"},
		{pins("A"), "A", "[]"},
		{pins("A", "B", "C"), "C", "[A]"}, // B runs
		{pins("A", "C", "A"), "A", "[C]"},
	} {
		got := Record{Good: System{Toplevel: "B"}, Pins: c.pins}.pins()
		if got.Last.Toplevel != c.last || fmt.Sprint(got.Gone) != c.gone {
			t.Errorf("of %v: %+v, want %s last, and %s gone", c.pins, got, c.last, c.gone)
		}
	}
}

func TestPinsAreKept(t *testing.T) {
	r := New()
	for i := range keepAccepted + 2 {
		e := Evaluated{Toplevel: Toplevel(fmt.Sprint(i)), Manifest: Manifest{Place: "p", Pinned: time.Unix(int64(i), 0)}}
		for range 2 { // asked for again
			r = Fold(r, Advanced{Job: Plan{From: Fetched{Purpose: PurposeBranch}}, Step: e, At: time.Unix(int64(i), 0)})
		}
	}
	if n := len(r.Pins); n != keepAccepted || r.Pins[0].Toplevel != "2" || r.Pins[n-1] != (Pin{"101", time.Unix(101, 0)}) {
		t.Errorf("%d pins from %v to %v, want the last 100", n, r.Pins[0], r.Pins[n-1])
	}
	r = Fold(r, Advanced{Job: Plan{From: Fetched{Purpose: PurposeFollow}}, Step: Evaluated{Toplevel: "x", Manifest: Manifest{Place: "p", Pinned: time.Unix(200, 0)}}})
	if n := len(r.Pins); r.Pins[n-1].Toplevel == "x" {
		t.Error("what only shows that pins arrive was accepted")
	}
}
