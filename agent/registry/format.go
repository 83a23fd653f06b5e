package registry

import (
	"slices"
	"strings"

	"github.com/infra-agent/infra-agent/agent/strict"
	"github.com/infra-agent/infra-agent/reconcile"
)

// A File is a registry: infrastructure.toml, schema 1, or the same as a value of
// the flake. docs/registry.md describes the fields.
type File struct {
	Schema    int             `json:"schema"`
	MinReader int             `json:"min_reader,omitempty"` // oldest schema whose agents may read the file; 0: Schema
	Fleet     Fleet           `json:"fleet,omitzero"`
	Waves     Waves           `json:"waves,omitzero"`
	Roles     map[string]Role `json:"roles,omitempty"`
	Nodes     map[string]Node `json:"nodes,omitempty"`

	doc   *strict.Document
	newer newer
}

// Position returns line and column, from 1, of the value at a path such as
// nodes.web-01.vmid, or of the nearest table around it; zeros when the registry
// was not read from TOML.
func (f *File) Position(at strict.Path) (line, column int) { return f.doc.Position(at) }

// Origin returns what the value at a path is called in the file: another path in a file
// of another format.
func (f *File) Origin(at strict.Path) strict.Path { return f.doc.Origin(at) }

// Fleet is what holds for all nodes.
type Fleet struct {
	Name     string            `json:"name,omitempty"`
	Domain   string            `json:"domain,omitempty"`
	Branch   string            `json:"branch,omitempty"`
	Subdir   string            `json:"subdir,omitempty"`
	Naming   string            `json:"naming,omitempty"`   // off, info, warn, error
	VMID     string            `json:"vmid,omitempty"`     // off, info, warn, error
	Prefixes []string          `json:"prefixes,omitempty"` // of node names, beside those of the convention
	Aliases  map[string]string `json:"aliases,omitempty"`  // prefix → the prefix that means the same
	Window   []Window          `json:"window,omitempty"`
}

// Waves are the parts of the fleet that deploy one after the other.
type Waves struct {
	Order []string `json:"order,omitempty"`
}

// A Role is a piece of function that nodes carry.
type Role struct {
	Description    string                 `json:"description,omitempty"`
	Implied        bool                   `json:"implied,omitempty"` // every managed node has it
	Implies        []string               `json:"implies,omitempty"`
	Conflicts      []string               `json:"conflicts,omitempty"`
	Checks         Checks                 `json:"checks,omitempty"`
	Secrets        []Secret               `json:"secrets,omitempty"`
	Drain          []string               `json:"drain,omitempty"`   // program and arguments
	Undrain        []string               `json:"undrain,omitempty"` // program and arguments
	MaxUnavailable int                    `json:"max_unavailable,omitempty"`
	Wave           string                 `json:"wave,omitempty"`
	Rollback       reconcile.RollbackMode `json:"rollback,omitempty"`
	Reboot         string                 `json:"reboot,omitempty"` // never, window, auto
}

// A Node is one machine.
type Node struct {
	Hostname      string                 `json:"hostname,omitempty"`
	Aliases       []string               `json:"aliases,omitempty"`
	Configuration string                 `json:"configuration,omitempty"`
	Kind          string                 `json:"kind,omitempty"`    // vm, metal, cloud, template, appliance
	Managed       *bool                  `json:"managed,omitempty"` // nil: yes
	System        string                 `json:"system,omitempty"`
	Roles         []string               `json:"roles,omitempty"`
	Tags          []string               `json:"tags,omitempty"`
	Proxied       *Proxied               `json:"proxied,omitempty"`
	Proxy         *Proxy                 `json:"proxy,omitempty"` // not nil: proxied
	Address       string                 `json:"address,omitempty"`
	User          string                 `json:"user,omitempty"`
	VMID          *int                   `json:"vmid,omitempty"`
	VMIDReason    string                 `json:"vmid_reason,omitempty"`
	Ephemeral     bool                   `json:"ephemeral,omitempty"`
	Environment   string                 `json:"environment,omitempty"`
	Wave          string                 `json:"wave,omitempty"`
	DependsOn     []string               `json:"depends_on,omitempty"`
	Window        []Window               `json:"window,omitempty"`
	Branch        string                 `json:"branch,omitempty"`
	Pin           string                 `json:"pin,omitempty"`
	Hold          bool                   `json:"hold,omitempty"`
	Reason        string                 `json:"reason,omitempty"` // of hold or pin
	Retire        bool                   `json:"retire,omitempty"`
	Reboot        string                 `json:"reboot,omitempty"` // never, window, auto
	Rollback      reconcile.RollbackMode `json:"rollback,omitempty"`
	Checks        Checks                 `json:"checks,omitempty"`
	Naming        Naming                 `json:"naming,omitzero"`
	Meta          any                    `json:"meta,omitempty"` // free
}

