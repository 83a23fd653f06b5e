package registry

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/infra-agent/infra-agent/reconcile"
)

// target merges what the registry says about one node: implied roles, then its
// roles, then the node itself. Later words replace earlier ones; checks add up by
// name, and a check that is false removes an earlier one.
func (f *File) target(name string, n Node) (reconcile.Target, error) {
	roles := f.RolesOf(n)
	if err := f.conflict(name, roles); err != nil {
		return reconcile.Target{}, err
	}
	t := reconcile.Target{
		Node: name, Configuration: cmp.Or(n.Configuration, name), Environment: n.Environment,
		Pin: n.Pin, Retire: n.Retire, Warnings: slices.Concat(f.warnings(n, roles), f.newer.warnings(name, roles)),
	}
	if n.Hold {
		t.Hold = cmp.Or(n.Reason, "no reason given")
	}
	if n.Pin != "" {
		t.PinReason = n.Reason
	}
	for _, role := range roles {
		r := f.Roles[role]
		t.Roles = append(t.Roles, reconcile.Role(role))
		t.Wave, t.Rollback = cmp.Or(r.Wave, t.Wave), cmp.Or(r.Rollback, t.Rollback)
		for _, s := range r.Secrets {
			t.Secrets = append(t.Secrets, reconcile.Secret(s))
		}
		if r.Drain != nil {
			t.Drain = append(t.Drain, r.Drain)
		}
		if r.Undrain != nil { // what was drained last comes back first
			t.Undrain = slices.Insert(t.Undrain, 0, r.Undrain)
		}
	}
	slices.Sort(t.Roles)
	t.Wave, t.Rollback = cmp.Or(n.Wave, t.Wave), cmp.Or(n.Rollback, t.Rollback)
	windows := n.Window
	if windows == nil {
		windows = f.Fleet.Window
	}
	for _, w := range windows {
		t.Windows = append(t.Windows, w.Window)
	}
	var faults []Fault
	t.Checks, faults = f.checks(name, n, roles)
	if len(faults) > 0 {
		return reconcile.Target{}, refused("%s", said(name, faults))
	}
	return t, nil
}

// RolesOf returns a node's roles, the weakest first: those implied for everybody
// by name, then its own as listed. What a role implies comes before it.
func (f *File) RolesOf(n Node) []string {
	var roles []string
	var add func(role string)
	seen := map[string]bool{}
	add = func(role string) {
		if seen[role] {
			return
		}
		seen[role] = true
		for _, implied := range f.Roles[role].Implies {
			add(implied)
		}
		roles = append(roles, role)
	}
	var implied []string
	for role, r := range f.Roles {
		if r.Implied && !slices.Contains(n.Roles, role) {
			implied = append(implied, role)
		}
	}
	slices.Sort(implied)
	for _, role := range implied {
		add(role)
	}
	for _, role := range n.Roles {
		add(role)
	}
	return roles
}

func (f *File) conflict(name string, roles []string) error {
	for _, role := range roles {
		for _, other := range f.Roles[role].Conflicts {
			if other != role && slices.Contains(roles, other) {
				return refused("node %s has the roles %s and %s, which conflict (hint: remove one; roles may imply others)", name, role, other)
			}
		}
	}
	return nil
}

// warnings names what concerns the node and is likely a mistake, or has no effect yet.
func (f *File) warnings(n Node, roles []string) []string {
	defined := slices.Sorted(maps.Keys(f.Roles))
	var said []string
	ignored := map[string]bool{
		"depends_on": n.DependsOn != nil, "wave": n.Wave != "", "reboot": n.Reboot != "" && n.Reboot != "never",
	}
	for _, role := range roles {
		r, ok := f.Roles[role]
		if hint := didYouMean(role, defined, ""); !ok && hint != "" {
			said = append(said, fmt.Sprintf("role %q is not defined%s", role, hint))
		}
		for key, given := range map[string]bool{
			"max_unavailable": r.MaxUnavailable != 0, "wave": r.Wave != "", "reboot": r.Reboot != "" && r.Reboot != "never",
		} {
			ignored[key] = ignored[key] || given
		}
	}
	if n.HasPlaceholder() {
		said = append(said, fmt.Sprintf("the address %q is none: checks cannot use it", n.Address))
	}
	maps.DeleteFunc(ignored, func(_ string, given bool) bool { return !given })
	if len(ignored) > 0 {
		said = append(said, "no effect in this version of the agent: "+strings.Join(slices.Sorted(maps.Keys(ignored)), ", "))
	}
	return said
}
