package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/infra-agent/infra-agent/agent/registry"
	"github.com/infra-agent/infra-agent/agent/strict"
	"github.com/infra-agent/infra-agent/reconcile"
)

func registryShowCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "show [NODE]", Short: "Show what the agent makes of the registry: one node, or all", Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			f, problems, err := readRegistry(c)
			if err != nil {
				return err
			}
			asJSON, _ := c.Flags().GetBool("json")
			if len(args) == 1 {
				return showOne(c, f, problems, args[0], asJSON)
			}
			if len(problems) > 0 {
				fmt.Fprintf(c.ErrOrStderr(), "%s has %s: see \"infra-agent registry check\"\n", problems[0].File, counted(len(problems), "mistake"))
			}
			return showAll(c.OutOrStdout(), f, problems, asJSON)
		},
	}
	c.Flags().Bool("json", false, "print JSON")
	pathFlag(c)
	return c
}

// showOne shows a node as the agent sees it there. What is wrong with other nodes does
// not hold it, and is only mentioned.
func showOne(c *cobra.Command, f *registry.File, problems []strict.Problem, node string, asJSON bool) error {
	n, err := seen(f, problems, node)
	if err != nil {
		return err
	}
	if others := len(problems) - len(registry.Concerning(node, problems)); others > 0 {
		fmt.Fprintf(c.ErrOrStderr(), "%s has %s elsewhere: see \"infra-agent registry check\"\n", problems[0].File, counted(others, "mistake"))
	}
	if err := n.show(c.OutOrStdout(), asJSON); err != nil {
		return err
	}
	if n.Refused != "" {
		return fmt.Errorf("the agent would refuse node %s", node)
	}
	return nil
}

// A seenNode is a node as the agent sees it.
type seenNode struct {
	Name    string            `json:"name"`
	Managed bool              `json:"managed"`           // false: nothing is deployed to it
	Entry   registry.Node     `json:"entry"`             // as it is written
	Roles   []string          `json:"roles,omitempty"`   // with those that others imply, the weakest first; none as for Target
	Target  *reconcile.Target `json:"target,omitempty"`  // merged with its roles; none when it is not managed, or refused
	Refused string            `json:"refused,omitempty"` // why the agent would deploy nothing
}

// seen is a node of a registry that may have problems: as on the node, those of other
// nodes do not count.
func seen(f *registry.File, problems []strict.Problem, name string) (seenNode, error) {
	entry, ok := f.Nodes[name]
	problems = registry.Concerning(name, problems)
	if !ok && len(problems) > 0 {
		return seenNode{}, &strict.Error{Problems: problems}
	}
	if !ok {
		names := slices.Sorted(maps.Keys(f.Nodes))
		hint := `"infra-agent registry show" lists all`
		if near := strict.Nearest(name, names); near != "" {
			hint = fmt.Sprintf("did you mean %q? %s", near, hint)
		}
		return seenNode{}, fmt.Errorf("the registry has no node %q (hint: %s)", name, hint)
	}
	n := seenNode{Name: name, Managed: entry.IsManaged() && entry.Kind != "template", Entry: entry}
	if len(problems) > 0 {
		n.Refused = (&strict.Error{Problems: problems}).Error()
		return n, nil
	}
	if !n.Managed {
		return n, nil
	}
	if target, err := f.Target(name); err == nil {
		n.Target, n.Roles = &target, f.RolesOf(entry)
	} else {
		n.Refused = err.Error()
	}
	return n, nil
}

func (n seenNode) show(w io.Writer, asJSON bool) error {
	if asJSON {
		return writeJSON(w, n)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "node\t%s\n", n.Name)
	for _, r := range n.rows() {
		fmt.Fprintf(t, "%s\t%s\n", r.key, r.value)
	}
	return t.Flush()
}

func showAll(w io.Writer, f *registry.File, problems []strict.Problem, asJSON bool) error {
	all := []seenNode{}
	for _, name := range slices.Sorted(maps.Keys(f.Nodes)) {
		n, err := seen(f, problems, name)
		if err != nil {
			return err
		}
		all = append(all, n)
	}
	if asJSON {
		return writeJSON(w, all)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "NODE\tSTATE\tSYSTEM\tVMID\tADDRESS\tWAVE\tROLES")
	for _, n := range all {
		state, wave, roles, vmid := "managed", "", "", ""
		switch {
		case n.Refused != "":
			state = "refused"
		case !n.Managed:
			state = "unmanaged"
		case n.Target.Hold != "":
			state = "held"
		case n.Target.Pin != "":
			state = "pinned"
		}
		if n.Target != nil {
			wave, roles = n.Target.Wave, strings.Join(n.Roles, ", ")
		}
		if n.Entry.VMID != nil {
			vmid = strconv.Itoa(*n.Entry.VMID)
		}
		fmt.Fprintf(t, "%s\n", strings.Join([]string{
			n.Name, state, dash(n.Entry.System), dash(vmid), dash(n.Entry.Address), dash(wave), dash(roles),
		}, "\t"))
	}
	return t.Flush()
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
