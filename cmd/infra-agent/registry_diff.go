package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/infra-agent/infra-agent/agent/registry"
	"github.com/infra-agent/infra-agent/agent/registry/convention"
	"github.com/infra-agent/infra-agent/agent/strict"
)

func registryDiffCommand() *cobra.Command {
	return &cobra.Command{
		Use: "diff REV..REV [PATH]", Short: "Show which nodes and roles a change of the registry touches", Args: cobra.RangeArgs(1, 2),
		Long: `Show which nodes and roles a change of the registry touches, and what changes for them.

REV..REV are two commits of the repository at PATH, as git writes them; an end that is
left out is HEAD. One REV alone is compared with the file as it is.`,
		RunE: func(c *cobra.Command, args []string) error {
			path := "."
			if len(args) == 2 {
				path = args[1]
			}
			place, err := locate(c, path)
			if err != nil {
				return err
			}
			before, after, err := twoRegistries(c, place, args[0])
			if err != nil || before == nil {
				return err
			}
			return compare(c.OutOrStdout(), before, after)
		},
	}
}

// twoRegistries reads the registry before, nil when it cannot be compared, and after.
func twoRegistries(c *cobra.Command, p place, revs string) (before, after *registry.File, err error) {
	from, to, isRange := strings.Cut(revs, "..")
	if strings.HasPrefix(to, ".") {
		return nil, nil, usageError(c, fmt.Errorf("write two dots, not three, in %q", revs))
	}
	if isRange && from == "" {
		from = "HEAD"
	}
	if isRange && to == "" {
		to = "HEAD"
	}
	if before, err = p.before(c, from); err != nil {
		return nil, nil, err
	}
	if isRange {
		after, err = p.at(c.Context(), to)
		return before, after, err
	}
	after, err = right(p.read(c.Context()))
	return before, after, err
}

// compare writes what changes from one registry to another: what holds for all, nodes
// with all that their roles bring, then the roles.
func compare(w io.Writer, before, after *registry.File) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	moved := map[string]convention.Finding{}
	for _, f := range convention.Check(convention.Input{File: after, Previous: before, Tables: convention.Default()}) {
		if f.Rule == "V011" {
			moved[f.Node] = f
		}
	}
	fleet, waves := changedFields(before.Fleet, after.Fleet), changedFields(before.Waves, after.Waves)
	writeRows(t, "[fleet]", fleet)
	writeRows(t, "[waves]", waves)
	nodes := 0
	for _, name := range union(before.Nodes, after.Nodes) {
		changes := changesOf(before, after, name)
		if f, ok := moved[name]; ok {
			changes = append(changes, row{"warning", fmt.Sprintf("V011: %s: %s", f.Message, f.Fix)})
		}
		nodes += min(1, len(changes))
		writeRows(t, name, changes)
	}
	roles := 0
	for _, name := range union(before.Roles, after.Roles) {
		if change, ok := roleChange(before, after, name); ok {
			roles++
			writeRows(t, "[roles."+name+"]", []row{change})
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	var touched []string
	for _, of := range []struct {
		n    int
		what string
	}{{len(fleet) + len(waves), "fleet setting"}, {nodes, "node"}, {roles, "role"}} {
		if of.n > 0 {
			touched = append(touched, counted(of.n, of.what))
		}
	}
	if touched == nil {
		_, err := fmt.Fprintln(w, "Nothing changes.")
		return err
	}
	_, err := fmt.Fprintln(w, strings.Join(touched, ", "), "touched")
	return err
}

// writeRows writes the changes of one thing, which is named once.
func writeRows(w io.Writer, name string, changes []row) {
	for _, change := range changes {
		fmt.Fprintf(w, "%s\t%s\t%s\n", name, change.key, change.value)
		name = ""
	}
}

// roleChange is which of a role's fields change, and for whom.
func roleChange(before, after *registry.File, name string) (change row, ok bool) {
	old, was := before.Roles[name]
	role, is := after.Roles[name]
	nodes := carriedBy(before, after, name)
	switch {
	case !was:
		return row{"added", nodes}, true
	case !is:
		return row{"removed", nodes}, true
	}
	var keys []string
	for _, change := range changedFields(old, role) {
		keys = append(keys, change.key)
	}
	return row{"changed", strings.Join(keys, ", ") + "; " + nodes}, keys != nil
}

// changedFields compares two tables of the same kind, as they are written.
func changedFields[T any](before, after T) []row {
	var changes []row
	for i, key := range strict.Fields(reflect.TypeFor[T]()) {
		was, is := reflect.ValueOf(before).Field(i), reflect.ValueOf(after).Field(i)
		if c := change(written(was), written(is)); c != "" {
			changes = append(changes, row{key, c})
		}
	}
	return changes
}

// written is a value as JSON, which is how TOML writes it too; "" when it is not given.
func written(v reflect.Value) string {
	if v.IsZero() {
		return ""
	}
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v.Interface()); err != nil {
		panic(err) // it came from a file
	}
	return strings.TrimSpace(text.String())
}

