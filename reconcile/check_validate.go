package reconcile

import (
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A CheckProblem says what is wrong with one key of a check.
type CheckProblem struct {
	Key  string // as in files: kind, target, within …
	Text string
}

// Problems lists what is wrong with c, in the order of its keys; nil when it can be run.
func (c Check) Problems() []CheckProblem {
	var found []CheckProblem
	add := func(key, format string, args ...any) {
		found = append(found, CheckProblem{key, fmt.Sprintf(format, args...)})
	}
	if !slices.Contains(CheckKinds, c.Kind) {
		add("kind", "%s", unknownKind(c.Kind))
		return found
	}
	if strings.HasPrefix(c.Name, followed) {
		add("name", "%q begins as the steps do by which a system shows that it follows the branch: give it another", c.Name)
	}
	if c.Within < 0 {
		add("within", "%s is negative", c.Within)
	}
	if c.Interval < minCheckInterval {
		add("interval", "%s is shorter than %s", c.Interval, minCheckInterval)
	}
	if c.Timeout <= 0 || c.Timeout > CheckTimeoutMax {
		add("timeout", "%s is not more than 0 and at most %s", c.Timeout, CheckTimeoutMax)
	}
	if c.Successes < 1 {
		add("successes", "%d is less than 1", c.Successes)
	}
	for _, k := range []struct {
		key   string
		given bool
		needs bool
		kinds []CheckKind
	}{
		{"unit", c.Unit != "", true, []CheckKind{CheckUnit}},
		{"target", c.Target != "", true, []CheckKind{CheckTCP, CheckHTTP, CheckDNS}},
		{"status", c.Status != 0, false, []CheckKind{CheckHTTP}},
		{"contains", c.Contains != "", false, []CheckKind{CheckHTTP, CheckFile}},
		{"server", c.Server != "", false, []CheckKind{CheckDNS}},
		{"answer", c.Answer != "", false, []CheckKind{CheckDNS}},
		{"path", c.Path != "", true, []CheckKind{CheckMount, CheckFile}},
		{"max_age", c.MaxAge != 0, false, []CheckKind{CheckFile}},
		{"command", len(c.Command) > 0, true, []CheckKind{CheckExec}},
	} {
		switch fits := slices.Contains(k.kinds, c.Kind); {
		case fits && k.needs && !k.given:
			add(k.key, "is missing: a check of kind %s needs it", c.Kind)
		case !fits && k.given:
			add(k.key, "means nothing to a check of kind %s", c.Kind)
		}
	}
	for _, key := range []struct{ name, problem string }{
		{"unit", badUnit(c)},
		{"target", badTarget(c)},
		{"status", badStatus(c)},
		{"command", badCommand(c)},
		{"server", badServer(c)},
		{"answer", badAnswer(c)},
		{"path", badPath(c)},
		{"max_age", badAge(c)},
	} {
		if key.problem != "" {
			add(key.name, "%s", key.problem)
		}
	}
	return found
}

// minCheckInterval keeps a check from becoming a load.
const minCheckInterval = 100 * time.Millisecond

func unknownKind(k CheckKind) string {
	var known []string
	for _, kind := range CheckKinds {
		known = append(known, string(kind))
	}
	if k == "" {
		return "is missing: want " + strings.Join(known, ", ")
	}
	return fmt.Sprintf("%q is not supported by this version: want %s", k, strings.Join(known, ", "))
}

func badUnit(c Check) string {
	if c.Kind != CheckUnit || c.Unit == "" {
		return ""
	}
	if dot := strings.LastIndexByte(c.Unit, '.'); dot <= 0 || dot == len(c.Unit)-1 || strings.ContainsAny(c.Unit, " /*?[\n") {
		return fmt.Sprintf("%q is not the full name of a unit, such as nginx.service", c.Unit)
	}
	return ""
}

func badTarget(c Check) string {
	switch {
	case c.Target == "":
		return ""
	case c.Kind == CheckTCP && !isHostPort(c.Target):
		return fmt.Sprintf("%q is not host:port", c.Target)
	case c.Kind == CheckHTTP && !isWebURL(c.Target):
		return fmt.Sprintf("%q is not an http or https URL without user and password", c.Target)
	case c.Kind == CheckDNS && strings.ContainsAny(c.Target, " :/@[]\t\n"):
		return fmt.Sprintf("%q is not a name to resolve", c.Target)
	}
	return ""
}

func badServer(c Check) string {
	if c.Kind == CheckDNS && c.Server != "" && !isHostPort(c.Server) {
		return fmt.Sprintf("%q is not host:port", c.Server)
	}
	return ""
}

func badAnswer(c Check) string {
	if _, err := netip.ParseAddr(c.Answer); c.Kind == CheckDNS && c.Answer != "" && err != nil {
		return fmt.Sprintf("%q is not an IP address", c.Answer)
	}
	return ""
}

func badPath(c Check) string {
	if (c.Kind == CheckMount || c.Kind == CheckFile) && c.Path != "" && (!path.IsAbs(c.Path) || strings.Contains(c.Path, "\x00")) {
		return fmt.Sprintf("%q is not an absolute path", c.Path)
	}
	return ""
}

func badAge(c Check) string {
	if c.Kind == CheckFile && c.MaxAge < 0 {
		return fmt.Sprintf("%s is negative", c.MaxAge)
	}
	return ""
}

func badStatus(c Check) string {
	if c.Kind == CheckHTTP && c.Status != 0 && (c.Status < 100 || c.Status > 599) {
		return fmt.Sprintf("%d is not an HTTP status (100 to 599)", c.Status)
	}
	return ""
}

func badCommand(c Check) string {
	if c.Kind != CheckExec || len(c.Command) == 0 {
		return ""
	}
	if !strings.HasPrefix(c.Command[0], "/") {
		return fmt.Sprintf("%q is not an absolute path", c.Command[0])
	}
	if slices.ContainsFunc(c.Command, func(arg string) bool { return strings.Contains(arg, "\x00") }) {
		return "an argument contains a NUL byte"
	}
	return ""
}

// isHostPort reports whether s is host:port, with brackets around an IPv6 address.
func isHostPort(s string) bool {
	colon := strings.LastIndexByte(s, ':')
	if colon < 1 {
		return false
	}
	host := s[:colon]
	if inner, ok := strings.CutPrefix(host, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		return ok && strings.Contains(inner, ":") && isPort(s[colon+1:])
	}
	return !strings.ContainsAny(host, ":/@[] \t\n") && isPort(s[colon+1:])
}

func isPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0
}

// isWebURL reports whether s is an http or https URL with a host and without
// user information.
func isWebURL(s string) bool {
	rest, ok := strings.CutPrefix(s, "https://")
	if !ok {
		rest, ok = strings.CutPrefix(s, "http://")
	}
	if !ok || strings.ContainsAny(s, " \t\r\n\x00") {
		return false
	}
	host := rest
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		host = rest[:i]
	}
	if strings.HasSuffix(host, "]") {
		host += ":80"
	}
	return isHostPort(host) || (host != "" && !strings.ContainsAny(host, ":@[]"))
}
