package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// fleetLines is how many nodes are shown unless all are asked for.
const fleetLines = 40

// said is how people are told of a standing.
var said = map[standing]struct {
	words string
	ink   ink
}{
	standsFailed:     {"rollback failed", red},
	standsRolledBack: {"rolled back", red},
	standsHeld:       {"held", yellow},
	standsBehind:     {"behind", blue},
	standsDown:       {"no answer", yellow},
	standsInSync:     {"in sync", green},
}

// text is the fleet for people: numbers, and then the nodes that are shown of it.
func (f fleet) text(most int, on inks) string {
	var b strings.Builder
	if f.Newest != "" {
		fmt.Fprintf(&b, "newest  %s\n", titled(f.Newest, f.Subject))
	}
	fmt.Fprintf(&b, "nodes   %s\n", f.counts(on))
	nodes := f.shown(most)
	rows := [][]string{{"NODE", "ROLES", "WAVE", "STATE", "SINCE", "HELD BY", "RUNS"}}
	for _, n := range nodes {
		rows = append(rows, f.row(n))
	}
	for i, line := range columns(rows) {
		switch {
		case len(nodes) == 0:
			continue
		case i == 0:
			b.WriteString("\n" + on.paint(bold, "  "+line) + "\n")
			continue
		case i == 1 || nodes[i-1].Standing != nodes[i-2].Standing:
			word := said[nodes[i-1].Standing]
			b.WriteString(on.paint(word.ink, word.words+":") + "\n")
		}
		b.WriteString("  " + line + "\n")
	}
	if rest := f.total() - len(nodes); rest > 0 {
		fmt.Fprintf(&b, "\n%s not shown, of which %d in sync: --all shows them\n", counted(rest, "node"), f.Standing[standsInSync])
	}
	return b.String()
}

// counts are the numbers of nodes, all and by standing.
func (f fleet) counts(on inks) string {
	var parts []string
	for _, s := range standings {
		if n := f.Standing[s]; n > 0 {
			parts = append(parts, on.paint(said[s].ink, fmt.Sprintf("%d %s", n, said[s].words)))
		}
	}
	return fmt.Sprintf("%d: %s", f.total(), strings.Join(parts, ", "))
}

func (f fleet) row(n fleetNode) []string {
	return []string{
		n.Node, cmp.Or(few(n.Roles), "-"), cmp.Or(n.Wave, "-"), cmp.Or(strings.ReplaceAll(n.State, "_", " "), "-"),
		cmp.Or(ago("", n.Since, f.At), "-"), cmp.Or(n.gates(), "-"), cmp.Or(titled(n.Revision, n.Subject), "-"),
	}
}

func (n fleetNode) gates() string {
	var names []string
	for _, g := range n.Gates {
		names = append(names, string(g))
	}
	return strings.Join(names, ",")
}

// few names three roles, and says how many more there are.
func few(roles []string) string {
	if len(roles) > 3 {
		return fmt.Sprintf("%s,+%d", strings.Join(roles[:3], ","), len(roles)-3)
	}
	return strings.Join(roles, ",")
}

// columns pads the cells of each column but the last to the same width.
func columns(rows [][]string) []string {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], cells(cell))
		}
	}
	lines := make([]string, len(rows))
	for i, row := range rows {
		var b strings.Builder
		for j, cell := range row {
			b.WriteString(cell)
			if j < len(row)-1 {
				b.WriteString(strings.Repeat(" ", widths[j]-cells(cell)+2))
			}
		}
		lines[i] = b.String()
	}
	return lines
}

// facts are what changes when something happens: the numbers, and a line for each node.
func (f fleet) facts() []string {
	facts := []string{f.counts(false)}
	for _, n := range f.Nodes {
		fact := fmt.Sprintf("%s %s", n.Node, said[n.Standing].words)
		if n.State != "" && n.State != string(n.Standing) {
			fact += ", " + strings.ReplaceAll(n.State, "_", " ")
		}
		if len(n.Gates) > 0 {
			fact += ", held by " + n.gates()
		}
		if n.Revision != "" {
			fact += ", runs " + titled(n.Revision, n.Subject)
		}
		facts = append(facts, fact)
	}
	slices.Sort(facts[1:])
	return facts
}

func watchFleet(c *cobra.Command, look func(context.Context, int) (fleet, error), most int) error {
	on := inksOf(c.OutOrStdout())
	read := most
	if terminalOf(c.OutOrStdout()) == nil { // what changes is told of every node
		read = 0
	}
	return watch(c.Context(), c.OutOrStdout(), fleetEvery, func(ctx context.Context) (picture, error) {
		f, err := look(ctx, read)
		if err != nil {
			return picture{}, err
		}
		return picture{f.At, f.text(most, on), f.facts()}, nil
	})
}
