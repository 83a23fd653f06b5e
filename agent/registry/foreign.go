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
	ManagedWhen string // "key", "!key", "key=value" or "key!=value"; "" = always
}

// foreign reads the file with the mapping.
func (r Resolver) foreign(dir string) (reader, error) {
	data, err := r.read(dir)
	if err != nil {
		return nil, refused("read the registry %s: %w", r.File, err)
	}
	var root map[string]any
	if isJSON(r.File) {
		if root, err = object(data); err != nil {
			return nil, refused("%s: %w", r.File, err)
		}
	} else {
		d, err := strict.ParsePart(r.File, string(data), r.Mapping.part())
		if err != nil {
			return nil, refused("%w", err)
		}
		if err := unreadable(d.Err()); err != nil {
			return nil, refused("%w", err)
		}
		root = tables(d)
	}
	nodes, err := r.Mapping.nodes(root)
	if err != nil {
		return nil, refused("%s: %w", r.File, err)
	}
	return ofValues(strict.FromValues(r.File, map[string]any{"schema": int64(1), "nodes": nodes})), nil
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
	managed, _, _ := strings.Cut(strings.TrimPrefix(m.ManagedWhen, "!"), "=")
	var wanted []string
	for _, path := range []string{m.Roles, m.System, m.Hostname, strings.TrimSuffix(managed, "!")} {
		key, _, _ := strings.Cut(path, ".")
		wanted = append(wanted, key)
	}
	return &strict.Part{Table: strings.Split(m.Nodes, "."), Wanted: func(_, key string) bool { return slices.Contains(wanted, key) }}
}

// explained names the places of the file itself in an error about a node.
func (m Mapping) explained(err error, node string) error {
	e, ok := errors.AsType[*strict.Error](err)
	if !ok {
		return err
	}
	keys := map[string]string{"roles": m.Roles, "system": m.System, "hostname": m.Hostname}
	for i, p := range e.Problems {
		rest, isNode := strings.CutPrefix(string(p.Key), string(strict.Path("nodes").Child(node)))
		if !isNode {
			continue
		}
		at := m.Nodes + strings.TrimPrefix(string(strict.Path("n").Child(node)), "n")
		if rest != "" {
			key, index, isElem := strings.Cut(rest[1:], "[")
			at += "." + keys[key]
			if isElem {
				at += "[" + index
			}
		}
		e.Problems[i].Key = strict.Path(at)
	}
	return e
}

// nodes makes the nodes' tables of ours.
func (m Mapping) nodes(root map[string]any) (map[string]any, error) {
	found, ok := lookup(root, m.Nodes)
	if !ok {
		return nil, fmt.Errorf("registry.map.nodes: the file has no %s", m.Nodes)
	}
	named := map[string]any{}
	switch found := found.(type) {
	case map[string]any:
		named = found
	case []any:
		for i, v := range found {
			name, _ := lookup(v, m.Hostname)
			text, isText := name.(string)
			if _, twice := named[text]; !isText || m.Hostname == "" || twice {
				return nil, fmt.Errorf("%s[%d]: registry.map.hostname must name a key whose text tells the nodes of a list apart", m.Nodes, i)
			}
			named[text] = v
		}
	case []map[string]any:
		list := make([]any, len(found))
		for i, v := range found {
			list[i] = v
		}
		return Mapping{"n", m.Roles, m.System, m.Hostname, m.ManagedWhen}.nodes(map[string]any{"n": list})
	default:
		return nil, fmt.Errorf("registry.map.nodes: %s is neither a table nor a list", m.Nodes)
	}
	nodes := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(named)) {
		node := map[string]any{"managed": m.managed(named[name])}
		for key, path := range map[string]string{"system": m.System, "hostname": m.Hostname} {
			if v, ok := lookup(named[name], path); ok {
				node[key] = v
			}
		}
		if v, ok := lookup(named[name], m.Roles); ok {
			node["roles"] = roles(v)
		}
		nodes[name] = node
	}
	return nodes, nil
}

// managed judges ManagedWhen. A key that is missing is not true, and has no value.
func (m Mapping) managed(node any) bool {
	key, want, compares := strings.Cut(m.ManagedWhen, "=")
	if !compares {
		name, not := strings.CutPrefix(m.ManagedWhen, "!")
		v, _ := lookup(node, name)
		return m.ManagedWhen == "" || (v == true) != not
	}
	key, not := strings.CutSuffix(key, "!")
	v, ok := lookup(node, key)
	return (ok && fmt.Sprint(v) == want) != not
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
