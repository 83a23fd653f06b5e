package reconcile

import (
	"encoding/json"
	"hash/fnv"
	"maps"
	"reflect"
	"slices"
	"strconv"
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

// A Check is one question about the node's health. Its fields are keys of the settings
// and of the registry; agent/config says what the tags mean.
type Check struct {
	Name      string        `json:"name"` // unique on the node
	Kind      CheckKind     `json:"kind" type:"unit, tcp, http, dns, exec, mount, file" required:"true" example:"http" doc:"What the check looks at."`
	Required  bool          `json:"required" default:"true" example:"false" doc:"false: only reported."`
	Within    time.Duration `json:"within" default:"2m" example:"30s" doc:"Grace after an activation before red counts."`
	Interval  time.Duration `json:"interval" default:"5s" example:"1s" doc:"Between two runs."`
	Timeout   time.Duration `json:"timeout" default:"5s" example:"20s" doc:"Limit of one run."`
	Successes int           `json:"successes" default:"2" example:"3" doc:"Successes in a row that make the check green."`
	Unit      string        `json:"unit,omitempty" example:"nginx.service" doc:"unit: full name of a systemd unit that must be active."`
	Target    string        `json:"target,omitempty" example:"localhost:5432" doc:"tcp: host:port; http: URL; dns: name to resolve."`
	Status    int           `json:"status,omitempty" type:"http status" example:"204" doc:"http: wanted status; none: any 2xx."`
	Contains  string        `json:"contains,omitempty" example:"ok" doc:"http, file: text that must be in it."`
	Command   []string      `json:"command,omitempty" example:"[\"/run/current-system/sw/bin/pg_isready\", \"-q\"]" doc:"exec: absolute path of a program, and its arguments; must exit 0."`
	Server    string        `json:"server,omitempty" example:"127.0.0.1:53" doc:"dns: host:port to ask; none: the system's resolvers."`
	Answer    string        `json:"answer,omitempty" example:"192.0.2.7" doc:"dns: IP address that must be among the answers; none: any answer."`
	Path      string        `json:"path,omitempty" type:"path" example:"/srv/media" doc:"mount: directory on which something must be mounted; file: file that must be there."`
	MaxAge    time.Duration `json:"max_age,omitempty" example:"26h" doc:"file: longest time since it was changed; none: any."`

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

// judgedBy returns a short name of checks, which is equal for equal ones; empty: there are none.
func judgedBy(checks []Check) string {
	if len(checks) == 0 {
		return ""
	}
	text, err := json.Marshal(checks)
	if err != nil {
		panic(err) // they are texts and numbers
	}
	h := fnv.New64a()
	h.Write(text)
	return strconv.FormatUint(h.Sum64(), 16)
}
