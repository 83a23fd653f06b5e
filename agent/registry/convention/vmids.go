package convention

import (
	"fmt"
	"slices"
	"strings"
)

// The ids that Proxmox gives to machines.
const (
	minVMID = 100
	maxVMID = 999999999
)

const withReason = "`vmid_reason`"

func vmidRules() []*Rule {
	return []*Rule{
		{ID: "V001", Severity: Error, Always: true, Scope: "vmid", node: v001, Text: "An integer from 100 to 999999999: what Proxmox accepts."},
		{ID: "V002", Severity: Error, Always: true, Scope: "vmid", node: v002, Text: "Not 1 to 99, which Proxmox keeps for itself."},
		{ID: "V003", Severity: Warn, Scope: "vmid", Unless: withReason, node: v003, Text: "In a class of the convention; 3000 to 8999 and 10000 and more are in none."},
		{ID: "V004", Severity: Error, Scope: "vmid", Unless: withReason, node: v004, Text: "Not in a reserved range: 900 to 999, 1500 to 1999."},
		{
			ID: "V005", Severity: Error, Scope: "vmid", node: v005,
			Text: "1000 to 1999 are for `kind = \"template\"`. A template runs no agent and is never deployed to.",
		},
		{ID: "V006", Severity: Error, Scope: "vmid", node: v006, Text: "9000 to 9999 are for nodes with `ephemeral = true`."},
		{
			ID: "V007", Severity: Warn, Scope: "vmid, environment", Unless: withReason, node: v007,
			Text: "2000 to 2999 are not for `environment = \"production\"`, and 100 to 899 not for development, test, staging or qa.",
		},
		{ID: "V008", Severity: Hint, Scope: "vmid, name", node: v008, Text: "A production id is in a range that suits the name's prefix. Which do is a guess, by their labels."},
		{ID: "V009", Severity: Info, Scope: "fleet", fleet: v009, Text: "A range is at most 80 % used; `registry vmid next` leaves one id free between two."},
		{ID: "V010", Severity: Warn, Scope: "vmid", Unless: withReason, node: v010, Text: "A deviation from V003, V004 or V007 has a `vmid_reason`."},
		{ID: "V011", Severity: Warn, Scope: "change", fleet: v011, Text: "A node keeps its VM id. Needs the registry before: `registry diff`, or `registry check --since REV`."},
		{ID: "V012", Severity: Info, Scope: "vmid, tags", node: v012, Text: "A node with a VM id has tags too."},
		{
			ID: "V013", Severity: Hint, Scope: "vmid, kind", node: v013,
			Text: "A VM id is never required, whatever the `kind`, and never refused for it. One on `metal` or `cloud`, which are not in Proxmox, is likely a mistake.",
		},
	}
}

// vmid returns the node's VM id, if it has one that Proxmox accepts.
func (n *node) vmid() (id int, ok bool) {
	if n.VMID == nil || *n.VMID < minVMID || *n.VMID > maxVMID {
		return 0, false
	}
	return *n.VMID, true
}

func (n *node) hasReason() bool { return strings.TrimSpace(n.VMIDReason) != "" }

func v001(r *review, n *node) {
	if n.VMID == nil {
		return
	}
	if id := *n.VMID; id < 1 || id > maxVMID {
		r.say(n.key("vmid"), n, "choose one from 100 to 999999999", "Proxmox has no VM id %d", id)
	}
}

func v002(r *review, n *node) {
	if n.VMID != nil && *n.VMID >= 1 && *n.VMID < minVMID {
		r.say(n.key("vmid"), n, "choose one from 100 to 999999999", "Proxmox keeps 1 to 99 for itself")
	}
}

func v003(r *review, n *node) {
	if id, ok := n.vmid(); ok && !n.hasReason() && r.undefined(id) {
		r.say(n.key("vmid"), n, "choose one of "+r.Tables.VMID.classes(), "%d is in no class of the convention", id)
	}
}

func (r *review) undefined(id int) bool {
	c := r.Tables.VMID.class(id)
	return c == nil || c.Policy == forbid
}

// classes names those that have ids for machines.
func (v *VMID) classes() string {
	var all []string
	for _, c := range v.Classes {
		if c.Policy != forbid {
			all = append(all, fmt.Sprintf("%d-%d (%s)", c.From, c.To, c.Label))
		}
	}
	return strings.Join(all, ", ")
}

func v004(r *review, n *node) {
	if id, ok := n.vmid(); ok && !n.hasReason() && r.reserved(id) {
		r.say(n.key("vmid"), n, "choose another", "%d is reserved: %s", id, r.Tables.VMID.rangeOf(id))
	}
}

func (r *review) reserved(id int) bool {
	in := r.Tables.VMID.rangeOf(id)
	return in != nil && in.Policy == reserved
}

