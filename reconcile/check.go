package reconcile

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
)

// A CheckKind says what a check looks at.
type CheckKind string

// The kinds of checks.
const (
	CheckUnit  CheckKind = "unit"  // a systemd unit is active
	CheckTCP   CheckKind = "tcp"   // a TCP connection is accepted
	CheckHTTP  CheckKind = "http"  // a GET request is answered with the wanted status
	CheckDNS   CheckKind = "dns"   // a name is resolved
	CheckExec  CheckKind = "exec"  // a program exits 0
	CheckMount CheckKind = "mount" // something is mounted on a directory
	CheckFile  CheckKind = "file"  // a file is there
)

// CheckKinds lists every kind, in the order of the documentation.
var CheckKinds = []CheckKind{CheckUnit, CheckTCP, CheckHTTP, CheckDNS, CheckExec, CheckMount, CheckFile}

// Runnable returns the checks of the kinds that this agent knows. A check of another
// kind comes from a newer agent's settings or registry: that agent runs it, and this
// one neither runs nor judges it.
func Runnable(checks []Check) []Check {
	return slices.DeleteFunc(slices.Clone(checks), func(c Check) bool { return !slices.Contains(CheckKinds, c.Kind) })
}

// A Check is one question about the node's health.
type Check struct {
	Name      string        `json:"name"` // unique on the node
	Kind      CheckKind     `json:"kind"`
	Required  bool          `json:"required"`           // false: reported, never judged
	Within    time.Duration `json:"within"`             // grace after activation before red counts as failure
	Interval  time.Duration `json:"interval"`           // between two runs
	Timeout   time.Duration `json:"timeout"`            // of one run
	Successes int           `json:"successes"`          // in a row before the check counts as green
	Unit      string        `json:"unit,omitempty"`     // kind unit
	Target    string        `json:"target,omitempty"`   // kind tcp: host:port; kind http: URL; kind dns: name to resolve
	Status    int           `json:"status,omitempty"`   // kind http: wanted status, 0 = any 2xx
	Contains  string        `json:"contains,omitempty"` // kinds http and file: text that must be in it
	Server    string        `json:"server,omitempty"`   // kind dns: host:port to ask; empty: the system's resolvers
	Answer    string        `json:"answer,omitempty"`   // kind dns: address that must be among the answers; empty: any
	Path      string        `json:"path,omitempty"`     // kinds mount and file
	MaxAge    time.Duration `json:"max_age,omitempty"`  // kind file: since it was changed; 0: any
	Command   []string      `json:"command,omitempty"`  // kind exec: program (absolute path) and arguments

	// Later are the fields that a newer agent gave it. This one cannot use them, and
	// hands them on: the newer one runs the check.
	Later map[string]json.RawMessage `json:"-"`
}

// fields of a check, without its methods.
type plainCheck Check

// UnmarshalJSON keeps fields that this agent does not know.
func (c *Check) UnmarshalJSON(data []byte) error {
	if err := json.Unmarshal(data, (*plainCheck)(c)); err != nil {
		return err
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(data, &all); err != nil {
		return err
	}
	for f := range reflect.TypeFor[Check]().Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		maps.DeleteFunc(all, func(key string, _ json.RawMessage) bool { return strings.EqualFold(key, name) }) // as encoding/json does
	}
	c.Later = nil
	if len(all) > 0 {
		c.Later = all
	}
	return nil
}

// MarshalJSON writes those fields again.
func (c Check) MarshalJSON() ([]byte, error) {
	plain, err := json.Marshal(plainCheck(c))
	if err != nil || len(c.Later) == 0 {
		return plain, err
	}
	all := maps.Clone(c.Later)
	if err := json.Unmarshal(plain, &all); err != nil {
		return nil, err
	}
	return json.Marshal(all)
}

// Check defaults, applied by whoever parses a check.
const (
	DefaultCheckWithin    = 2 * time.Minute
	DefaultCheckInterval  = 5 * time.Second
	DefaultCheckTimeout   = 5 * time.Second
	DefaultCheckSuccesses = 2
)

// A CheckResult is the outcome of one run of a check.
type CheckResult struct {
	OK     bool          `json:"ok"`
	Detail string        `json:"detail,omitempty"` // why it is red, one line
	Took   time.Duration `json:"took"`
	At     time.Time     `json:"at,omitzero"` // when it ended
}

// MergeChecks returns both sets sorted by name; a check of the second replaces
// one of the first that has its name.
func MergeChecks(first, second []Check) []Check {
	merged := slices.Clone(second)
	for _, c := range first {
		if !slices.ContainsFunc(second, func(s Check) bool { return s.Name == c.Name }) {
			merged = append(merged, c)
		}
	}
	slices.SortFunc(merged, func(a, b Check) int { return strings.Compare(a.Name, b.Name) })
	return merged
}
