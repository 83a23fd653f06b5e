package registry

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// nobody are the names of machines that nobody has named yet.
var nobody = []string{"", "nixos", "localhost"}

// identify finds the node that this machine is. known are the nodes with all the
// names that each goes by; set is the operator's word, which ends all guessing; toAdd
// says how to add one.
// A prefix of a name, or being the only node there is, never counts.
func (r Resolver) identify(set string, known map[string][]string, where string, toAdd func(string) string) (name, warning string, err error) {
	names := slices.Sorted(maps.Keys(known))
	if set != "" {
		if _, ok := known[set]; ok {
			return set, "", nil
		}
		return "", "", refused("%q, set by the operator, is not %s%s", set, where, didYouMean(set, names, "correct it in the agent's settings, or "+toAdd(set)))
	}
	if slices.Contains(nobody, strings.ToLower(r.Hostname)) {
		return "", "", refused("the host name %q belongs to every machine that has no name yet (hint: give this machine a host name, or set node in the agent's settings)", r.Hostname)
	}
	for _, host := range []string{r.Hostname, r.FQDN} {
		found := called(host, names, known, func(a, b string) bool { return a == b })
		if len(found) > 1 {
			return "", "", refused("the host name %q fits several nodes: %s (hint: correct their hostname or aliases, or set node in the agent's settings)", host, strings.Join(found, ", "))
		}
		if len(found) == 1 {
			return found[0], "", nil
		}
	}
	var found []string
	for _, host := range []string{r.Hostname, r.FQDN} {
		found = append(found, called(host, names, known, strings.EqualFold)...)
	}
	slices.Sort(found)
	switch found = slices.Compact(found); len(found) {
	case 0:
		return "", "", refused("this machine, %q, is unregistered: it is not %s%s", r.Hostname, where, didYouMean(r.Hostname, names, toAdd(r.Hostname)+", or set node in the agent's settings"))
	case 1:
		return found[0], fmt.Sprintf("this machine, %q, was taken for node %q: the names differ in case (hint: spell them alike)", r.Hostname, found[0]), nil
	}
	return "", "", refused("the host name %q fits several nodes when case is ignored: %s (hint: spell it as the registry does)", r.Hostname, strings.Join(found, ", "))
}

// called returns the nodes that go by a host name.
func called(host string, names []string, known map[string][]string, same func(a, b string) bool) []string {
	if host == "" {
		return nil
	}
	var found []string
	for _, name := range names {
		if slices.ContainsFunc(known[name], func(s string) bool { return same(s, host) }) {
			found = append(found, name)
		}
	}
	return found
}
