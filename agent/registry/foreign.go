package registry

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/infra-agent/infra-agent/agent/strict"
)

// A Mapping says where a file of another format, TOML or JSON, keeps what the agent
// needs. Paths are keys with dots between them; all but Nodes start at a node.
type Mapping struct {
	Nodes       string // a table of nodes by name, or a list of nodes that have a Hostname
	Roles       string // a list of names, one name, or a table of switches; "" = no roles
	System      string // "" = not known
	Hostname    string // "" = the node's name
	ManagedWhen string // "key", "!key", "key=value" or "key!=value", of a list: contains; "" = always
}

// document makes a registry of ours of a file of another format. Its problems are said
// of where in the file they come from.
func (m Mapping) document(name string, data []byte) (*strict.Document, error) {
	source, err := m.source(name, data)
	if err != nil {
		return nil, err
	}
	entries, err := m.entries(tables(source))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if m.ManagedWhen != "" && len(entries) > 0 && !m.managesAny(entries) {
		return nil, fmt.Errorf("%s: registry.map.managed_when: %q holds for no node of %s (hint: %s)", name, m.ManagedWhen, m.Nodes, m.managedHint(entries))
	}
	nodes, origins := m.nodes(entries)
	return source.Derive(map[string]any{"schema": int64(latest), "nodes": nodes}, origins), nil
}

// source reads the file as it is.
func (m Mapping) source(name string, data []byte) (*strict.Document, error) {
	if isJSON(name) {
		root, err := object(data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		return strict.FromValues(name, root), nil
	}
	source, err := strict.ParsePart(name, string(data), m.part())
	if err != nil {
		return nil, err
	}
	return source, unreadable(source.Err())
}

// unreadable is what an error says of the text itself. Values such as dates, which
// only Nix would not read, are the other tool's own.
func unreadable(err error) error {
	e, ok := errors.AsType[*strict.Error](err)
	if !ok {
		return nil
	}
	e.Problems = slices.DeleteFunc(e.Problems, func(p strict.Problem) bool { return p.Key != "" })
	if len(e.Problems) == 0 {
		return nil
	}
	return e
}

// part is what of a table of nodes the mapping speaks of.
func (m Mapping) part() *strict.Part {
	managed, _, _, _ := m.condition()
	var wanted []string
	for _, path := range []string{m.Roles, m.System, m.Hostname, managed} {
		key, _, _ := strings.Cut(path, ".")
		wanted = append(wanted, key)
	}
	return &strict.Part{Table: strings.Split(m.Nodes, "."), Wanted: func(_, key string) bool { return slices.Contains(wanted, key) }}
}

// An entry is a node as the file has it.
type entry struct {
	value any
	at    strict.Path
}

// entries finds the nodes by their names.
func (m Mapping) entries(root map[string]any) (map[string]entry, error) {
	found, ok := lookup(root, m.Nodes)
	if !ok {
		return nil, fmt.Errorf("registry.map.nodes: the file has no %s", m.Nodes)
	}
	if tables, ok := found.([]map[string]any); ok {
		list := make([]any, len(tables))
		for i, v := range tables {
			list[i] = v
		}
		found = list
	}
	entries, at := map[string]entry{}, below("", m.Nodes)
	switch found := found.(type) {
	case map[string]any:
		for name, v := range found {
			entries[name] = entry{v, at.Child(name)}
		}
	case []any:
		for i, v := range found {
			name, _ := lookup(v, m.Hostname)
			text, isText := name.(string)
			if _, twice := entries[text]; !isText || m.Hostname == "" || twice {
				return nil, fmt.Errorf("%s[%d]: registry.map.hostname must name a key whose text tells the nodes of a list apart", m.Nodes, i)
			}
			entries[text] = entry{v, at.Elem(i)}
		}
	default:
		return nil, fmt.Errorf("registry.map.nodes: %s is neither a table nor a list", m.Nodes)
	}
	return entries, nil
}

// nodes makes the nodes' tables of ours, and says where what is in them comes from.
func (m Mapping) nodes(entries map[string]entry) (nodes map[string]any, origins map[strict.Path]strict.Path) {
	nodes, origins = map[string]any{}, map[strict.Path]strict.Path{}
	for name, e := range entries {
		managed := m.managed(e.value)
		node, at := map[string]any{"managed": managed}, strict.Path("nodes").Child(name)
		origins[at] = e.at
		for key, path := range map[string]string{"system": m.System, "hostname": m.Hostname, "roles": m.Roles} {
			v, ok := lookup(e.value, path)
			if !ok || key == "roles" && !managed { // no agent is there: rule R005
				continue
			}
			if key == "roles" {
				v = roles(v)
			}
			node[key], origins[at.Child(key)] = v, below(e.at, path)
		}
		nodes[name] = node
	}
	return nodes, origins
}

// condition takes ManagedWhen apart.
func (m Mapping) condition() (key, want string, compares, not bool) {
	if key, want, compares = strings.Cut(m.ManagedWhen, "="); compares {
		key, not = strings.CutSuffix(key, "!")
	} else {
		key, not = strings.CutPrefix(key, "!")
	}
	return key, want, compares, not
}

// managed reports whether ManagedWhen holds for a node. A key that is missing is not true, and has no value; a
// list has the values that it contains.
func (m Mapping) managed(node any) bool {
	key, want, compares, not := m.condition()
	v, ok := lookup(node, key)
	switch {
	case m.ManagedWhen == "":
		return true
	case !compares:
		return (v == true) != not
	}
	list, isList := v.([]any)
	if !isList {
		list = []any{v}
	}
	return (ok && slices.ContainsFunc(list, func(v any) bool { return fmt.Sprint(v) == want })) != not
}

func (m Mapping) managesAny(entries map[string]entry) bool {
	for _, e := range entries {
		if m.managed(e.value) {
			return true
		}
	}
	return false
}

// managedHint says what the nodes have at the key of ManagedWhen.
func (m Mapping) managedHint(entries map[string]entry) string {
	const few = 3
	key, _, _, _ := m.condition()
	seen := map[string]bool{}
	for _, e := range entries {
		if v, ok := lookup(e.value, key); ok {
			seen[fmt.Sprintf("%v", v)] = true
		}
	}
	values := slices.Sorted(maps.Keys(seen))
	if len(values) == 0 {
		return fmt.Sprintf("none of them has the key %s", key)
	}
	return fmt.Sprintf("their %s is %s", key, strings.Join(values[:min(few, len(values))], ", "))
}

// roles makes a list of names. What is neither of the forms is left for the strict
// reader to refuse.
func roles(v any) any {
	switch v := v.(type) {
	case string:
		return []any{v}
	case map[string]any:
		var on []any
		for _, name := range slices.Sorted(maps.Keys(v)) {
			enable, _ := lookup(v[name], "enable")
			if v[name] != false && enable != false {
				on = append(on, name)
			}
		}
		return on
	}
	return v
}

// lookup follows a path of keys. An empty path leads nowhere.
func lookup(v any, path string) (any, bool) {
	if path == "" {
		return nil, false
	}
	for key := range strings.SplitSeq(path, ".") {
		table, ok := v.(map[string]any)
		if !ok {
			return nil, false
		}
		if v, ok = table[key]; !ok {
			return nil, false
		}
	}
	return v, true
}

// below is the path at the end of a path of keys.
func below(at strict.Path, path string) strict.Path {
	for key := range strings.SplitSeq(path, ".") {
		at = at.Child(key)
	}
	return at
}
