package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/infra-agent/infra-agent/agent/registry"
	"github.com/infra-agent/infra-agent/agent/registry/convention"
)

func vmidNextCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "next PURPOSE", Short: "Propose a free VM id", Args: cobra.ExactArgs(1),
		Long: `Propose the first free VM id for a purpose that leaves a gap to those in use.

PURPOSE is a prefix (dns), a range of "infra-agent registry vmid list --all"
(dns-dhcp), the name of the new node (dns-03), or a role: then the id is in the ranges
of the nodes that have it. A node of an environment that has ranges, by its table or by
a name such as dev-dns-03, gets an id of those. The id goes to standard output, the reason to standard error.`,
		RunE: func(c *cobra.Command, args []string) error {
			f, t, err := openWithTables(c)
			if err != nil {
				return err
			}
			p, err := convention.Next(f, t, args[0])
			if err != nil {
				return err
			}
			why(c.ErrOrStderr(), p)
			_, err = fmt.Fprintln(c.OutOrStdout(), p.ID)
			return err
		},
	}
	tableFlags(c)
	pathFlag(c)
	return c
}

func openWithTables(c *cobra.Command) (*registry.File, convention.Tables, error) {
	f, err := openRegistry(c)
	if err != nil {
		return nil, convention.Tables{}, err
	}
	t, err := tables(c)
	return f, t, err
}

// why explains a proposal.
func why(w io.Writer, p convention.Proposal) {
	gap := "with a free id on both sides"
	if p.Tight {
		gap = "there is none with a free id on both sides"
	}
	fmt.Fprintf(w, "first free id of %s, %s; %s\n", p.Range.Range, gap, p.Because)
	if len(p.Range.IDs) > 0 {
		fmt.Fprintf(w, "in use there: %s\n", inUse(p.Range))
	}
	if p.Range.Crowded() {
		fmt.Fprintf(w, "warning: V009: %d of its %d ids are used: plan another range\n", len(p.Range.IDs), p.Range.Size())
	}
}

func inUse(u convention.Usage) string {
	var all []string
	for i, id := range u.IDs {
		all = append(all, fmt.Sprintf("%d %s", id, u.Nodes[i]))
	}
	return some(all)
}

func vmidListCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "list", Short: "List the ranges of VM ids with the nodes in them", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			f, t, err := openWithTables(c)
			if err != nil {
				return err
			}
			all, _ := c.Flags().GetBool("all")
			return listVMIDs(c.OutOrStdout(), f, t.VMID, all)
		},
	}
	c.Flags().Bool("all", false, "also ranges that nothing uses")
	tableFlags(c)
	pathFlag(c)
	return c
}

func listVMIDs(w io.Writer, f *registry.File, v convention.VMID, all bool) error {
	ranges, outside := convention.Use(f, v)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "RANGE\tIDS\tUSED\tFOR\tNODES")
	for _, u := range ranges {
		if len(u.IDs) == 0 && !all {
			continue
		}
		label := u.Range.Label
		if u.Range.Policy != "allow" {
			label += " (" + u.Range.Policy + ")"
		}
		fmt.Fprintf(t, "%s\t%d-%d\t%d/%d\t%s\t%s\n", u.Range.ID, u.Range.From, u.Range.To, len(u.IDs), u.Size(), label, nodesOf(u))
	}
	if len(outside.IDs) > 0 {
		fmt.Fprintf(t, "-\t-\t%d\tin no range\t%s\n", len(outside.IDs), nodesOf(outside))
	}
	return t.Flush()
}

func nodesOf(u convention.Usage) string {
	var all []string
	for i, id := range u.IDs {
		all = append(all, strconv.Itoa(id)+" "+u.Nodes[i])
	}
	return dash(strings.Join(all, ", "))
}
