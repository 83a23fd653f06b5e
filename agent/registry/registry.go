// Package registry finds out which node this machine is, and what one revision
// of the repository wants of it.
//
// It reads the fleet's registry (infrastructure.toml) from the revision's files;
// a flake without one is fine: then a node is its nixosConfigurations output.
// It knows the file's format and the rules of identity. It does not evaluate Nix.
package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/infra-agent/infra-agent/agent/strict"
	"github.com/infra-agent/infra-agent/reconcile"
)

// A Source is a kind of registry.
type Source string

// The kinds of registries.
const (
	Auto Source = "auto" // the file if there is one, else none
	TOML Source = "toml" // the file, which must exist
	None Source = "none" // a node is its nixosConfigurations output
)

// A Resolver knows what this machine is called, and where the registry is.
type Resolver struct {
	Source        Source
	Subdir        string // of the flake in the repository; "" = its root
	File          string // relative to the flake
	Node          string // set by the operator; "" = found by host name
	Configuration string // set by the operator; "" = found by identity
	Hostname      string // short: dns-01
	FQDN          string // dns-01.example.org; "" = not known
	System        string // x86_64-linux
}

// maxFile is one more byte than [strict.Parse] accepts.
const maxFile = 1<<20 + 1

// Resolve returns what the revision whose files are in dir wants of this machine.
// It calls outputs, which lists the names of nixosConfigurations, only when the
// revision has no registry.
//
// The error is rejected by [reconcile.GateIdentity] when the revision does not
// say, or says that nothing may be deployed here.
func (r Resolver) Resolve(ctx context.Context, dir string, outputs func(context.Context) ([]string, error)) (reconcile.Target, error) {
	if r.Source == None {
		return r.plain(ctx, outputs)
	}
	data, err := r.read(dir)
	if errors.Is(err, fs.ErrNotExist) && r.Source == Auto {
		return r.plain(ctx, outputs)
	}
	if err != nil {
		return reconcile.Target{}, refused("read the registry %s: %w", r.File, err)
	}
	fleet, err := parse(r.File, data)
	if err != nil {
		return reconcile.Target{}, refused("%w", err)
	}
	return r.registered(fleet)
}

// read opens the registry without leaving dir, whatever is a symbolic link.
func (r Resolver) read(dir string) ([]byte, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }()
	f, err := root.Open(filepath.Join(r.Subdir, r.File))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxFile))
}

// plain resolves a flake without a registry.
func (r Resolver) plain(ctx context.Context, outputs func(context.Context) ([]string, error)) (reconcile.Target, error) {
	names, err := outputs(ctx)
	if err != nil {
		return reconcile.Target{}, fmt.Errorf("list nixosConfigurations: %w", err)
	}
	slices.Sort(names)
	byName := map[string][]string{}
	for _, name := range names {
		byName[name] = []string{name}
	}
	set := r.Configuration
	if set == "" {
		set = r.Node
	}
	name, warning, err := r.identify(set, byName, "an output of nixosConfigurations")
	if err != nil {
		return reconcile.Target{}, err
	}
	target := reconcile.Target{Node: name, Configuration: name}
	if r.Node != "" {
		target.Node = r.Node
	}
	if warning != "" {
		target.Warnings = []string{warning}
	}
	return target, nil
}

// registered resolves a node of the registry.
func (r Resolver) registered(f *file) (reconcile.Target, error) {
	byName := map[string][]string{}
	for name, n := range f.Nodes {
		byName[name] = append([]string{name, n.Hostname}, n.Aliases...)
	}
	name, warning, err := r.identify(r.Node, byName, "in the registry")
	if err != nil {
		return reconcile.Target{}, err
	}
	n := f.Nodes[name]
	if err := r.deployable(f, name, n); err != nil {
		return reconcile.Target{}, err
	}
	target, err := f.target(name, n)
	if err != nil {
		return reconcile.Target{}, err
	}
	if r.Configuration != "" {
		target.Configuration = r.Configuration
	}
	if warning != "" {
		target.Warnings = append([]string{warning}, target.Warnings...)
	}
	return target, nil
}

// deployable refuses a node that must be left alone.
func (r Resolver) deployable(f *file, name string, n node) error {
	switch {
	case n.Managed != nil && !*n.Managed:
		return refused("node %s is unmanaged: the registry says managed = false", name)
	case n.Kind == "template":
		return refused("node %s is unmanaged: the registry says kind = \"template\"", name)
	case n.System != "" && n.System != r.System:
		return refused("node %s is %s in the registry, and this machine is %s (hint: is this the right node?)", name, n.System, r.System)
	}
	for _, later := range []struct {
		key   string
		given bool
	}{
		{"hold", n.Hold},
		{"pin", n.Pin != ""},
		{"branch", n.Branch != ""},
		{"window", n.Window != nil},
		{"[fleet] window", f.Fleet.Window != nil},
	} {
		if later.given {
			return refused("node %s: %s is not supported yet by this version of the agent, and ignoring it is not safe (hint: remove it)", name, later.key)
		}
	}
	return nil
}

// refused is an error that the revision caused.
func refused(format string, args ...any) error {
	return reconcile.Rejected(reconcile.GateIdentity, fmt.Errorf(format, args...))
}

// didYouMean is a hint at a similar word, or nothing.
func didYouMean(word string, known []string) string {
	if near := strict.Nearest(word, known); near != "" {
		return fmt.Sprintf(" (hint: did you mean %q?)", near)
	}
	return ""
}
