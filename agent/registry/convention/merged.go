package convention

import (
	"slices"
	"strings"

	"github.com/infra-agent/infra-agent/agent/registry"
	"github.com/infra-agent/infra-agent/agent/strict"
)

func r010(r *review, n *node) {
	if !n.IsManaged() || n.isTemplate() {
		return
	}
	for _, f := range r.File.Faults(n.name) {
		if slices.ContainsFunc(r.Problems, func(p strict.Problem) bool { return isWithin(p.Key, f.At) }) {
			continue // it is wrong on every node, and the reader says so
		}
		r.say(placeOf(f, n), n, f.Hint, "check %s: %s", f.Check, f.Text)
	}
}

// placeOf is the node's check, or the node itself when a role has the check.
func placeOf(f registry.Fault, n *node) strict.Path {
	if isWithin(f.At, n.at) {
		return f.At
	}
	return n.at
}

func isWithin(inner, outer strict.Path) bool {
	rest, ok := strings.CutPrefix(string(inner), string(outer))
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}
