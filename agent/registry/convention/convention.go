// Package convention validates a registry by the fleet's conventions: names, VM ids,
// roles, and what Nix and Go both read. It knows the rules and, as tables that a
// fleet may replace, what they are about; docs/conventions.md explains each. It does
// not know where a registry comes from, and it changes nothing.
package convention

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/infra-agent/infra-agent/agent/registry"
	"github.com/infra-agent/infra-agent/agent/strict"
)

// An Input is a registry and what is known around it.
type Input struct {
	Name     string           // of the file, as findings say it
	File     *registry.File   // what could be read; nil: nothing
	Problems []strict.Problem // why the agent would refuse the file
	Tables   Tables

	// Discovered reports whether a role that the registry does not define exists all
	// the same, as a module; nil: none does.
	Discovered func(role string) bool
	Outputs    []string       // names of nixosConfigurations; nil: not known
	Previous   *registry.File // what the registry was before a change; nil: not known
}

// A Finding is one thing that a rule has to say.
type Finding struct {
	Rule     string      `json:"rule"` // "format": the file is not a registry, see docs/registry.md
	Severity Severity    `json:"severity"`
	File     string      `json:"file"`
	Line     int         `json:"line,omitempty"`   // from 1; 0: not known
	Column   int         `json:"column,omitempty"` // from 1
	Key      strict.Path `json:"key,omitempty"`
	Node     string      `json:"node,omitempty"`
	Message  string      `json:"message"`
	Fix      string      `json:"fix,omitempty"` // what to do
}

// Check validates a registry by every rule. The findings are in the order of the file.
func Check(in Input) []Finding {
	r := &review{Input: in}
	if in.File != nil {
		r.nodes = nodesOf(in.File, &in.Tables)
		for _, rule := range Rules() {
			r.rule = rule
			switch {
			case rule.fleet != nil:
				rule.fleet(r)
			case rule.node != nil:
				for _, n := range r.nodes {
					rule.node(r, n)
				}
			}
		}
	}
	r.addProblems()
	slices.SortStableFunc(r.found, func(a, b Finding) int {
		return cmp.Or(
			cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Key, b.Key),
			cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Message, b.Message),
		)
	})
	return r.found
}

// A review is one run of all rules over one registry.
type review struct {
	Input
	nodes []*node // in the order of the file
	rule  *Rule   // that is speaking
	found []Finding
}

// say notes a finding of the rule that is speaking, about the value at a path.
func (r *review) say(at strict.Path, n *node, fix, format string, args ...any) {
	r.sayAs(r.rule.Severity, at, n, fix, format, args...)
}

func (r *review) sayAs(s Severity, at strict.Path, n *node, fix, format string, args ...any) {
	s = r.capped(s)
	if s == Off {
		return
	}
	f := Finding{Rule: r.rule.ID, Severity: s, File: r.Name, Key: r.File.Origin(at), Message: fmt.Sprintf(format, args...), Fix: fix}
	f.Line, f.Column = r.File.Position(at)
	if n != nil {
		f.Node = n.name
	}
	r.found = append(r.found, f)
}

// capped lowers a severity to what the fleet asks for.
func (r *review) capped(s Severity) Severity {
	var level string
	switch {
	case r.rule.Always:
		return s
	case strings.HasPrefix(r.rule.ID, "N"):
		level = r.File.Fleet.Naming
	case strings.HasPrefix(r.rule.ID, "V"):
		level = r.File.Fleet.VMID
	default:
		return s
	}
	if level == "" {
		level = "warn"
	}
	limit, err := severityOf(level)
	if err != nil { // the reader has refused it
		return s
	}
	return min(s, limit)
}

// addProblems adds what the reader refused. Where a rule says it too, the rule's
// words are better: they come with a fix.
func (r *review) addProblems() {
	said := map[strict.Path]bool{}
	for _, f := range r.found {
		said[f.Key] = said[f.Key] || f.Severity == Error
	}
	for _, p := range r.Problems {
		if p.Rule == "" && p.Key != "" && said[p.Key] {
			continue
		}
		r.found = append(r.found, Finding{
			Rule: ruleOf(p), Severity: Error, File: p.File, Line: p.Line, Column: p.Column, Key: p.Key, Message: p.Text, Fix: p.Hint,
		})
	}
}

// ruleOf is the rule that a problem of the reader breaks.
func ruleOf(p strict.Problem) string {
	switch {
	case p.Rule != "":
		return p.Rule
	case strings.HasPrefix(string(p.Key), "nodes.") && strings.HasSuffix(string(p.Key), ".vmid"):
		return "V001"
	case strings.HasPrefix(string(p.Key), "nodes.") && strings.HasSuffix(string(p.Key), ".system"):
		return "R006"
	}
	return Format
}

// Format is the rule of findings that are no convention: the file is not a registry.
const Format = "format"
