package registry

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/infra-agent/infra-agent/agent/strict"
	"github.com/infra-agent/infra-agent/reconcile"
)

// A Fault is a check that makes no sense on one node, for which the agent refuses it.
type Fault struct {
	Check string
	At    strict.Path // of the check, where it is given
	Text  string
	Hint  string
}

// Faults returns what is wrong with a node's checks once they are merged.
func (f *File) Faults(name string) []Fault {
	n := f.Nodes[name]
	_, faults := f.checks(name, n, f.RolesOf(n))
	return faults
}

// checks merges the checks of a node and of its roles, the weakest first, and fills
// the node's values in. One that only a newer version can run is left out, and what it
// replaces with it.
func (f *File) checks(name string, n Node, roles []string) (all []reconcile.Check, faults []Fault) {
	merged, from := Checks{}, map[string]strict.Path{}
	add := func(at strict.Path, checks Checks) {
		maps.Copy(merged, checks)
		for check := range checks {
			from[check] = at.Child("checks").Child(check)
		}
	}
	for _, role := range roles {
		add(strict.Path("roles").Child(role), f.Roles[role].Checks)
	}
	add(strict.Path("nodes").Child(name), n.Checks)
	values := placeholders{"address": n.host(), "node": name, "domain": f.Fleet.Domain}
	for _, check := range slices.Sorted(maps.Keys(merged)) {
		if merged[check] == nil || f.newer.has(from[check]) {
			continue
		}
		c, left := values.fill(*merged[check])
		if left != "" {
			faults = append(faults, Fault{check, from[check], fmt.Sprintf("it needs %s, which the registry does not give", left), missing[left]})
		} else if problems := problemsOf(c); problems != "" {
			faults = append(faults, Fault{check, from[check], problems, ""})
		}
		all = append(all, c)
	}
	return all, faults
}

// missing says where the value of a placeholder belongs.
var missing = map[string]string{
	"{address}": `give the node an address = "…"`, "{domain}": `write domain = "…" into [fleet]`,
}

// said is why a node is refused, a line each.
func said(node string, faults []Fault) string {
	lines := make([]string, len(faults))
	for i, f := range faults {
		lines[i] = fmt.Sprintf("check %s of node %s: %s", f.Check, node, f.Text)
		if f.Hint != "" {
			lines[i] += " (hint: " + f.Hint + ")"
		}
	}
	return strings.Join(lines, "\n")
}
