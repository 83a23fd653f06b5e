package registry

import (
	"fmt"
	"maps"
	"regexp"
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
// the node's values in.
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
		if merged[check] == nil {
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

// placeholders are the words in braces that a check's texts may contain. Those without
// a value stay as they are.
type placeholders map[string]string

var (
	placeholder = regexp.MustCompile(`\{[^{}]*\}`)
	ours        = regexp.MustCompile(`\{(address|domain|node)\}`)
)

// fill returns c with its placeholders filled in, and one that is left over. Where
// braces may mean something else, in a program's arguments for example, only those
// that are ours count.
func (p placeholders) fill(c reconcile.Check) (filled reconcile.Check, left string) {
	c.Command = slices.Clone(c.Command)
	fill := func(words *regexp.Regexp, isURL bool, texts ...*string) {
		for _, text := range texts {
			*text = p.text(*text, isURL)
			if left == "" {
				left = words.FindString(*text)
			}
		}
	}
	fill(placeholder, true, &c.Target, &c.Server)
	fill(placeholder, false, &c.Answer)
	fill(ours, false, &c.Unit, &c.Path, &c.Contains)
	for i := range c.Command {
		fill(ours, true, &c.Command[i])
	}
	return c, left
}

// text fills one text in. In what may be a URL an IPv6 address gets brackets, but
// where it stands alone.
func (p placeholders) text(text string, isURL bool) string {
	for word, value := range p {
		if value == "" {
			continue
		}
		if strings.Contains(value, ":") && isURL && text != "{"+word+"}" {
			text = strings.ReplaceAll(text, "[{"+word+"}]", "{"+word+"}")
			value = "[" + value + "]"
		}
		text = strings.ReplaceAll(text, "{"+word+"}", value)
	}
	return text
}
