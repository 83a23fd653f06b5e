package reconcile

import (
	"slices"
	"testing"
	"time"
)

func TestCheckProblems(t *testing.T) {
	// sound is a check of each kind without a problem.
	sound := func(kind CheckKind) Check {
		c := Check{Name: "a", Kind: kind, Within: 0, Interval: time.Second, Timeout: time.Second, Successes: 1}
		switch kind {
		case CheckUnit:
			c.Unit = "nginx.service"
		case CheckTCP:
			c.Target = "localhost:80"
		case CheckHTTP:
			c.Target = "https://localhost/health?full=1"
		case CheckDNS:
			c.Target, c.Server, c.Answer = "example.org", "[::1]:53", "192.0.2.1"
		case CheckExec:
			c.Command = []string{"/bin/true"}
		case CheckMount:
			c.Path = "/srv"
		case CheckFile:
			c.Path, c.MaxAge, c.Contains = "/srv/stamp", time.Hour, "ok"
		}
		return c
	}
	for _, kind := range CheckKinds {
		if got := sound(kind).Problems(); got != nil {
			t.Errorf("Problems of a sound check of kind %s = %v, want none", kind, got)
		}
	}
	for _, c := range []struct {
		name   string
		kind   CheckKind
		change func(*Check)
		want   []string // keys
	}{
		{"no kind", CheckUnit, func(c *Check) { c.Kind = "" }, []string{"kind"}},
		{"unknown kind", CheckUnit, func(c *Check) { c.Kind = "ping" }, []string{"kind"}},
		{"negative grace", CheckUnit, func(c *Check) { c.Within = -1 }, []string{"within"}},
		{"no pause", CheckUnit, func(c *Check) { c.Interval = 99 * time.Millisecond }, []string{"interval"}},
		{"no time", CheckUnit, func(c *Check) { c.Timeout = 0 }, []string{"timeout"}},
		{"no success", CheckUnit, func(c *Check) { c.Successes = 0 }, []string{"successes"}},
		{"no unit", CheckUnit, func(c *Check) { c.Unit = "" }, []string{"unit"}},
		{"no target", CheckTCP, func(c *Check) { c.Target = "" }, []string{"target"}},
		{"name of a step", CheckExec, func(c *Check) { c.Name = "follow: poll" }, []string{"name"}},
		{"no command", CheckExec, func(c *Check) { c.Command = nil }, []string{"command"}},
		{"keys of other kinds", CheckExec, func(c *Check) { c.Unit, c.Target, c.Status, c.Contains = "a.service", "a:1", 200, "x" }, []string{"unit", "target", "status", "contains"}},
		{"command of another kind", CheckTCP, func(c *Check) { c.Command = []string{"/x"} }, []string{"command"}},
		{"relative program", CheckExec, func(c *Check) { c.Command = []string{"true"} }, []string{"command"}},
		{"NUL in an argument", CheckExec, func(c *Check) { c.Command = []string{"/x", "a\x00b"} }, []string{"command"}},
		{"no name to resolve", CheckDNS, func(c *Check) { c.Target = "" }, []string{"target"}},
		{"URL for a name", CheckDNS, func(c *Check) { c.Target = "https://example.org" }, []string{"target"}},
		{"server without port", CheckDNS, func(c *Check) { c.Server = "::1" }, []string{"server"}},
		{"answer that is no address", CheckDNS, func(c *Check) { c.Answer = "example.org" }, []string{"answer"}},
		{"no path", CheckMount, func(c *Check) { c.Path = "" }, []string{"path"}},
		{"relative path", CheckFile, func(c *Check) { c.Path = "srv" }, []string{"path"}},
		{"negative age", CheckFile, func(c *Check) { c.MaxAge = -1 }, []string{"max_age"}},
		{"age of a mount", CheckMount, func(c *Check) { c.MaxAge, c.Server = 1, "a:1" }, []string{"server", "max_age"}},
		{"low status", CheckHTTP, func(c *Check) { c.Status = 99 }, []string{"status"}},
		{"high status", CheckHTTP, func(c *Check) { c.Status = 600 }, []string{"status"}},
		{"several", CheckUnit, func(c *Check) { c.Unit, c.Timeout, c.Successes = "", 0, -1 }, []string{"timeout", "successes", "unit"}},
	} {
		check := sound(c.kind)
		c.change(&check)
		var got []string
		for _, p := range check.Problems() {
			got = append(got, p.Key)
			if p.Text == "" {
				t.Errorf("%s: problem with %s has no text", c.name, p.Key)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: problems with %v, want %v", c.name, got, c.want)
		}
	}
}

func TestCheckTargets(t *testing.T) {
	for _, c := range []struct {
		kind   CheckKind
		target string
		want   bool
	}{
		{CheckTCP, "127.0.0.1:53", true},
		{CheckTCP, "[2001:db8::1]:53", true},
		{CheckTCP, "host.example.org:65535", true},
		{CheckTCP, "2001:db8::1:53", false},
		{CheckTCP, "[localhost]:53", false},
		{CheckTCP, "localhost", false},
		{CheckTCP, ":53", false},
		{CheckTCP, "localhost:0", false},
		{CheckTCP, "localhost:65536", false},
		{CheckTCP, "localhost:http", false},
		{CheckTCP, "http://localhost:80", false},
		{CheckHTTP, "http://localhost", true},
		{CheckHTTP, "http://localhost:8080/", true},
		{CheckHTTP, "http://[::1]", true},
		{CheckHTTP, "https://[::1]:8443/x", true},
		{CheckHTTP, "https://host?x=a@b:c", true},
		{CheckHTTP, "https://user:password@host/", false},
		{CheckHTTP, "https:///x", false},
		{CheckHTTP, "https://", false},
		{CheckHTTP, "https://host:port/", false},
		{CheckHTTP, "https://host/a b", false},
		{CheckHTTP, "ftp://host/", false},
		{CheckHTTP, "localhost:80", false},
	} {
		check := Check{Kind: c.kind, Target: c.target, Interval: time.Second, Timeout: time.Second, Successes: 1}
		if got := check.Problems(); (len(got) == 0) != c.want {
			t.Errorf("problems of %s target %q = %v, want it accepted: %t", c.kind, c.target, got, c.want)
		}
	}
	for unit, want := range map[string]bool{
		"nginx.service": true, "getty@tty1.service": true, "a.b.timer": true,
		"nginx": false, ".service": false, "nginx.": false, "nginx*.service": false, "a b.service": false,
	} {
		check := Check{Kind: CheckUnit, Unit: unit, Interval: time.Second, Timeout: time.Second, Successes: 1}
		if got := check.Problems(); (len(got) == 0) != want {
			t.Errorf("problems of unit %q = %v, want it accepted: %t", unit, got, want)
		}
	}
}
