package registry

import (
	"github.com/infra-agent/infra-agent/agent/strict"
	"github.com/infra-agent/infra-agent/reconcile"
)

// file is infrastructure.toml, schema 1. Fields without a comment are used; those
// marked "later" are read, so that a file of today is good tomorrow, and what is
// not safe to ignore is refused when it concerns this node.
type file struct {
	Schema int             `toml:"schema"`
	Fleet  fleet           `toml:"fleet"`
	Waves  waves           `toml:"waves"`
	Roles  map[string]role `toml:"roles"`
	Nodes  map[string]node `toml:"nodes"`
}

type fleet struct {
	Name     string   `toml:"name"` // for people
	Domain   string   `toml:"domain"`
	Branch   string   `toml:"branch"`   // later
	Subdir   string   `toml:"subdir"`   // later
	Naming   string   `toml:"naming"`   // later
	VMID     string   `toml:"vmid"`     // later
	Prefixes []string `toml:"prefixes"` // later
	Aliases  any      `toml:"aliases"`  // later
	Window   []string `toml:"window"`   // later, refused
}

type waves struct {
	Order []string `toml:"order"` // later
}

type role struct {
	Description    string                 `toml:"description"` // for people
	Implied        bool                   `toml:"implied"`
	Implies        []string               `toml:"implies"`
	Conflicts      []string               `toml:"conflicts"`
	Checks         checks                 `toml:"checks"`
	Wave           string                 `toml:"wave"`
	Rollback       reconcile.RollbackMode `toml:"rollback"`
	Reboot         string                 `toml:"reboot"`          // later
	Secrets        []string               `toml:"secrets"`         // later
	Drain          any                    `toml:"drain"`           // later
	Undrain        any                    `toml:"undrain"`         // later
	MaxUnavailable int                    `toml:"max_unavailable"` // later
}

type node struct {
	Hostname      string                 `toml:"hostname"`
	Aliases       []string               `toml:"aliases"`
	Configuration string                 `toml:"configuration"`
	Kind          string                 `toml:"kind"`
	Managed       *bool                  `toml:"managed"` // nil: yes
	System        string                 `toml:"system"`
	Roles         []string               `toml:"roles"`
	Address       string                 `toml:"address"`
	Environment   string                 `toml:"environment"`
	Wave          string                 `toml:"wave"`
	Rollback      reconcile.RollbackMode `toml:"rollback"`
	Checks        checks                 `toml:"checks"`
	Tags          []string               `toml:"tags"`        // for people
	User          string                 `toml:"user"`        // for people
	Meta          any                    `toml:"meta"`        // free
	Proxied       bool                   `toml:"proxied"`     // later
	Proxy         *proxy                 `toml:"proxy"`       // later
	VMID          int                    `toml:"vmid"`        // later
	VMIDReason    string                 `toml:"vmid_reason"` // later
	Ephemeral     bool                   `toml:"ephemeral"`   // later
	Naming        naming                 `toml:"naming"`      // later
	DependsOn     []string               `toml:"depends_on"`  // later
	Reboot        string                 `toml:"reboot"`      // later
	Window        []string               `toml:"window"`      // later, refused
	Branch        string                 `toml:"branch"`      // later, refused
	Pin           string                 `toml:"pin"`         // later, refused
	Hold          bool                   `toml:"hold"`        // later, refused
	Reason        string                 `toml:"reason"`      // of hold
}

type proxy struct {
	Port       int      `toml:"port"`
	Subdomains []string `toml:"subdomains"`
	Protocol   string   `toml:"protocol"`
	Websockets bool     `toml:"websockets"`
	SSL        bool     `toml:"ssl"`
}

type naming struct {
	Exempt bool   `toml:"exempt"`
	Reason string `toml:"reason"`
}

// checks are checks by name; nil removes one that a weaker layer gave.
type checks map[string]*reconcile.Check

// DecodeTOML implements [strict.Decoder].
func (c *checks) DecodeTOML(d *strict.Document, at strict.Path, v any) {
	var tables map[string]any
	d.Value(at, v, &tables)
	*c = checks{}
	for name, table := range tables {
		if table == false {
			(*c)[name] = nil
			continue
		}
		check := d.Check(at.Child(name), name, table)
		(*c)[name] = &check
	}
}

// parse reads and judges a registry. The error is a [*strict.Error].
func parse(name string, data []byte) (*file, error) {
	d, err := strict.Parse(name, data)
	if err != nil {
		return nil, err
	}
	var f file
	d.Decode(&f)
	judge(d, &f)
	if err := d.Err(); err != nil {
		return nil, err
	}
	return &f, nil
}
