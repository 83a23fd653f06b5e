package registry

import (
	"errors"
	"testing"
	"time"
)

func TestWindows(t *testing.T) {
	const mon, tue, wed, thu, fri, sat, sun = 1 << 1, 1 << 2, 1 << 3, 1 << 4, 1 << 5, 1 << 6, 1 << 0
	for _, c := range []struct {
		text     string
		days     int
		from, to time.Duration
		zone     string
	}{
		{"Mon..Fri 22:00-02:00 Europe/Berlin", mon | tue | wed | thu | fri, 22 * time.Hour, 2 * time.Hour, "Europe/Berlin"},
		{"Sat,Sun 00:00-24:00 UTC", sat | sun, 0, 24 * time.Hour, "UTC"},
		{"Fri..Mon,Wed 02:30-05:05 America/New_York", fri | sat | sun | mon | wed, 150 * time.Minute, 305 * time.Minute, "America/New_York"},
	} {
		var w Window
		if err := w.UnmarshalText([]byte(c.text)); err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		days := 0
		for i, on := range w.Days {
			if on {
				days |= 1 << i
			}
		}
		if days != c.days || w.From != c.from || w.To != c.to || w.Zone.String() != c.zone || w.Text != c.text {
			t.Errorf("%s: days %07b, %v to %v in %s, want %07b, %v to %v in %s", c.text, days, w.From, w.To, w.Zone, c.days, c.from, c.to, c.zone)
		}
	}
	for _, text := range []string{
		"", "Mon 22:00-02:00", "Mon 22:00-02:00 Europe/Berlin x", "Mo 22:00-02:00 UTC", "Mon.. 22:00-02:00 UTC", "Mon,, 22:00-02:00 UTC", "mon 22:00-02:00 UTC",
		"Mon 22:00 UTC", "Mon 9:00-10:00 UTC", "Mon 22:60-23:00 UTC", "Mon 24:00-02:00 UTC", "Mon 02:00-02:00 UTC", "Mon 25:00-02:00 UTC",
		"Mon 22:00-02:00 Local", "Mon 22:00-02:00 Mars/Olympus", "Mon 22:00-02:00 ../../etc/passwd",
	} {
		if err := new(Window).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is taken, want an error", text)
		}
	}
}

// A machine without a database of time zones says that, and does not blame the registry.
func TestNoDatabaseOfTimeZones(t *testing.T) {
	none := func(name string) (*time.Location, error) {
		if name == "UTC" {
			return time.UTC, nil
		}
		return nil, errors.New("unknown time zone " + name)
	}
	for name, want := range map[string]string{
		"UTC":           "",
		"Europe/Berlin": `"Europe/Berlin" cannot be looked up: this machine has no database of time zones (hint: install tzdata, or name the directory of one in ZONEINFO)`,
		"Local":         `"Local" is not a time zone such as Europe/Berlin or UTC`,
	} {
		got := ""
		if _, err := zone(name, none); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if _, err := zone("Mars/Olympus", time.LoadLocation); err == nil || err.Error() != `"Mars/Olympus" is not a time zone such as Europe/Berlin or UTC` {
		t.Errorf("with a database: %v", err)
	}
}
