package convention

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/infra-agent/infra-agent/agent/strict"
)

const exempt = "exempt node"

// nameRules are about one name each.
func nameRules() []*Rule {
	return []*Rule{
		{
			ID: "N001", Severity: Error, Always: true, Scope: "name, hostname, aliases", node: n001,
			Text: "Each label, between dots, has 1 to 63 letters, digits and `-`, and neither begins nor ends with `-`: a DNS label.",
		},
		{
			ID: "N002", Severity: Error, Always: true, Scope: "name, hostname, aliases", node: n002,
			Text: "No `:`. `web:01` is written `web-01`.",
		},
		{
			ID: "N003", Severity: Warn, Scope: "name", Unless: exempt, node: n003,
			Text: "PURPOSE-NN, such as `dns-01`; a purpose may have several words, `starr-jellyfin-01`.",
		},
		{
			ID: "N004", Severity: Warn, Scope: "name", Unless: "`prefixes`, `aliases`; " + exempt, fleet: n004,
			Text: "The purpose is a prefix of the convention, or begins with one.",
		},
		{
			ID: "N005", Severity: Warn, Scope: "name", node: n005,
			Text: "Numbers begin with 01; there is no 00.",
		},
		{
			ID: "N007", Severity: Warn, Scope: "name", node: n007,
			Text: "The number has exactly two digits; 99 is the last.",
		},
		{
			ID: "N008", Severity: Warn, Scope: "name", Unless: exempt, node: n008,
			Text: "Lower case only.",
		},
		{
			ID: "N009", Severity: Info, Scope: "name", Unless: exempt, node: n009,
			Text: "No environment, such as `dev-`, before the purpose.",
		},
		{
			ID: "N010", Severity: Info, Scope: "name", Unless: exempt, node: n010,
			Text: "At most 15 characters.",
		},
		{
			ID: "N011", Severity: Error, Always: true, Scope: "name, hostname, aliases", node: n011,
			Text: "Not a name that machines have before anybody names them: `nixos`, `localhost`, `default`, `template`, `installer`, `bootstrap`.",
		},
		{
			ID: "N013", Severity: Error, Always: true, Scope: "`naming` of a node", node: n013,
			Text: "An exemption has a `reason`.",
		},
		{
			ID: "N015", Severity: Info, Scope: "name, hostname", node: n015,
			Text: "The node's name, the machine's hostname and the flake's output are the same, unless `hostname` or `configuration` says otherwise.",
		},
	}
}

// called calls f with each name that the node goes by, and where it is written.
func (n *node) called(f func(at strict.Path, name string)) {
	f(n.at, n.name)
	if n.Hostname != "" {
		f(n.key("hostname"), n.Hostname)
	}
	for i, alias := range n.Aliases {
		f(n.key("aliases").Elem(i), alias)
	}
}

