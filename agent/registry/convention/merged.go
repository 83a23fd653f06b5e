package convention

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/infra-agent/infra-agent/agent/registry"
	"github.com/infra-agent/infra-agent/agent/strict"
)

// mergedRules are about what the agent makes of a node and its roles.
func mergedRules() []*Rule {
	return []*Rule{
		{
			ID: "R010", Severity: Error, Always: true, Scope: "checks", node: r010,
			Text: "The checks of a managed node make sense once they are merged with those of its roles: `{address}` needs the node's `address`, `{domain}` that of `[fleet]`.",
		},
		{
			ID: "R011", Severity: Warn, Scope: "checks", fleet: r011,
			Text: "`checks.NAME = false` removes a check: of one of the node's roles, or for a role of another one.",
		},
		{
			ID: "R012", Severity: Warn, Scope: "address", node: r012,
			Text: "An address is one: `unknown`, `none`, `tbd` and the like are none, and `{address}` does not stand for them.",
		},
		{
			ID: "R013", Severity: Warn, Scope: "hold, pin", node: r013,
			Text: "A node that is held or pinned has a `reason`: its status shows it.",
		},
	}
}

func r010(r *review, n *node) {
	if !n.IsManaged() || n.isTemplate() {
		return
	}
	for _, f := range r.File.Faults(n.name) {
		if slices.ContainsFunc(r.Problems, func(p strict.Problem) bool { return p.Key.Within(f.At) }) {
			continue // it is wrong on every node, and the reader says so
		}
		r.say(placeOf(f, n), n, f.Hint, "check %s: %s", f.Check, f.Text)
	}
}

// placeOf is the node's check, or the node itself when a role has the check.
func placeOf(f registry.Fault, n *node) strict.Path {
	if f.At.Within(n.at) {
		return f.At
	}
	return n.at
}

func r011(r *review) {
	validate := func(at strict.Path, n *node, checks registry.Checks, others []string) {
		for name, c := range checks {
			gives := func(role string) bool { return r.File.Roles[role].Checks[name] != nil }
			if c != nil || slices.ContainsFunc(others, gives) {
				continue
			}
			var given []string
			for _, other := range others {
				given = slices.AppendSeq(given, maps.Keys(r.File.Roles[other].Checks))
			}
			fix := "remove it"
			if near := strict.Nearest(name, given); near != "" {
				fix = fmt.Sprintf("did you mean %q?", near)
			}
			r.say(at.Child("checks").Child(name), n, fix, "there is no check %q to remove", name)
		}
	}
	all := slices.Sorted(maps.Keys(r.File.Roles))
	for name, role := range r.File.Roles {
		others := slices.DeleteFunc(slices.Clone(all), func(other string) bool { return other == name })
		validate(strict.Path("roles").Child(name), nil, role.Checks, others)
	}
	for _, n := range r.nodes {
		if n.IsManaged() {
			validate(n.at, n, n.Checks, n.roles)
		}
	}
}

func r012(r *review, n *node) {
	if n.HasPlaceholder() {
		r.say(n.key("address"), n, "remove it until the address is known", "%q is no address", n.Address)
	}
}

func r013(r *review, n *node) {
	if (n.Hold || n.Pin != "") && strings.TrimSpace(n.Reason) == "" {
		key := "hold"
		if !n.Hold {
			key = "pin"
		}
		r.say(n.key(key), n, `write reason = "why"`, "nothing says why")
	}
}
