package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/infra-agent/infra-agent/agent/registry/convention"
)

// registryCommand works on a checkout, without an agent: for CI and for people.
func registryCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "registry", Short: "Check, show and compare registries, and propose VM ids", Args: cobra.NoArgs,
		Long: `Check, show and compare registries, and propose VM ids.

A registry is infrastructure.toml in a checkout; where the checkout has none, the
value infraAgent.registry of its flake, for which Nix is needed; a JSON file with such a
value; or with --map a TOML or JSON file of another tool.`,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	vmid := &cobra.Command{
		Use: "vmid", Short: "Propose VM ids, and show those in use", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	vmid.AddCommand(vmidNextCommand(), vmidListCommand())
	placeFlags(c)
	c.AddCommand(registryCheckCommand(), registryShowCommand(), registryDiffCommand(), registryHeadCommand(), registryTargetsCommand(), registryManifestCommand(), registryPreviewCommand(), vmid)
	return c
}

// tableFlags let a fleet bring its own tables.
func tableFlags(c *cobra.Command) {
	c.Flags().String("naming", "", "file to replace the table of names")
	c.Flags().String("vmid", "", "file to replace the table of VM ids")
}

// pathFlag is for commands whose argument is something else.
func pathFlag(c *cobra.Command) {
	c.Flags().String("path", ".", "checkout, or the registry's file in it")
}

func tables(c *cobra.Command) (convention.Tables, error) {
	t := convention.Default()
	naming, _ := c.Flags().GetString("naming")
	vmid, _ := c.Flags().GetString("vmid")
	if naming != "" {
		data, err := os.ReadFile(naming)
		if err != nil {
			return t, fmt.Errorf("read the table of names: %w", err)
		}
		if t.Naming, err = convention.ParseNaming(naming, data); err != nil {
			return t, err
		}
	}
	if vmid != "" {
		data, err := os.ReadFile(vmid)
		if err != nil {
			return t, fmt.Errorf("read the table of VM ids: %w", err)
		}
		if t.VMID, err = convention.ParseVMID(vmid, data); err != nil {
			return t, err
		}
	}
	return t, nil
}

// counted is "1 node", "2 nodes".
func counted(n int, word string) string {
	if n != 1 {
		word += "s"
	}
	return fmt.Sprintf("%d %s", n, word)
}

// some names a few, and says how many more there are.
func some(names []string) string {
	const few = 4
	if len(names) <= few {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:few-1], ", "), len(names)-few+1)
}
