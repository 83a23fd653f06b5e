package convention

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/infra-agent/infra-agent/agent/strict"
)

// numberRules compare the names of a fleet with each other.
func numberRules() []*Rule {
	return []*Rule{
		{
			ID: "N006", Severity: Info, Scope: "fleet", Unless: exempt, fleet: n006,
			Text: "The numbers of a purpose begin with 01 and have no gap.",
		},
		{
			ID: "N012", Severity: Error, Always: true, Scope: "fleet", fleet: n012,
			Text: "No two nodes share a name, hostname, alias or VM id, whatever the case. Managed nodes that share an address are a warning.",
		},
		{
			ID: "N014", Severity: Warn, Scope: "fleet", fleet: n014,
			Text: "Of prefixes that mean the same (`ha` and `hass`, `media` and `plex`, `nas` and `store`, and `aliases` of `[fleet]`) a fleet uses one.",
		},
	}
}

func n006(r *review) {
	byPurpose := map[string][]*node{}
	for _, n := range r.nodes {
		if n.purpose != "" && !n.Naming.Exempt {
			byPurpose[n.purpose] = append(byPurpose[n.purpose], n)
		}
	}
	shape := r.Tables.Naming.Format
	for _, nodes := range byPurpose {
		slices.SortStableFunc(nodes, func(a, b *node) int { return cmp.Compare(a.number(), b.number()) })
		next := shape.First
		for _, n := range nodes {
			if n.number() > next {
				r.say(n.at, n, fmt.Sprintf("the next %s is %s-%0*d", n.purpose, n.purpose, shape.Digits, next), "there is no %s-%0*d before it", n.purpose, shape.Digits, next)
				break // later gaps say nothing new
			}
			next = max(next, n.number()+1)
		}
	}
}

func n012(r *review) {
	names, ids, addresses := map[string]*node{}, map[int]*node{}, map[string]*node{}
	for _, n := range r.nodes {
		n.called(func(at strict.Path, name string) {
			first := names[strings.ToLower(name)]
			if first == nil {
				names[strings.ToLower(name)] = n
			} else if first != n {
				r.say(at, n, "a name belongs to one node", "node %s goes by %q too", first.name, name)
			}
		})
		if n.VMID != nil {
			if first := ids[*n.VMID]; first != nil {
				r.say(n.key("vmid"), n, `"infra-agent registry vmid next" proposes a free one`, "node %s has the VM id %d too", first.name, *n.VMID)
			} else {
				ids[*n.VMID] = n
			}
		}
		if n.Address != "" && !n.HasPlaceholder() && n.IsManaged() {
			if first := addresses[n.Address]; first != nil {
				r.sayAs(Warn, n.key("address"), n, "checks with {address} would ask the other node", "node %s has the address %s too", first.name, n.Address)
			} else {
				addresses[n.Address] = n
			}
		}
	}
}

func n014(r *review) {
	used := map[string]*node{}
	for _, n := range r.nodes {
		if n.purpose == "" || used[n.prefix] != nil {
			continue
		}
		used[n.prefix] = n
		for _, same := range r.Tables.Naming.same(r.File.Fleet, n.prefix) {
			if first := used[same]; first != nil && same != n.prefix {
				r.say(n.at, n, "use one of them", "%q means the same as %q, which %s has", n.prefix, same, first.name)
				break
			}
		}
	}
}
