package convention

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/infra-agent/infra-agent/agent/strict"
)

func roleRules() []*Rule {
	return []*Rule{
		{
			ID: "R001", Severity: Error, Always: true, Scope: "roles", fleet: r001,
			Text: "A role that is named is defined in `[roles]`, has a module `roles/NAME.nix` or `roles/NAME/`, or `flake.nix` speaks of `role-NAME`. In `conflicts` it is a warning.",
		},
		{
			ID: "R002", Severity: Error, Always: true, Scope: "roles", node: r002,
			Text: "No two roles of a node conflict, those that others imply included.",
		},
		{
			ID: "R003", Severity: Warn, Scope: "roles, system", node: r003,
			Text: "`proxmox-arm` goes with `aarch64-linux`, the other Proxmox templates (optimized, legacy, builder) with `x86_64-linux`.",
		},
	}
}

func r001(r *review) {
	defined := slices.Sorted(maps.Keys(r.File.Roles))
	validate := func(severity Severity, at strict.Path, n *node, named []string) {
		for i, role := range named {
			_, ok := r.File.Roles[role]
			if ok || role == "" || r.Discovered != nil && r.Discovered(role) {
				continue
			}
			fix := fmt.Sprintf("add [roles.%s], or a module roles/%s.nix", role, role)
			if near := strict.Nearest(role, defined); near != "" {
				fix = fmt.Sprintf("did you mean %q?", near)
			}
			r.sayAs(severity, at.Elem(i), n, fix, "role %q is not defined", role)
		}
	}
	for name, role := range r.File.Roles {
		validate(Error, strict.Path("roles").Child(name).Child("implies"), nil, role.Implies)
		validate(Warn, strict.Path("roles").Child(name).Child("conflicts"), nil, role.Conflicts)
	}
	for _, n := range r.nodes {
		validate(Error, n.key("roles"), n, n.Roles)
	}
}

func r002(r *review, n *node) {
	for i, role := range n.roles {
		for _, other := range n.roles[i+1:] {
			if r.conflict(role, other) || r.conflict(other, role) {
				fix := "remove one"
				if !slices.Contains(n.Roles, role) || !slices.Contains(n.Roles, other) {
					fix = "remove one; a role implies the other, see registry show " + n.name
				}
				r.say(n.key("roles"), n, fix, "the roles %s and %s conflict", role, other)
			}
		}
	}
}

func (r *review) conflict(role, other string) bool {
	return slices.Contains(r.File.Roles[role].Conflicts, other)
}

// templateSystems are the systems of the images that Proxmox starts machines from.
var templateSystems = map[string]string{
	"proxmox-arm": "aarch64-linux", "proxmox-optimized": "x86_64-linux", "proxmox-legacy": "x86_64-linux", "proxmox-builder": "x86_64-linux",
}

func r003(r *review, n *node) {
	for _, role := range n.roles {
		want := templateSystems[strings.Replace(role, "proxmox-x86-", "proxmox-", 1)]
		if want != "" && n.System != "" && n.System != want {
			r.say(n.key("system"), n, fmt.Sprintf("write system = %q, or another template's role", want), "role %s is of a template for %s", role, want)
		}
	}
}
