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
			file, err := locate(path)
			if err != nil {
				return err
			}
			before, after, err := twoRegistries(c, file, args[0])
			if err != nil || before == nil {
				return err
			}
			return compare(c.OutOrStdout(), before, after)
		},
	}
}

// twoRegistries reads the registry before, nil when it cannot be compared, and after.
func twoRegistries(c *cobra.Command, file, revs string) (before, after *registry.File, err error) {
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
	if before, err = registryBefore(c, file, from); err != nil {
		return nil, nil, err
	}
	if isRange {
		after, err = registryAt(c.Context(), file, to)
		return before, after, err
	}
	data, err := read(file)
	if err != nil {
		return nil, nil, err
	}
	after, err = parsed(file, data)
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
	everywhere := slices.Concat(changedFields("[fleet]", before.Fleet, after.Fleet), changedFields("[waves]", before.Waves, after.Waves))
	for _, line := range everywhere {
		fmt.Fprintln(t, line)
	}
	nodes := 0
	for _, name := range union(before.Nodes, after.Nodes) {
		changes := changesOf(before, after, name)
		if f, ok := moved[name]; ok {
			changes = append(changes, row{"warning", fmt.Sprintf("V011: %s: %s", f.Message, f.Fix)})
		}
		for i, change := range changes {
			if i == 0 {
				nodes++
			} else {
				name = ""
			}
			fmt.Fprintf(t, "%s\t%s\t%s\n", name, change.key, change.value)
		}
	}
	roles := 0
	for _, name := range union(before.Roles, after.Roles) {
		old, was := before.Roles[name]
		role, is := after.Roles[name]
		what := "changed"
		switch {
		case !was:
			what = "added"
		case !is:
			what = "removed"
		case reflect.DeepEqual(old, role):
			continue
		}
		roles++
		fmt.Fprintf(t, "[roles.%s]\t%s\t%s\n", name, what, carriedBy(before, after, name))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if nodes+roles+len(everywhere) == 0 {
		_, err := fmt.Fprintln(w, "Nothing changes.")
		return err
	}
	_, err := fmt.Fprintf(w, "%s and %s touched\n", counted(nodes, "node"), counted(roles, "role"))
	return err
}

// changedFields compares tables that hold for the whole fleet.
func changedFields[T any](table string, before, after T) []string {
	var lines []string
	for i, key := range strict.Fields(reflect.TypeFor[T]()) {
		was, is := reflect.ValueOf(before).Field(i), reflect.ValueOf(after).Field(i)
		if c := change(written(was), written(is)); c != "" {
			lines = append(lines, table+"\t"+key+"\t"+c)
		}
	}
	return lines
}

// written is a value as JSON, which is how TOML writes it too; "" when it is not given.
func written(v reflect.Value) string {
	if v.IsZero() {
		return ""
	}
	text, err := json.Marshal(v.Interface())
	if err != nil {
		panic(err) // it came from a file
	}
	return string(text)
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
	if len(changes) == 0 && !reflect.DeepEqual(old, now) {
		changes = append(changes, row{"changed", "in ways that are not shown: see registry show --json " + name})
	}
	return changes
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
