package convention

import (
	_ "embed"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/infra-agent/infra-agent/agent/strict"
)

// Tables are what the rules about names and VM ids are about.
type Tables struct {
	Naming Naming
	VMID   VMID
}

// Naming is how nodes are called, see naming.toml.
type Naming struct {
	Schema   int      `toml:"schema"`
	Format   Shape    `toml:"format"`
	Prefixes []Prefix `toml:"prefix"`
	Same     []Same   `toml:"same"`

	format *regexp.Regexp
}

// Shape is the form of a name.
type Shape struct {
	Pattern      string   `toml:"pattern"` // with the groups purpose and nn
	Strict       string   `toml:"strict"`  // the same for purposes of one word
	Mode         string   `toml:"mode"`    // default, strict
	Digits       int      `toml:"digits"`
	First        int      `toml:"first"`
	Last         int      `toml:"last"`
	Length       int      `toml:"length"` // that a name should not exceed
	Reserved     []string `toml:"reserved"`
	Environments []string `toml:"environments"` // that a name should not start with
}

// A Prefix is the purpose, or the first words of the purpose, in a name.
type Prefix struct {
	ID       string   `toml:"id"`
	Category string   `toml:"category"`
	Label    string   `toml:"label"`
	VMID     []string `toml:"vmid"` // ranges that suit it
}

// Same are prefixes that mean the same.
type Same struct {
	Prefixes []string `toml:"prefixes"`
}

// VMID is how VM ids are given out, see vmid.toml.
type VMID struct {
	Schema  int     `toml:"schema"`
	Classes []Class `toml:"class"`
	Ranges  []Range `toml:"range"`
}

// A Class is a part of the VM ids with a policy.
type Class struct {
	ID      string   `toml:"id"`
	From    int      `toml:"from"`
	To      int      `toml:"to"`
	Label   string   `toml:"label"`
	Policy  string   `toml:"policy"`  // allow, forbid, template-only, allow-ephemeral
	Refuses []string `toml:"refuses"` // environments that do not belong here
}

// A Range is a part of a class with a purpose.
type Range struct {
	ID           string   `toml:"id"`
	Class        string   `toml:"class"`
	Group        string   `toml:"group"`
	From         int      `toml:"from"`
	To           int      `toml:"to"`
	Label        string   `toml:"label"`
	Policy       string   `toml:"policy"`       // allow, reserved
	Environments []string `toml:"environments"` // that it is meant for; none: any
}

// What the policies of classes and ranges are called.
const (
	allow          = "allow"
	forbid         = "forbid"
	templateOnly   = "template-only"
	allowEphemeral = "allow-ephemeral"
	reserved       = "reserved"
)

//go:embed naming.toml
var namingTOML []byte

//go:embed vmid.toml
var vmidTOML []byte

// Default returns the tables that come with the agent.
func Default() Tables {
	naming, err := ParseNaming("naming.toml", namingTOML)
	if err != nil {
		panic(err)
	}
	vmid, err := ParseVMID("vmid.toml", vmidTOML)
	if err != nil {
		panic(err)
	}
	return Tables{naming, vmid}
}

// ParseNaming reads a table of names; it replaces the whole default table. The error
// is a [*strict.Error] with every problem.
func ParseNaming(name string, data []byte) (Naming, error) {
	d, err := strict.Parse(name, data)
	if err != nil {
		return Naming{}, err
	}
	n := Naming{Format: Shape{Mode: "default", Digits: 2, First: 1, Last: 99, Length: 15}}
	d.Decode(&n)
	validateSchema(d, n.Schema)
	at := strict.Path("format")
	pattern, key := n.Format.Pattern, at.Child("pattern")
	switch n.Format.Mode {
	case "default":
	case "strict":
		pattern, key = n.Format.Strict, at.Child("strict")
	default:
		d.Problemf(at.Child("mode"), "", "%q is none of default, strict", n.Format.Mode)
	}
	if n.format, err = regexp.Compile(pattern); err != nil {
		d.Problemf(key, "", "%v", err)
	} else if n.format.SubexpIndex("purpose") < 0 || n.format.SubexpIndex("nn") < 0 {
		d.Problemf(key, "write (?P<purpose>…) and (?P<nn>…)", "it needs the groups purpose and nn")
	}
	if n.Format.Digits < 1 || n.Format.First < 0 || n.Format.Last < n.Format.First || n.Format.Length < 1 {
		d.Problemf(at, "", "digits and length are 1 or more, and first is not after last")
	}
	for i, p := range n.Prefixes {
		if p.ID == "" || slices.ContainsFunc(n.Prefixes[:i], func(q Prefix) bool { return q.ID == p.ID }) {
			d.Problemf(strict.Path("prefix").Elem(i), "", "its id %q is empty or given twice", p.ID)
		}
	}
	return n, d.Err()
}