// change is what happens to a value; "" when nothing does.
func change(was, is string) string {
	switch {
	case was == is:
		return ""
	case was == "":
		return "+ " + is
	case is == "":
		return "- " + was
	}
	return was + " → " + is
}

// union are the names of both, sorted.
func union[T any](a, b map[string]T) []string {
	return slices.Compact(slices.Sorted(func(yield func(string) bool) {
		for name := range a {
			if !yield(name) {
				return
			}
		}
		maps.Keys(b)(yield)
	}))
}

// changesOf is what a node gets and loses.
func changesOf(before, after *registry.File, name string) []row {
	old, errOld := seen(before, nil, name)
	now, errNow := seen(after, nil, name)
	switch {
	case errOld != nil:
		return []row{{"added", described(now)}}
	case errNow != nil:
		return []row{{"removed", "its agent deploys nothing any more; its system stays as it is"}}
	}
	was, is := byKey(old.rows()), byKey(now.rows())
	var changes []row
	for _, key := range keysOf(now.rows(), old.rows()) {
		if c := change(was[key], is[key]); c != "" {
			changes = append(changes, row{key, c})
		}
	}
	for _, r := range changedFields(old.Entry, now.Entry) { // what show does not tell, or has no effect
		if !slices.ContainsFunc(changes, func(c row) bool { return tells(c.key, r.key) }) {
			changes = append(changes, r)
		}
	}
	return changes
}

// tells reports whether a row of show tells of a key of the node's table.
func tells(shown, key string) bool {
	switch key {
	case "proxy":
		return shown == "proxied"
	case "configuration":
		return shown == "output"
	case "reason":
		return shown == "hold" || shown == "pin"
	case "checks":
		return strings.HasPrefix(shown, "check ") || shown == "refused"
	}
	return shown == strings.ReplaceAll(key, "_", " ")
}

// described is a new node in a line.
func described(n seenNode) string {
	var parts []string
	for _, r := range n.rows() {
		if slices.Contains([]string{"managed", "kind", "system", "vmid", "address", "roles", "wave", "window", "hold", "pin"}, r.key) {
			parts = append(parts, r.key+" "+r.value)
		}
	}
	return strings.Join(parts, "; ")
}

// byKey joins the values of rows with the same key.
func byKey(rows []row) map[string]string {
	all := map[string]string{}
	for _, r := range rows {
		if all[r.key] != "" {
			r.value = all[r.key] + "; " + r.value
		}
		all[r.key] = r.value
	}
	return all
}

// keysOf are the keys of both, in the order of the rows.
func keysOf(a, b []row) []string {
	var keys []string
	for _, r := range slices.Concat(a, b) {
		if !slices.Contains(keys, r.key) {
			keys = append(keys, r.key)
		}
	}
	return keys
}

// carriedBy are the nodes that have a role before or after.
func carriedBy(before, after *registry.File, role string) string {
	var nodes []string
	for _, name := range union(before.Nodes, after.Nodes) {
		for _, f := range []*registry.File{before, after} {
			n, ok := f.Nodes[name]
			if ok && n.IsManaged() && slices.Contains(f.RolesOf(n), role) && !slices.Contains(nodes, name) {
				nodes = append(nodes, name)
			}
		}
	}
	if nodes == nil {
		return "no node has it"
	}
	return "on " + some(nodes)
}
