package registry

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/infra-agent/infra-agent/reconcile"
)

// target merges what the registry says about one node: implied roles, then its
// roles, then the node itself. Later words replace earlier ones; checks add up by
// name, and a check that is false removes an earlier one.
func (f *file) target(name string, n node) (reconcile.Target, error) {
	roles := f.rolesOf(n)
	if err := f.conflict(name, roles); err != nil {
		return reconcile.Target{}, err
	}
	t := reconcile.Target{
		Node: name, Configuration: name, Environment: n.Environment, Warnings: f.warnings(n, roles),
	}
	if n.Configuration != "" {
		t.Configuration = n.Configuration
	}
	merged := checks{}
	for _, role := range roles {
		r := f.Roles[role]
		t.Roles = append(t.Roles, reconcile.Role(role))
		t.Wave, t.Rollback = or(r.Wave, t.Wave), or(r.Rollback, t.Rollback)
		maps.Copy(merged, r.Checks)
	}
	slices.Sort(t.Roles)
	t.Wave, t.Rollback = or(n.Wave, t.Wave), or(n.Rollback, t.Rollback)
	maps.Copy(merged, n.Checks)

	values := placeholders{"address": n.Address, "node": name, "domain": f.Fleet.Domain}
	for _, check := range slices.Sorted(maps.Keys(merged)) {
		if merged[check] == nil {
			continue
		}
		c := *merged[check]
		c.Target = values.fill(c.Target)
		if left := placeholder.FindString(c.Target); left != "" {
			return reconcile.Target{}, refused("check %s of node %s: its target needs %s, which the registry does not give", check, name, left)
		}
		if problems := problemsOf(c); problems != "" {
			return reconcile.Target{}, refused("check %s of node %s: %s", check, name, problems)
		}
		t.Checks = append(t.Checks, c)
	}
	return t, nil
}

func or[S ~string](strong, weak S) S {
	if strong != "" {
		return strong
	}
	return weak
}

// rolesOf returns a node's roles, the weakest first: those implied for everybody
// by name, then its own as listed. What a role implies comes before it.
func (f *file) rolesOf(n node) []string {
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
	for _, role := range slices.Sorted(maps.Keys(f.Roles)) {
		if f.Roles[role].Implied && !slices.Contains(n.Roles, role) {
			add(role)
		}
	}
	for _, role := range n.Roles {
		add(role)
	}
	return roles
}

func (f *file) conflict(name string, roles []string) error {
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
func (f *file) warnings(n node, roles []string) []string {
	defined := slices.Sorted(maps.Keys(f.Roles))
	var said []string
	ignored := map[string]bool{
		"depends_on": n.DependsOn != nil, "wave": n.Wave != "", "reboot": n.Reboot != "",
	}
	for _, role := range roles {
		r, ok := f.Roles[role]
		if hint := didYouMean(role, defined); !ok && hint != "" {
			said = append(said, fmt.Sprintf("role %q is not defined%s", role, hint))
		}
		for key, given := range map[string]bool{
			"drain": r.Drain != nil, "undrain": r.Undrain != nil, "secrets": r.Secrets != nil,
			"max_unavailable": r.MaxUnavailable != 0, "wave": r.Wave != "", "reboot": r.Reboot != "",
		} {
			ignored[key] = ignored[key] || given
		}
	}
	maps.DeleteFunc(ignored, func(_ string, given bool) bool { return !given })
	if len(ignored) > 0 {
		said = append(said, "no effect in this version of the agent: "+strings.Join(slices.Sorted(maps.Keys(ignored)), ", "))
	}
	return said
}

// placeholders are the words in braces that a check's target may contain. Those
// without a value stay as they are.
type placeholders map[string]string

var placeholder = regexp.MustCompile(`\{[^{}]*\}`)

func (p placeholders) fill(target string) string {
	for word, value := range p {
		if value == "" {
			continue
		}
		if strings.Contains(value, ":") { // an IPv6 address
			target = strings.ReplaceAll(target, "[{"+word+"}]", "{"+word+"}")
			value = "[" + value + "]"
		}
		target = strings.ReplaceAll(target, "{"+word+"}", value)
	}
	return target
}
