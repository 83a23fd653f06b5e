package reconcile

import (
	"testing"
	"time"
)

func TestOpens(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	days := func(on ...time.Weekday) (d [7]bool) {
		for _, day := range on {
			d[day] = true
		}
		return d
	}
	night := Window{Days: days(time.Monday, time.Friday), From: 22 * time.Hour, To: 2 * time.Hour, Zone: berlin}
	morning := Window{Days: days(time.Sunday), From: 2 * time.Hour, To: 3 * time.Hour, Zone: berlin}
	allDay := Window{Days: days(time.Wednesday), From: 0, To: 24 * time.Hour, Zone: time.UTC}
	// 2026-01-05 is a Monday; Berlin is at UTC+1 in January, and at UTC+2 from 2026-03-29 01:00 UTC on.
	for _, c := range []struct {
		name    string
		windows []Window
		now     string
		want    string // "now" or a time
	}{
		{"none", nil, "2026-01-05T12:00:00Z", "now"},
		{"before", []Window{night}, "2026-01-05T20:59:59Z", "2026-01-05T21:00:00Z"},
		{"begins", []Window{night}, "2026-01-05T21:00:00Z", "now"},
		{"after midnight", []Window{night}, "2026-01-06T00:59:59Z", "now"},
		{"ends", []Window{night}, "2026-01-06T01:00:00Z", "2026-01-09T21:00:00Z"},
		{"on a day after none began", []Window{night}, "2026-01-05T00:30:00Z", "2026-01-05T21:00:00Z"},
		{"the next of two", []Window{night, morning}, "2026-01-10T12:00:00Z", "2026-01-11T01:00:00Z"},
		{"one of two is open", []Window{morning, night}, "2026-01-09T23:00:00Z", "now"},
		{"whole day", []Window{allDay}, "2026-01-07T23:59:59Z", "now"},
		{"whole day is over", []Window{allDay}, "2026-01-08T00:00:00Z", "2026-01-14T00:00:00Z"},
		{"a week later", []Window{morning}, "2026-01-04T02:00:00Z", "2026-01-11T01:00:00Z"},
		{"summer time", []Window{night}, "2026-03-30T12:00:00Z", "2026-03-30T20:00:00Z"},
		// On 2026-03-29 the clock goes from 02:00 to 03:00: the hour does not exist.
		{"the hour that is skipped", []Window{morning}, "2026-03-29T00:30:00Z", "2026-04-05T00:00:00Z"},
	} {
		now, err := time.Parse(time.RFC3339, c.now)
		if err != nil {
			t.Fatal(err)
		}
		got := opens(c.windows, now)
		if c.want == "now" {
			c.want = c.now
		}
		if text := got.UTC().Format(time.RFC3339); text != c.want {
			t.Errorf("%s: opens at %s, want %s", c.name, text, c.want)
		}
	}
}