// IsManaged reports whether the agent deploys to the node.
func (n Node) IsManaged() bool { return n.Managed == nil || *n.Managed }

// IsProxied reports whether a reverse proxy stands before the node.
func (n Node) IsProxied() bool { return n.Proxy != nil || n.Proxied != nil && bool(*n.Proxied) }

// placeholderWords stand where an address is not known yet.
var placeholderWords = []string{"unknown", "none", "null", "todo", "tbd", "dhcp", "n.a.", "changeme"}

// HasPlaceholder reports whether the node's address is a word for none.
func (n Node) HasPlaceholder() bool {
	return slices.Contains(placeholderWords, strings.ToLower(n.Address))
}

// host is the node's address; "" when it is not known.
func (n Node) host() string {
	if n.HasPlaceholder() {
		return ""
	}
	return n.Address
}

// Proxied says that a reverse proxy stands before a node.
type Proxied bool

// DecodeTOML implements [strict.Decoder].
func (p *Proxied) DecodeTOML(d *strict.Document, at strict.Path, v any) {
	if _, isTable := v.(map[string]any); isTable {
		d.Problemf(at, "call the table proxy", "want true or false, got a table")
		return
	}
	d.Value(at, v, (*bool)(p))
}

// A Proxy is what the reverse proxy needs to know.
type Proxy struct {
	Port       int      `json:"port,omitempty"`
	Subdomains []string `json:"subdomains,omitempty"`
	Protocol   string   `json:"protocol,omitempty"`
	Websockets bool     `json:"websockets,omitempty"`
	SSL        bool     `json:"ssl,omitempty"`
}

// DecodeTOML implements [strict.Decoder].
func (p *Proxy) DecodeTOML(d *strict.Document, at strict.Path, v any) {
	if _, isBool := v.(bool); isBool {
		d.Problemf(at, "write proxy = { port = 8080 }, or proxied = true", "want a table, got true or false")
		return
	}
	type fields Proxy // which has no format of its own
	d.Value(at, v, (*fields)(p))
}

// Naming lets a node keep a name outside of the convention.
type Naming struct {
	Exempt bool   `json:"exempt,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// Checks are checks by name; nil removes one that a weaker layer gave.
type Checks map[string]*reconcile.Check

// DecodeTOML implements [strict.Decoder].
func (c *Checks) DecodeTOML(d *strict.Document, at strict.Path, v any) {
	var tables map[string]any
	d.Value(at, v, &tables)
	*c = Checks{}
	for name, table := range tables {
		if table == false {
			(*c)[name] = nil
			continue
		}
		check := d.Check(at.Child(name), name, table)
		(*c)[name] = &check
	}
}

// A Secret is a file that must be there before a system is activated.
type Secret reconcile.Secret

// DecodeTOML implements [strict.Decoder]: a path, or a table.
func (s *Secret) DecodeTOML(d *strict.Document, at strict.Path, v any) {
	if path, ok := v.(string); ok {
		s.Path = path
		return
	}
	d.Value(at, v, (*reconcile.Secret)(s))
}

// Parse reads and validates a registry written in TOML; name is its name in
// problems. The error is a [*strict.Error] with every problem.
func Parse(name string, data []byte) (*File, error) {
	d, err := strict.Parse(name, data)
	if err != nil {
		return nil, err
	}
	return decode(d)
}

func decode(d *strict.Document) (*File, error) {
	f := read(d, tables(d))
	if err := d.Err(); err != nil {
		return nil, err
	}
	return f, nil
}

// read decodes and validates the tables of a registry. What is wrong with them is noted in d.
func read(d *strict.Document, root map[string]any) *File {
	f := File{doc: d}
	if isLater(root) {
		d.Later()
	}
	d.Value("", root, &f)
	validate(d, &f)
	f.leave(d.Err())
	return &f
}
