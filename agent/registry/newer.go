package registry

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/infra-agent/infra-agent/agent/strict"
)

// A node reads registries that are newer than its agent: the agent that is to be
// replaced reads the one that came with its successor. It takes what it knows, and
// leaves the rest to the successor. This is what may be left, and nothing else:
//
//   - a key that is none of those known, nor like one of them, with all that is in it;
//   - such a word for what decides nothing about a deployment: the kind of a node,
//     reboot, and the severities of conventions;
//   - a check of such a kind, or with such a key: without it, it would ask something
//     else. What it replaces is left out too.
//
// A slip of a known word is a mistake, and so is whatever is wrong in a known field:
// a window or a way of rolling back that is not understood must not be guessed.
// Whoever adds a word to the format keeps it unlike the others of its table, or raises
// the schema.

// latest is the newest schema that this version knows. A file with a later one is read when its
// min_reader allows it; then no unknown word is taken for a slip.
const latest = 1

func (f *File) readable() bool { return f.MinReader >= 1 && f.MinReader <= latest }

// isLater reports whether a file is of a later schema, and may be read all the same.
func isLater(root map[string]any) bool {
	version, _ := root["schema"].(int64)
	reader, _ := root["min_reader"].(int64)
	return version > latest && reader >= 1 && reader <= latest
}

// newer is what a file leaves to a newer version.
type newer struct {
	found  []strict.Problem
	checks []strict.Path // that this version cannot run
}

// leave sorts out what only a newer version can validate. The rest of a check that has
// some of it may be wrong for that reason, and counts with it.
func (f *File) leave(err error) {
	e, ok := errors.AsType[*strict.Error](err)
	if !ok {
		return
	}
	for _, p := range e.Problems {
		if p.Newer {
			f.newer.found = append(f.newer.found, p)
		}
	}
	if f.newer.found == nil {
		return
	}
	for name, role := range f.Roles {
		f.newer.leaveChecks(strict.Path("roles").Child(name), role.Checks)
	}
	for name, node := range f.Nodes {
		f.newer.leaveChecks(strict.Path("nodes").Child(name), node.Checks)
	}
	slices.Sort(f.newer.checks)
	for i, p := range e.Problems {
		isLeft := func(check strict.Path) bool { return p.Key.Within(check) }
		e.Problems[i].Newer = p.Newer || p.Rule == "" && slices.ContainsFunc(f.newer.checks, isLeft)
	}
}

func (n *newer) leaveChecks(at strict.Path, checks Checks) {
	for name := range checks {
		check := at.Child("checks").Child(name)
		if slices.ContainsFunc(n.found, func(p strict.Problem) bool { return p.Key.Within(check) }) {
			n.checks = append(n.checks, check)
		}
	}
}

// has reports whether the check at a path is left to a newer version.
func (n newer) has(check strict.Path) bool { return slices.Contains(n.checks, check) }

// warnings says what of all that concerns a node is left out.
func (n newer) warnings(node string, roles []string) []string {
	concerns := func(at strict.Path) bool {
		for table, own := range map[strict.Path][]string{"roles": roles, "nodes": {node}} {
			inOwn := func(name string) bool { return at.Within(table.Child(name)) }
			if at.Within(table) && at != table && !slices.ContainsFunc(own, inOwn) {
				return false
			}
		}
		return true
	}
	var said, keys []string
	for _, check := range n.checks {
		if concerns(check) {
			said = append(said, fmt.Sprintf("%s is not run: this version does not know all of it (hint: a newer agent runs it, from its next deployment on)", check))
		}
	}
	for _, p := range n.found {
		inCheck := func(check strict.Path) bool { return p.Key.Within(check) }
		if concerns(p.Key) && !slices.ContainsFunc(n.checks, inCheck) {
			keys = append(keys, string(p.Key))
		}
	}
	if keys != nil {
		said = append(said, "left to a newer agent, for this version does not know it: "+strings.Join(keys, ", "))
	}
	return said
}

// mistakes is an error without what is left to a newer version; nil when nothing else is wrong.
func mistakes(err error) error {
	e, ok := errors.AsType[*strict.Error](err)
	if !ok {
		return err
	}
	all := slices.DeleteFunc(slices.Clone(e.Problems), func(p strict.Problem) bool { return p.Newer })
	if len(all) == 0 {
		return nil
	}
	return &strict.Error{Problems: all}
}
