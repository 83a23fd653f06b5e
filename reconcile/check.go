package reconcile

import "time"

// A CheckKind says what a check looks at.
type CheckKind string

// The kinds of checks.
const (
	CheckUnit CheckKind = "unit" // a systemd unit is active
	CheckTCP  CheckKind = "tcp"  // a TCP connection is accepted
	CheckHTTP CheckKind = "http" // a GET request is answered with the wanted status
	CheckExec CheckKind = "exec" // a program exits 0
)

// CheckKinds lists every kind, in the order of the documentation.
var CheckKinds = []CheckKind{CheckUnit, CheckTCP, CheckHTTP, CheckExec}

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
	Target    string        `json:"target,omitempty"`   // kind tcp: host:port; kind http: URL
	Status    int           `json:"status,omitempty"`   // kind http: wanted status, 0 = any 2xx
	Contains  string        `json:"contains,omitempty"` // kind http: text that the body must contain
	Command   []string      `json:"command,omitempty"`  // kind exec: program (absolute path) and arguments
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
}