func v005(r *review, n *node) {
	id, ok := n.vmid()
	if class := r.Tables.VMID.class(id); ok && class != nil && class.Policy == templateOnly && !n.isTemplate() {
		r.say(n.key("vmid"), n, `write kind = "template", or choose another id`, "%d is for templates", id)
	}
	if n.isTemplate() && n.Managed != nil && *n.Managed {
		r.say(n.key("managed"), n, "remove it", "a template runs no agent and is never deployed to")
	}
}

func v006(r *review, n *node) {
	id, ok := n.vmid()
	if class := r.Tables.VMID.class(id); ok && class != nil && class.Policy == allowEphemeral && !n.Ephemeral {
		r.say(n.key("vmid"), n, "write ephemeral = true, or choose another id", "%d is for machines that do not stay", id)
	}
}

func v007(r *review, n *node) {
	id, ok := n.vmid()
	if !ok || n.hasReason() || !r.wrongEnvironment(id, n) {
		return
	}
	fix := "choose one of " + r.Tables.VMID.fitting(strings.ToLower(n.Environment))
	r.say(n.key("vmid"), n, fix, "%d is of %q, and not for environment = %q", id, r.Tables.VMID.class(id).Label, n.Environment)
}

// fitting names the ids for an environment: its ranges, or else the classes that do
// not refuse it.
func (v *VMID) fitting(environment string) string {
	var all []string
	for _, r := range v.Ranges {
		if slices.Contains(r.Environments, environment) {
			all = append(all, fmt.Sprintf("%d-%d (%s)", r.From, r.To, r.Label))
		}
	}
	for _, c := range v.Classes {
		if len(all) == 0 && c.Policy == allow && !slices.Contains(c.Refuses, environment) {
			return fmt.Sprintf("%d-%d (%s)", c.From, c.To, c.Label)
		}
	}
	return strings.Join(all, ", ")
}

func (r *review) wrongEnvironment(id int, n *node) bool {
	class := r.Tables.VMID.class(id)
	return class != nil && !r.reserved(id) && slices.Contains(class.Refuses, strings.ToLower(n.Environment))
}

func v008(r *review, n *node) {
	id, ok := n.vmid()
	in := r.Tables.VMID.rangeOf(id)
	if !ok || in == nil || in.Policy == reserved || n.prefix == "" {
		return
	}
	var sameClass []string
	for _, other := range r.Tables.rangesOf(r.File.Fleet, n.prefix) {
		if other.ID == in.ID {
			return
		}
		if other.Class == in.Class {
			sameClass = append(sameClass, fmt.Sprintf("%d-%d (%s)", other.From, other.To, other.Label))
		}
	}
	if len(sameClass) > 0 {
		r.say(n.key("vmid"), n, "fitting are "+strings.Join(sameClass, ", "), "%d is of %q, which does not sound like %q", id, in.Label, n.prefix)
	}
}

func v009(r *review) {
	ranges, _ := Use(r.File, r.Tables.VMID)
	for _, u := range ranges {
		if !u.Crowded() {
			continue
		}
		at := r.nodeNamed(u.Nodes[len(u.Nodes)-1]).key("vmid")
		r.say(at, nil, "give the next machine an id of another range", "%d of %d ids are used in %s", len(u.IDs), u.Size(), u.Range)
	}
}

func (r *review) nodeNamed(name string) *node {
	return r.nodes[slices.IndexFunc(r.nodes, func(n *node) bool { return n.name == name })]
}

func v010(r *review, n *node) {
	id, ok := n.vmid()
	if ok && !n.hasReason() && (r.undefined(id) || r.reserved(id) || r.wrongEnvironment(id, n)) {
		r.say(n.key("vmid"), n, `or write vmid_reason = "why"`, "nothing says why %d deviates", id)
	}
}

func v011(r *review) {
	if r.Previous == nil {
		return
	}
	for _, n := range r.nodes {
		before, ok := r.Previous.Nodes[n.name]
		switch {
		case !ok || before.VMID == nil:
		case n.VMID == nil:
			r.say(n.at, n, "a machine keeps its id for life", "its VM id was %d, and is gone", *before.VMID)
		case *n.VMID != *before.VMID:
			r.say(n.key("vmid"), n, "a machine keeps its id for life: Proxmox, its backups and its firewall know it by that", "the VM id was %d, and is %d", *before.VMID, *n.VMID)
		}
	}
}

func v012(r *review, n *node) {
	if _, ok := n.vmid(); ok && len(n.Tags) == 0 {
		r.say(n.key("vmid"), n, `add tags = ["…"]: they say more than a number`, "it has a VM id and no tags")
	}
}

func v013(r *review, n *node) {
	if _, ok := n.vmid(); ok && (n.Kind == "metal" || n.Kind == "cloud") {
		r.say(n.key("vmid"), n, "remove it, or correct the kind", "kind = %q is not in Proxmox, as a rule", n.Kind)
	}
}
