package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/infra-agent/infra-agent/agent/registry"
	"github.com/infra-agent/infra-agent/agent/registry/convention"
	"github.com/infra-agent/infra-agent/agent/strict"
)

// registryCommand works on a checkout, without an agent: for CI and for people.
func registryCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "registry", Short: "Check, show and compare registries, and propose VM ids", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	vmid := &cobra.Command{
		Use: "vmid", Short: "Propose VM ids, and show those in use", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	vmid.AddCommand(vmidNextCommand(), vmidListCommand())
	c.AddCommand(registryCheckCommand(), registryShowCommand(), registryDiffCommand(), vmid)
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

const registryFile = "infrastructure.toml"

// locate returns the registry's file for a path, which may be the checkout.
func locate(path string) (string, error) {
	info, err := os.Stat(path)
	if err == nil && info.IsDir() {
		dir := path
		path = filepath.Join(dir, registryFile)
		if _, err = os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("%s has no %s (hint: name the directory of the flake, or the file)", dir, registryFile)
		}
	}
	if err != nil {
		return "", fmt.Errorf("find the registry: %w", err)
	}
	return path, nil
}

// read returns at most one byte more than the reader accepts.
func read(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("read the registry: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, strict.MaxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read the registry: %w", err)
	}
	return data, nil
}

// openRegistry reads a registry that must be right.
func openRegistry(c *cobra.Command) (*registry.File, error) {
	f, problems, err := readRegistry(c)
	if err != nil {
		return nil, err
	}
	if problems != nil {
		return nil, &strict.Error{Problems: problems}
	}
	return f, nil
}

// readRegistry reads what can be read of a registry in spite of its problems.
func readRegistry(c *cobra.Command) (*registry.File, []strict.Problem, error) {
	path, _ := c.Flags().GetString("path")
	file, err := locate(path)
	if err != nil {
		return nil, nil, err
	}
	data, err := read(file)
	if err != nil {
		return nil, nil, err
	}
	f, problems := registry.Read(file, data)
	if f == nil {
		return nil, nil, &strict.Error{Problems: problems}
	}
	return f, problems, nil
}

// parsed is a registry without problems.
func parsed(name string, data []byte) (*registry.File, error) {
	f, problems := registry.Read(name, data)
	if problems != nil {
		return nil, &strict.Error{Problems: problems}
	}
	return f, nil
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