var label = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$`)

// isLabel knows the labels of RFC 1123.
func isLabel(text string) bool { return len(text) <= 63 && label.MatchString(text) }

func n001(r *review, n *node) {
	n.called(func(at strict.Path, name string) {
		for part := range strings.SplitSeq(strings.ToLower(strings.ReplaceAll(name, ":", "-")), ".") {
			if isLabel(part) {
				continue
			}
			fix := "use 1 to 63 letters, digits and -"
			if better := legal(name); isLabel(better) && !strings.Contains(name, ".") {
				fix = "write " + better
			}
			r.say(at, n, fix, "%q is no DNS label", part)
			return
		}
	})
}

func n002(r *review, n *node) {
	n.called(func(at strict.Path, name string) {
		if strings.Contains(name, ":") {
			r.say(at, n, "write "+strings.ReplaceAll(name, ":", "-"), "%q has a colon, which DNS and Proxmox refuse", name)
		}
	})
}

func n003(r *review, n *node) {
	if n.purpose != "" || n.Naming.Exempt {
		return
	}
	if words, digits := numberedWords(n.name); words != "" { // then the convention asks for one word
		r.say(n.at, n, "write "+strings.ReplaceAll(words, "-", "")+"-"+digits, "%q has a purpose of several words", n.name)
		return
	}
	fix := exemption
	if better := r.proposal(n.name); better != "" {
		fix = "write " + better + ", or " + exemption
	}
	r.say(n.at, n, fix, "%q is not PURPOSE-NN, such as dns-01", n.name)
}

const exemption = `keep it with naming = { exempt = true, reason = "why" }`

func numberedWords(name string) (words, digits string) {
	if m := numbered.FindStringSubmatch(legal(name)); m != nil {
		return m[1], m[2]
	}
	return "", ""
}

// proposal is a name of the convention's form that nobody has; "" when there is none.
func (r *review) proposal(name string) string {
	purpose, number := legal(name), r.Tables.Naming.Format.First
	if m := ending.FindStringSubmatch(purpose); m != nil && m[1] != "" && r.Tables.Naming.prefix(purpose) == nil {
		purpose = m[1]
		number, _ = strconv.Atoi(m[2]) // at most six digits
	}
	for number = max(number, r.Tables.Naming.Format.First); number <= r.Tables.Naming.Format.Last; number++ {
		better := fmt.Sprintf("%s-%0*d", purpose, r.Tables.Naming.Format.Digits, number)
		if !r.Tables.Naming.format.MatchString(better) {
			return ""
		}
		if _, taken := r.File.Nodes[better]; !taken {
			return better
		}
	}
	return ""
}

func n004(r *review) {
	var unknown, listed []string
	for _, p := range r.Tables.Naming.Prefixes {
		listed = append(listed, p.ID)
	}
	var others []*node
	meant := map[string]string{}
	for _, n := range r.nodes {
		if n.purpose == "" || n.known || n.Naming.Exempt {
			continue
		}
		if _, done := meant[n.prefix]; !done {
			meant[n.prefix] = r.meant(n.prefix, listed)
		}
		if instead := meant[n.prefix]; instead != "" {
			r.say(n.at, n, fmt.Sprintf("did you mean %q? or add %q to prefixes of [fleet]", instead, n.prefix), "%q is no prefix of the convention", n.prefix)
			continue
		}
		unknown, others = append(unknown, strconv.Quote(n.prefix)), append(others, n)
	}
	slices.Sort(unknown)
	unknown = slices.Compact(unknown)
	fix := "add it to prefixes of [fleet]"
	if len(unknown) <= 20 {
		fix = fmt.Sprintf("add to [fleet]: prefixes = [%s]", strings.Join(append(r.ownPrefixes(), unknown...), ", "))
	}
	for _, n := range others { // all get the same words, so that they can be shown as one
		r.say(n.at, n, fix, "the purpose is no prefix of the convention")
	}
}

// meant is the listed prefix that another one seems to stand for; "" when none is.
func (r *review) meant(prefix string, listed []string) string {
	for _, same := range r.Tables.Naming.same(r.File.Fleet, prefix) {
		if r.Tables.Naming.prefix(same) != nil {
			return same
		}
	}
	if len(prefix) > 3 { // shorter ones are all alike
		return strict.Nearest(prefix, listed)
	}
	return ""
}

func (r *review) ownPrefixes() []string {
	var quoted []string
	for _, p := range r.File.Fleet.Prefixes {
		quoted = append(quoted, strconv.Quote(p))
	}
	return quoted
}

func n005(r *review, n *node) {
	if number := n.number(); n.purpose != "" && number < r.Tables.Naming.Format.First {
		r.say(n.at, n, "write "+r.proposal(n.name), "numbers begin with %0*d", r.Tables.Naming.Format.Digits, r.Tables.Naming.Format.First)
	}
}

func n007(r *review, n *node) {
	shape := r.Tables.Naming.Format
	switch number := n.number(); {
	case n.purpose == "" || len(n.digits) == shape.Digits:
	case number > shape.Last:
		r.say(n.at, n, fmt.Sprintf("begin a second purpose, such as %s-b-%0*d", n.purpose, shape.Digits, shape.First),
			"the numbers of %s end with %d", n.purpose, shape.Last)
	case number >= shape.First:
		r.say(n.at, n, "write "+r.proposal(n.name), "a number has %d digits", shape.Digits)
	}
}

func n008(r *review, n *node) {
	if lower := strings.ToLower(n.name); lower != n.name && !n.Naming.Exempt {
		r.say(n.at, n, "write "+lower, "%q has capitals", n.name)
	}
}

func n009(r *review, n *node) {
	first, rest, ok := strings.Cut(strings.ToLower(n.name), "-")
	if ok && slices.Contains(r.Tables.Naming.Format.Environments, first) && !n.Naming.Exempt {
		r.say(n.at, n, fmt.Sprintf("write %s, and environment = %q", rest, first), "the name begins with an environment")
	}
}

func n010(r *review, n *node) {
	if limit := r.Tables.Naming.Format.Length; len(n.name) > limit && !n.Naming.Exempt {
		r.say(n.at, n, "a shorter name is easier to type and to read", "the name has more than %d characters", limit)
	}
}

func n011(r *review, n *node) {
	n.called(func(at strict.Path, name string) {
		if slices.Contains(r.Tables.Naming.Format.Reserved, strings.ToLower(name)) {
			r.say(at, n, "give the machine a name of its own", "%q is what machines are called before anybody names them", name)
		}
	})
}

func n013(r *review, n *node) {
	if n.Naming.Exempt && strings.TrimSpace(n.Naming.Reason) == "" {
		r.say(n.key("naming"), n, `write reason = "why it keeps the name"`, "the exemption has no reason")
	}
}

func n015(r *review, n *node) {
	short, _, dotted := strings.Cut(n.name, ".")
	switch {
	case dotted && n.Hostname == "" && len(n.Aliases) == 0:
		r.say(n.at, n, fmt.Sprintf("write hostname = %q if it is called so", short), "a hostname has no dots, so the machine is called otherwise")
	case n.Hostname != "" && n.Hostname != n.name && legal(n.Hostname) == legal(n.name) && !dotted:
		r.say(n.key("hostname"), n, "spell them alike", "the hostname %q is spelled otherwise than the node's name", n.Hostname)
	}
}
