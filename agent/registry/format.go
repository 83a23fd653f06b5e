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
	Schema    int             `json:"schema" doc:"Version of this format: 1."`
	MinReader int             `json:"min_reader,omitempty" doc:"Oldest schema whose agents may read the file, leaving out what they do not know; none: that of the file."`
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
	Name     string            `json:"name,omitempty" doc:"Name of the fleet, for people."`
	Domain   string            `json:"domain,omitempty" doc:"Domain of the nodes; {domain} in checks."`
	Branch   string            `json:"branch,omitempty" doc:"Branch that every node follows; the agent refuses to follow another. {name} stands for the node's name."`
	Subdir   string            `json:"subdir,omitempty" type:"path" doc:"Directory of the flake; the agent refuses to use another."`
	Naming   string            `json:"naming,omitempty" type:"off, info, warn, error" doc:"Highest severity of the rules about names (N)."`
	VMID     string            `json:"vmid,omitempty" type:"off, info, warn, error" doc:"Highest severity of the rules about VM ids (V)."`
	Prefixes []string          `json:"prefixes,omitempty" doc:"Prefixes of node names that this fleet uses beside those of the convention."`
	Aliases  map[string]string `json:"aliases,omitempty" doc:"Prefixes that mean the same as another: hass = \"ha\"."`
	Window   []Window          `json:"window,omitempty" doc:"Maintenance windows of every node that has none of its own."`
}

// Waves are the parts of the fleet that deploy one after the other.
type Waves struct {
	Order []string `json:"order,omitempty" doc:"Names of the waves, the first first."`
}

// A Role is a piece of function that nodes carry.
type Role struct {
	Description    string                 `json:"description,omitempty" doc:"What the role does, for people."`
	Implied        bool                   `json:"implied,omitempty" doc:"Every managed node has the role."`
	Implies        []string               `json:"implies,omitempty" doc:"Roles that a node with this one has too; they are weaker."`
	Conflicts      []string               `json:"conflicts,omitempty" doc:"Roles that no node may have beside this one: it is refused before anything is built."`
	Checks         Checks                 `json:"checks,omitempty" doc:"Health checks of the role's nodes, by name; false removes one that a weaker role gave."`
	Secrets        []Secret               `json:"secrets,omitempty" doc:"Files that must be there before a system is activated: a path, or path, owner, group and mode. Not those that the system itself makes."`
	Drain          []string               `json:"drain,omitempty" type:"command" doc:"Absolute path of a program, and its arguments: run by root before an activation, for at most 5 minutes. If it fails, nothing is activated."`
	Undrain        []string               `json:"undrain,omitempty" type:"command" doc:"Run by root once a system runs after the drain, before it is judged. Tried again until it works."`
	MaxUnavailable int                    `json:"max_unavailable,omitempty" doc:"How many of the role's nodes may be away at once. No effect yet."`
	Wave           string                 `json:"wave,omitempty" doc:"Wave of the role's nodes. A label of the metrics; no effect yet."`
	Rollback       reconcile.RollbackMode `json:"rollback,omitempty" type:"auto, hold, never" doc:"What happens when a trial is not healthy."`
	Reboot         string                 `json:"reboot,omitempty" type:"never, window, auto" doc:"Whether the agent may reboot. No effect yet: it never does."`
}

// A Node is one machine.
type Node struct {
	Hostname      string                 `json:"hostname,omitempty" doc:"Host name, where it is not the node's name."`
	Aliases       []string               `json:"aliases,omitempty" doc:"Other host names."`
	Configuration string                 `json:"configuration,omitempty" doc:"Output of nixosConfigurations, where it is not the node's name."`
	Kind          string                 `json:"kind,omitempty" type:"vm, metal, cloud, template, appliance" doc:"What the node is. Nothing is deployed to a template."`
	Managed       *bool                  `json:"managed,omitempty" doc:"false: nothing is deployed."`
	System        string                 `json:"system,omitempty" doc:"x86_64-linux, aarch64-linux …; a machine of another kind is refused."`
	Roles         []string               `json:"roles,omitempty" doc:"Roles; a later one is stronger."`
	Tags          []string               `json:"tags,omitempty" doc:"For people and other tools."`
	Proxied       *Proxied               `json:"proxied,omitempty" doc:"A reverse proxy stands before the node."`
	Proxy         *Proxy                 `json:"proxy,omitempty"` // not nil: proxied
	Address       string                 `json:"address,omitempty" doc:"IP address or host name; {address} in checks. A word such as unknown or tbd is none."`
	User          string                 `json:"user,omitempty" doc:"User for ssh, for people and other tools."`
	VMID          *int                   `json:"vmid,omitempty" doc:"Id in Proxmox."`
	VMIDReason    string                 `json:"vmid_reason,omitempty" doc:"Why the id is outside of the convention."`
	Ephemeral     bool                   `json:"ephemeral,omitempty" doc:"The node comes and goes."`
	Environment   string                 `json:"environment,omitempty" doc:"production, staging …; a label of the metrics."`
	Wave          string                 `json:"wave,omitempty" doc:"Wave of the node. A label of the metrics; no effect yet."`
	DependsOn     []string               `json:"depends_on,omitempty" doc:"Nodes that must be there first. No effect yet."`
	Window        []Window               `json:"window,omitempty" doc:"Maintenance windows such as Mon..Fri 22:00-02:00 Europe/Berlin: systems are activated only in one of them. Several add up; an end before the start is on the next day; [] is always."`
	Branch        string                 `json:"branch,omitempty" doc:"Branch that the node follows; the agent refuses to follow another. {name} stands for the node's name."`
	Pin           string                 `json:"pin,omitempty" doc:"Commit, 7 to 40 digits: the node stays where it is, and is in sync if it runs this one."`
	Hold          bool                   `json:"hold,omitempty" doc:"true: nothing is deployed."`
	Reason        string                 `json:"reason,omitempty" doc:"Why it is held or pinned: shown in its status."`
	Retire        bool                   `json:"retire,omitempty" doc:"true: the node's next system may be one without infra-agent."`
	Reboot        string                 `json:"reboot,omitempty" type:"never, window, auto" doc:"Whether the agent may reboot. No effect yet: it never does."`
	Rollback      reconcile.RollbackMode `json:"rollback,omitempty" type:"auto, hold, never" doc:"What happens when a trial is not healthy."`
	Checks        Checks                 `json:"checks,omitempty" doc:"Health checks of the node, by name; false removes one of a role."`
	Naming        Naming                 `json:"naming,omitzero"`
	Meta          any                    `json:"meta,omitempty" doc:"Whatever else the fleet wants to keep here."`
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
	Port       int      `json:"port,omitempty" doc:"Port that the proxy talks to."`
	Subdomains []string `json:"subdomains,omitempty" doc:"Names under which the proxy serves the node."`
	Protocol   string   `json:"protocol,omitempty" doc:"http, https, tcp …"`
	Websockets bool     `json:"websockets,omitempty" doc:"The proxy passes web sockets."`
	SSL        bool     `json:"ssl,omitempty" doc:"The proxy talks TLS to the node."`
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
	Exempt bool   `json:"exempt,omitempty" doc:"The node may have a name outside of the convention."`
	Reason string `json:"reason,omitempty" doc:"Why; an exemption needs a reason."`
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