// ParseVMID reads a table of VM ids; it replaces the whole default table. The error
// is a [*strict.Error] with every problem.
func ParseVMID(name string, data []byte) (VMID, error) {
	d, err := strict.Parse(name, data)
	if err != nil {
		return VMID{}, err
	}
	var v VMID
	d.Decode(&v)
	validateSchema(d, v.Schema)
	for i, c := range v.Classes {
		at := strict.Path("class").Elem(i)
		if !slices.Contains([]string{allow, forbid, templateOnly, allowEphemeral}, c.Policy) {
			d.Problemf(at.Child("policy"), "", "%q is none of %s, %s, %s, %s", c.Policy, allow, forbid, templateOnly, allowEphemeral)
		}
		for _, other := range v.Classes[:i] {
			validateSpan(d, at, c.ID, c.From, c.To, other.ID, other.From, other.To)
		}
	}
	for i, r := range v.Ranges {
		at := strict.Path("range").Elem(i)
		if r.Policy != allow && r.Policy != reserved {
			d.Problemf(at.Child("policy"), "", "%q is none of %s, %s", r.Policy, allow, reserved)
		}
		if c := v.class(r.From); c == nil || c.ID != r.Class || r.To > c.To {
			d.Problemf(at, "", "%s, %d-%d, is not inside of the class %q", r.ID, r.From, r.To, r.Class)
		}
		for _, other := range v.Ranges[:i] {
			validateSpan(d, at, r.ID, r.From, r.To, other.ID, other.From, other.To)
		}
	}
	return v, d.Err()
}

func validateSchema(d *strict.Document, schema int) {
	if schema != 1 {
		d.Problemf("schema", "write schema = 1", "this version reads schema 1, not %d", schema)
	}
}

// validateSpan compares one class or range with an earlier one.
func validateSpan(d *strict.Document, at strict.Path, id string, from, to int, other string, otherFrom, otherTo int) {
	switch {
	case id == "" || id == other:
		d.Problemf(at, "", "its id %q is empty or given twice", id)
	case from > to:
		d.Problemf(at, "", "%s: %d is after %d", id, from, to)
	case from <= otherTo && otherFrom <= to:
		d.Problemf(at, "", "%s, %d-%d, and %s, %d-%d, overlap", id, from, to, other, otherFrom, otherTo)
	}
}

// class returns the class of a VM id; nil when it has none.
func (v *VMID) class(id int) *Class {
	for i, c := range v.Classes {
		if c.From <= id && id <= c.To {
			return &v.Classes[i]
		}
	}
	return nil
}

// rangeOf returns the range of a VM id; nil when it has none.
func (v *VMID) rangeOf(id int) *Range {
	for i, r := range v.Ranges {
		if r.From <= id && id <= r.To {
			return &v.Ranges[i]
		}
	}
	return nil
}

// named returns the range with an id; nil when there is none.
func (v *VMID) named(id string) *Range {
	for i, r := range v.Ranges {
		if r.ID == id {
			return &v.Ranges[i]
		}
	}
	return nil
}

func (r Range) String() string { return fmt.Sprintf("%s %d-%d (%s)", r.ID, r.From, r.To, r.Label) }

// prefix returns a listed prefix; nil when it is not listed.
func (n *Naming) prefix(id string) *Prefix {
	for i, p := range n.Prefixes {
		if p.ID == id {
			return &n.Prefixes[i]
		}
	}
	return nil
}

// begins returns the prefixes that a purpose may begin with, the longest first: of
// starr-jellyfin it is starr-jellyfin itself, then starr.
func begins(purpose string) []string {
	var all []string
	for ; purpose != ""; purpose = purpose[:max(0, strings.LastIndexByte(purpose, '-'))] {
		all = append(all, purpose)
	}
	return all
}
