package registry

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/infra-agent/infra-agent/reconcile"
)

// A Window is a time of the week, written "Mon..Fri 22:00-02:00 Europe/Berlin": days,
// hours, and a zone of the IANA database. An end that is not after the start is on
// the next day.
type Window struct{ reconcile.Window }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (w *Window) UnmarshalText(text []byte) error {
	fields := strings.Fields(string(text))
	if len(fields) != 3 {
		return fmt.Errorf(`%q is not a window: write days, hours and zone, such as "Mon..Fri 22:00-02:00 Europe/Berlin"`, text)
	}
	got := reconcile.Window{Text: string(text)}
	var err error
	if got.Days, err = days(fields[0]); err != nil {
		return err
	}
	from, to, ok := strings.Cut(fields[1], "-")
	if !ok {
		return fmt.Errorf(`%q is not a time of the day: write it like "22:00-02:00"`, fields[1])
	}
	if got.From, err = clock(from); err != nil {
		return err
	}
	if got.To, err = clock(to); err != nil {
		return err
	}
	if got.From == got.To || got.From == 24*time.Hour {
		return fmt.Errorf("%q has no length: for whole days write 00:00-24:00", fields[1])
	}
	if got.Zone, err = zone(fields[2], time.LoadLocation); err != nil {
		return err
	}
	w.Window = got
	return nil
}

// zone finds a time zone in the system's database, which load reads, or says that there is none:
// where $ZONEINFO is, else at the places that package time knows.
func zone(name string, load func(string) (*time.Location, error)) (*time.Location, error) {
	found, err := load(name)
	if err == nil && name != "Local" {
		return found, nil
	}
	if _, none := load("Etc/UTC"); none != nil && name != "Local" {
		return nil, fmt.Errorf("%q cannot be looked up: this machine has no database of time zones (hint: install tzdata, or name the directory of one in ZONEINFO)", name)
	}
	return nil, fmt.Errorf("%q is not a time zone such as Europe/Berlin or UTC", name)
}

var weekdays = []string{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"} // by [time.Weekday]

// days reads "Mon..Fri", "Sat,Sun", or both.
func days(text string) (on [7]bool, err error) {
	for part := range strings.SplitSeq(text, ",") {
		first, last, isRange := strings.Cut(part, "..")
		if !isRange {
			last = first
		}
		from, to := slices.Index(weekdays, first), slices.Index(weekdays, last)
		if from < 0 || to < 0 {
			return on, fmt.Errorf(`%q are not days: write them like "Mon..Fri" or "Sat,Sun"`, text)
		}
		for day := from; ; day = (day + 1) % 7 {
			on[day] = true
			if day == to {
				break
			}
		}
	}
	return on, nil
}

// clock reads "22:00"; 24:00 is the end of the day.
func clock(text string) (time.Duration, error) {
	if text == "24:00" {
		return 24 * time.Hour, nil
	}
	at, err := time.Parse("15:04", text)
	if err != nil || len(text) != len("15:04") {
		return 0, fmt.Errorf("%q is not a time of the day such as 02:00", text)
	}
	return time.Duration(at.Hour())*time.Hour + time.Duration(at.Minute())*time.Minute, nil
}
