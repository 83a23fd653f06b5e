package convention

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/infra-agent/infra-agent/agent/registry"
	"github.com/infra-agent/infra-agent/agent/strict"
)

// A Usage is what a registry uses of a range of VM ids.
type Usage struct {
	Range Range
	IDs   []int    // in use, sorted
	Nodes []string // that have them, one an id
}

// Size is the number of ids in the range.
func (u Usage) Size() int { return u.Range.To - u.Range.From + 1 }

// Crowded reports whether more than 80 % of the range is used.
func (u Usage) Crowded() bool { return len(u.IDs)*100 > u.Size()*80 }

// Use returns every range with what is used of it, in the order of the table, and the
// ids that are in no range.
func Use(f *registry.File, v VMID) (ranges []Usage, outside Usage) {
	ranges = make([]Usage, len(v.Ranges))
	for i, r := range v.Ranges {
		ranges[i].Range = r
	}
	owner := owners(f)
	for _, id := range slices.Sorted(maps.Keys(owner)) {
		u := &outside
		if i := slices.IndexFunc(v.Ranges, func(r Range) bool { return r.From <= id && id <= r.To }); i >= 0 {
			u = &ranges[i]
		}
		u.IDs, u.Nodes = append(u.IDs, id), append(u.Nodes, owner[id])
	}
	return ranges, outside
}

// owners returns the node of each id; of two that share one, the first by name.
func owners(f *registry.File) map[int]string {
	owner := map[int]string{}
	for name, n := range f.Nodes {
		if n.VMID == nil {
			continue
		}
		if other, taken := owner[*n.VMID]; !taken || name < other {
			owner[*n.VMID] = name
		}
	}
	return owner
}

// A Proposal is a VM id for the next machine.
type Proposal struct {
	ID      int
	Range   Usage // without the new id
	Because string
	Tight   bool // no free id has a free one on both sides
}

// Next proposes the first free VM id for a purpose that leaves a gap to those in use.
// A purpose is a range's id, a prefix, a node's name, or a role.
func Next(f *registry.File, t Tables, purpose string) (Proposal, error) {
	suits, because, err := t.suitable(f, purpose)
	if err != nil {
		return Proposal{}, err
	}
	used := owners(f)
	isFree := func(id int) bool { return used[id] == "" }
	usages, _ := Use(f, t.VMID)
	for _, tight := range []bool{false, true} {
		for _, r := range suits {
			u := usages[slices.IndexFunc(usages, func(u Usage) bool { return u.Range.ID == r.ID })]
			for id := r.From; id <= r.To; id++ {
				if isFree(id) && (tight || isFree(id-1) && isFree(id+1)) {
					return Proposal{ID: id, Range: u, Because: because, Tight: tight}, nil
				}
			}
		}
	}
	return Proposal{}, fmt.Errorf("every id for %s is used: %s (hint: name another range; \"infra-agent registry vmid list --all\" shows all)", purpose, listed(suits))
}

func listed(ranges []Range) string {
	var all []string
	for _, r := range ranges {
		all = append(all, r.String())
	}
	return strings.Join(all, ", ")
}

// suitable returns the ranges for a purpose, the best first, and why these.
func (t *Tables) suitable(f *registry.File, purpose string) (ranges []Range, because string, err error) {
	if r := t.VMID.named(purpose); r != nil {
		if r.Policy == reserved {
			return nil, "", fmt.Errorf("the range %s is reserved (hint: name another one)", r)
		}
		return []Range{*r}, "you named the range", nil
	}
	if ranges := t.rangesOf(f.Fleet, purpose); ranges != nil {
		return ranges, fmt.Sprintf("its label suits the prefix %q", purpose), nil
	}
	words, _ := t.Naming.split(purpose)
	environment, ranges := t.ofEnvironment(f.Nodes[purpose].Environment, words)
	if ranges != nil {
		return ranges, fmt.Sprintf("it is for the environment %q", environment), nil
	}
	words = t.Naming.withoutEnvironment(words)
	if words != "" {
		prefix, _ := t.Naming.prefixOf(f.Fleet, words)
		if ranges := t.VMID.taking(environment, t.rangesOf(f.Fleet, prefix)); ranges != nil {
			return ranges, fmt.Sprintf("its label suits the prefix %q", prefix), nil
		}
	}
	for _, known := range append([]string{purpose}, begins(words)...) {
		if ranges := t.VMID.taking(environment, t.inUse(f, known)); ranges != nil {
			return ranges, fmt.Sprintf("nodes with the prefix or role %q are there", known), nil
		}
	}
	return nil, "", fmt.Errorf("nothing says which VM ids suit %q (hint: %s)", purpose, t.nearPurpose(f, purpose))
}

// ofEnvironment returns the ranges that are meant for the environment of a node, which
// its table says, or the first word of its name.
func (t *Tables) ofEnvironment(said, words string) (environment string, ranges []Range) {
	first, _, _ := strings.Cut(words, "-")
	environment = strings.ToLower(cmp.Or(said, first))
	for _, r := range t.VMID.Ranges {
		if slices.Contains(r.Environments, environment) {
			ranges = append(ranges, r)
		}
	}
	return environment, ranges
}

// taking returns those of some ranges whose class does not refuse an environment (V007).
func (v *VMID) taking(environment string, ranges []Range) []Range {
	var taken []Range
	for _, r := range ranges {
		if c := v.class(r.From); c == nil || !slices.Contains(c.Refuses, environment) {
			taken = append(taken, r)
		}
	}
	return taken
}

// nearPurpose is a hint at a purpose that was meant.
func (t *Tables) nearPurpose(f *registry.File, purpose string) string {
	known := slices.Sorted(maps.Keys(f.Roles))
	for _, p := range t.Naming.Prefixes {
		known = append(known, p.ID)
	}
	for _, r := range t.VMID.Ranges {
		known = append(known, r.ID)
	}
	if near := strict.Nearest(purpose, known); near != "" && near != purpose {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return `name a range of "infra-agent registry vmid list --all"`
}

// rangesOf returns the ranges that suit a prefix, or one that means the same.
func (t *Tables) rangesOf(fleet registry.Fleet, prefix string) []Range {
	p := t.Naming.prefix(prefix)
	if p == nil {
		for _, same := range t.Naming.same(fleet, prefix) {
			if p = t.Naming.prefix(same); p != nil {
				break
			}
		}
	}
	if p == nil {
		return nil
	}
	var ranges []Range
	for _, id := range p.VMID {
		if r := t.VMID.named(id); r != nil {
			ranges = append(ranges, *r)
		}
	}
	return ranges
}

// inUse returns the ranges where the nodes of a prefix or role are, the fullest first.
func (t *Tables) inUse(f *registry.File, purpose string) []Range {
	count := map[*Range]int{}
	for name, n := range f.Nodes {
		words, _ := t.Naming.split(name)
		if n.VMID == nil || !slices.Contains(begins(words), purpose) && !slices.Contains(f.RolesOf(n), purpose) {
			continue
		}
		if r := t.VMID.rangeOf(*n.VMID); r != nil && r.Policy != reserved {
			count[r]++
		}
	}
	var ranges []Range
	for _, r := range slices.SortedFunc(maps.Keys(count), func(a, b *Range) int {
		return cmp.Or(cmp.Compare(count[b], count[a]), cmp.Compare(a.From, b.From))
	}) {
		ranges = append(ranges, *r)
	}
	return ranges
}
