package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/infra-agent/infra-agent/agent/config"
	"github.com/infra-agent/infra-agent/agent/registry"
	"github.com/infra-agent/infra-agent/agent/strict"
)

// A place is where a registry is.
type place struct {
	file    string            // of the registry; where it is a value of the flake: of the flake
	attr    string            // of the flake; "" = the file is the registry
	mapping *registry.Mapping // of a file of another tool; nil = the file is ours
}

func placeFlags(c *cobra.Command) {
	c.PersistentFlags().String("attr", config.Default().Registry.Attr, "the registry in a flake that has no infrastructure.toml")
	c.PersistentFlags().StringToString("map", nil, `the file is of another tool: where it has what, as in registry.map of the settings,
such as nodes=fleet.hosts,roles=profiles,managed_when=!appliance`)
}

const registryFile, flakeFile = "infrastructure.toml", "flake.nix"

// locate finds the registry for a path, which may be the checkout.
func locate(c *cobra.Command, path string) (place, error) {
	mapping, err := mappingOf(c)
	if err != nil {
		return place{}, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return place{}, fmt.Errorf("find the registry: %w", err)
	}
	switch file, flake := filepath.Join(path, registryFile), filepath.Join(path, flakeFile); {
	case !info.IsDir():
		return place{file: path, mapping: mapping}, nil
	case mapping != nil:
		return place{}, fmt.Errorf("%s is a directory (hint: with --map, name the file)", path)
	case exists(file):
		return place{file: file}, nil
	case exists(flake):
		attr, _ := c.Flags().GetString("attr")
		return place{file: flake, attr: attr}, nil
	}
	return place{}, fmt.Errorf("%s has neither %s nor %s (hint: name the directory of the flake, or the file)", path, registryFile, flakeFile)
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return !errors.Is(err, fs.ErrNotExist)
}

// mappingOf is what --map says; nil when it says nothing.
func mappingOf(c *cobra.Command) (*registry.Mapping, error) {
	given, _ := c.Flags().GetStringToString("map")
	if len(given) == 0 {
		return nil, nil
	}
	var m registry.Mapping
	keys := map[string]*string{
		"nodes": &m.Nodes, "roles": &m.Roles, "system": &m.System, "hostname": &m.Hostname, "managed_when": &m.ManagedWhen,
	}
	for key, value := range given {
		if keys[key] == nil {
			return nil, usageError(c, fmt.Errorf("--map has no %q: want %s", key, strings.Join(slices.Sorted(maps.Keys(keys)), ", ")))
		}
		*keys[key] = value
	}
	if m.Nodes == "" {
		return nil, usageError(c, errors.New("--map lacks nodes=KEY, the key of the table of nodes"))
	}
	return &m, nil
}

// read reads what can be read of a registry in spite of its problems. The file is nil
// where nothing can.
func (p place) read(ctx context.Context) (*registry.File, []strict.Problem, error) {
	if p.attr != "" {
		return p.value(ctx, p.file, "")
	}
	data, err := readFile(p.file)
	if err != nil {
		return nil, nil, err
	}
	f, problems := p.parse(filepath.ToSlash(p.file), data)
	return f, problems, nil
}

func (p place) parse(name string, data []byte) (*registry.File, []strict.Problem) {
	if p.mapping != nil {
		return registry.ReadMapped(name, data, *p.mapping)
	}
	return registry.Read(name, data)
}

// readFile returns at most one byte more than the reader accepts.
func readFile(file string) ([]byte, error) {
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
	return right(f, problems, err)
}

// right is a registry without problems.
func right(f *registry.File, problems []strict.Problem, err error) (*registry.File, error) {
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
	p, err := locate(c, path)
	if err != nil {
		return nil, nil, err
	}
	f, problems, err := p.read(c.Context())
	if err == nil && f == nil {
		err = &strict.Error{Problems: problems}
	}
	return f, problems, err
}
