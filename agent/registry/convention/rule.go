package convention

import (
	"fmt"
	"slices"
	"strings"
)

// A Severity says how bad a finding is. The zero value is not said at all.
type Severity int

// The severities, the mildest first.
const (
	Off Severity = iota
	Hint
	Info
	Warn
	Error
)

var severities = []string{"off", "hint", "info", "warn", "error"}

func (s Severity) String() string { return severities[s] }

// MarshalText implements [encoding.TextMarshaler].
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

func severityOf(word string) (Severity, error) {
	i := slices.Index(severities, word)
	if i < 0 {
		return Off, fmt.Errorf("%q is no severity", word)
	}
	return Severity(i), nil
}

// A Rule is one convention.
type Rule struct {
	ID       string // N: names, V: VM ids, R: roles and nodes, T: what Nix and Go both read
	Severity Severity
	Always   bool   // naming and vmid of [fleet] do not cap it: DNS, Proxmox or Nix would break
	Scope    string // what it looks at
	Text     string // what holds
	Unless   string // what silences it

	// One of these validates; neither does for a rule that the reader holds.
	node  func(*review, *node)
	fleet func(*review)
}

// Rules returns every rule, by id.
func Rules() []*Rule {
	all := slices.Concat(nameRules(), numberRules(), vmidRules(), roleRules(), nodeRules(), mergedRules(), fileRules())
	slices.SortFunc(all, func(a, b *Rule) int { return strings.Compare(a.ID, b.ID) })
	return all
}
