package convention

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/infra-agent/infra-agent/agent/registry"
	"github.com/infra-agent/infra-agent/agent/strict"
)

// A node is one of the registry's, with its name taken apart.
type node struct {
	registry.Node
	name  string
	at    strict.Path
	roles []string // with implied ones; none when it is not managed

	purpose string // starr-jellyfin of starr-jellyfin-01; "" = the name has another form
	digits  string // 01
	prefix  string // known prefix of the purpose, or its first word; without an environment
	known   bool   // the prefix is listed, the fleet's own, or an alias of one that is
}

// nodesOf returns the nodes in the order of the file.
func nodesOf(f *registry.File, t *Tables) []*node {
	type place struct {
		*node
		line, column int
	}
	places := make([]place, 0, len(f.Nodes))
	for name, given := range f.Nodes {
		n := &node{Node: given, name: name, at: strict.Path("nodes").Child(name)}
		if n.IsManaged() {
			n.roles = f.RolesOf(given)
		}
		if n.purpose, n.digits = t.Naming.split(name); n.purpose != "" {
			n.prefix, n.known = t.Naming.prefixOf(f.Fleet, t.Naming.withoutEnvironment(n.purpose))
		}
		line, column := f.Position(n.at)
		places = append(places, place{n, line, column})
	}
	slices.SortFunc(places, func(a, b place) int {
		return cmp.Or(cmp.Compare(a.line, b.line), cmp.Compare(a.column, b.column), cmp.Compare(a.name, b.name))
	})
	nodes := make([]*node, len(places))
	for i, p := range places {
		nodes[i] = p.node
	}
	return nodes
}

// key is the path of one of the node's values.
func (n *node) key(name string) strict.Path { return n.at.Child(name) }

// isTemplate reports whether the node is an image for others, which runs no agent.
func (n *node) isTemplate() bool { return n.Kind == "template" }

// number is the digits' value; -1 when the name has none.
func (n *node) number() int {
	if i, err := strconv.Atoi(n.digits); err == nil {
		return i
	}
	return -1
}

var (
	numbered = regexp.MustCompile(`^([a-z][a-z0-9]*(?:-[a-z][a-z0-9]*)*)-([0-9]{1,6})$`) // with any number of digits
	ending   = regexp.MustCompile(`^(.*?)-*([0-9]{1,6})$`)
	illegal  = regexp.MustCompile(`[^a-z0-9-]+`)
)

// split takes a name apart, as it would be in lower case and with legal letters:
// what is wrong with those is another rule's matter.
func (n *Naming) split(name string) (purpose, digits string) {
	plain := legal(name)
	if m := n.format.FindStringSubmatch(plain); m != nil {
		return m[n.format.SubexpIndex("purpose")], m[n.format.SubexpIndex("nn")]
	}
	if m := numbered.FindStringSubmatch(plain); m != nil && n.Format.Mode != "strict" {
		return m[1], m[2]
	}
	return "", ""
}

// legal is the nearest DNS label to a name; of a name with dots, to its first label.
func legal(name string) string {
	name, _, _ = strings.Cut(strings.ToLower(name), ".")
	return strings.Trim(illegal.ReplaceAllString(name, "-"), "-")
}

// withoutEnvironment is a purpose without a word such as "dev" before it.
func (n *Naming) withoutEnvironment(purpose string) string {
	first, rest, ok := strings.Cut(purpose, "-")
	if ok && slices.Contains(n.Format.Environments, first) {
		return rest
	}
	return purpose
}

// prefixOf finds the prefix in a purpose: the longest that is known, or its first word.
func (n *Naming) prefixOf(fleet registry.Fleet, purpose string) (prefix string, known bool) {
	for _, prefix := range begins(purpose) {
		if n.isKnown(fleet, prefix) {
			return prefix, true
		}
	}
	first, _, _ := strings.Cut(purpose, "-")
	return first, false
}

// isKnown reports whether a prefix is listed, the fleet's own, or an alias.
func (n *Naming) isKnown(fleet registry.Fleet, prefix string) bool {
	if n.prefix(prefix) != nil || slices.Contains(fleet.Prefixes, prefix) {
		return true
	}
	for a, b := range fleet.Aliases {
		if a == prefix || b == prefix {
			return true
		}
	}
	return false
}

// same returns the prefixes that mean the same as one, itself included, sorted.
func (n *Naming) same(fleet registry.Fleet, prefix string) []string {
	group := []string{prefix}
	for i := 0; i < len(group); i++ {
		for _, s := range n.Same {
			if slices.Contains(s.Prefixes, group[i]) {
				group = append(group, s.Prefixes...)
			}
		}
		for a, b := range fleet.Aliases {
			if a == group[i] || b == group[i] {
				group = append(group, a, b)
			}
		}
		group = unique(group)
	}
	slices.Sort(group)
	return group
}

// unique drops what was there before.
func unique(list []string) []string {
	seen := map[string]bool{}
	return slices.DeleteFunc(list, func(s string) bool {
		twice := seen[s]
		seen[s] = true
		return twice
	})
}
