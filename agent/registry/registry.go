// Package registry finds out which node this machine is, and what one revision
// of the repository wants of it.
//
// It reads the fleet's registry: infrastructure.toml among the revision's files, a
// value of its flake, or a file of another format. A flake without one is fine: then
// a node is its nixosConfigurations output. It knows the format and the rules of
// identity. It does not run Nix.
package registry

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/infra-agent/infra-agent/agent/strict"
	"github.com/infra-agent/infra-agent/reconcile"
)

// A Resolver knows what this machine is called, and where the registry is.
type Resolver struct {
	Source        Source
	Branch        string // that the agent follows; "" = any will do
	Subdir        string // of the flake in the repository; "" = its root
	File          string // relative to the flake
	Attr          string // of the flake
	Mapping       Mapping
	Beside        string `json:"-"` // another file of the repository, relative to its root, that is kept as well; "" = none
	Node          string // set by the operator; "" = found by host name
	Configuration string // set by the operator; "" = found by identity
	Hostname      string // short: dns-01
	FQDN          string // dns-01.example.org; "" = not known
	System        string // x86_64-linux; "" = any will do
}

// Resolve returns what the revision whose files are in dir wants of this machine.
//
// The error is rejected by [reconcile.GateIdentity] when the revision does not
// say, or says that nothing may be deployed here.
func (r Resolver) Resolve(ctx context.Context, dir string, flake Flake) (reconcile.Target, error) {
	read, err := r.load(ctx, dir, flake)
	if err != nil {
		return reconcile.Target{}, err
	}
	if read == nil {
		return r.plain(ctx, flake)
	}
	return r.registered(read)
}

// plain resolves a flake without a registry.
func (r Resolver) plain(ctx context.Context, flake Flake) (reconcile.Target, error) {
	names, err := flake.Outputs(ctx)
	if err != nil {
		return reconcile.Target{}, fmt.Errorf("list nixosConfigurations: %w", err)
	}
	if len(names) == 0 {
		return reconcile.Target{}, refused("the flake has no nixosConfigurations (hint: is source.subdir right?)")
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
	name, warning, err := r.identify(set, byName, "an output of nixosConfigurations",
		func(name string) string { return fmt.Sprintf("add nixosConfigurations.%q", name) })
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

// registered resolves a node of the registry. A mistake that concerns all nodes comes
// before the question which one this is: the file may be none of ours.
func (r Resolver) registered(read reader) (reconcile.Target, error) {
	d, err := read("")
	if err != nil {
		return reconcile.Target{}, refused("%w", err)
	}
	name, warning, unidentified := r.identify(r.Node, names(d), "in the registry", func(name string) string { return r.toAdd(d, name) })
	if unidentified == nil {
		if d, err = read(name); err != nil {
			return reconcile.Target{}, refused("%w", err)
		}
	}
	f, err := decodeOwn(d, name)
	if err != nil {
		return reconcile.Target{}, refused("%w", err)
	}
	if unidentified != nil {
		return reconcile.Target{}, unidentified
	}
	if err := r.Deployable(f, name); err != nil {
		return reconcile.Target{}, err
	}
	target, err := f.Target(name)
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

// Deployable says why a node of the registry must be left alone; nil when it need not.
func (r Resolver) Deployable(f *File, name string) error {
	n := f.Nodes[name]
	branch := strings.ReplaceAll(cmp.Or(n.Branch, f.Fleet.Branch), "{name}", name)
	switch {
	case !n.IsManaged() && r.Source == Map:
		return refused("node %s is unmanaged: registry.map.managed_when = %q does not hold for it in %s", name, r.Mapping.ManagedWhen, r.File)
	case !n.IsManaged():
		return refused("node %s is unmanaged: the registry says managed = false (hint: remove that to have the agent deploy here, or disable the agent)", name)
	case n.Kind == "template":
		return refused("node %s is unmanaged: the registry says kind = \"template\" (hint: give a machine made of it a host name and a table of its own)", name)
	case n.System != "" && r.System != "" && n.System != r.System:
		return refused("node %s is %s in the registry, and this machine is %s (hint: is this the right node?)", name, n.System, r.System)
	case strings.HasPrefix(branch, "refs/heads/"):
		return refused("the registry says that node %s follows branch %s, the full name of a ref (hint: write %q)", name, branch, strings.TrimPrefix(branch, "refs/heads/"))
	case branch != "" && r.Branch != "" && branch != r.Branch:
		return refused("the registry says that node %s follows branch %s, and the agent follows %s (hint: set source.branch in its settings)", name, branch, r.Branch)
	case f.Fleet.Subdir != "" && filepath.Clean(f.Fleet.Subdir) != filepath.Clean(r.Subdir):
		return refused("the registry says that the flake is in %s, and the agent uses %q (hint: set source.subdir in its settings)", f.Fleet.Subdir, r.Subdir)
	}
	return nil
}

// refused is an error that the revision caused.
func refused(format string, args ...any) error {
	return reconcile.Rejected(reconcile.GateIdentity, fmt.Errorf(format, args...))
}

// toAdd is how a node of the given name is added to a registry.
func (r Resolver) toAdd(d *strict.Document, name string) string {
	table := strict.Path("nodes").Child(name)
	switch line, _ := d.Position(""); {
	case r.Source == Map:
		return fmt.Sprintf("add it to %s in %s", r.Mapping.Nodes, r.File)
	case line == 0:
		return fmt.Sprintf("add %s to the flake's %s", table, r.Attr)
	}
	return fmt.Sprintf("add [%s]", table)
}

// didYouMean is a hint at a similar word, and what to do when it is not meant.
func didYouMean(word string, known []string, otherwise string) string {
	hint := otherwise
	if near := strict.Nearest(word, known); near != "" {
		hint = fmt.Sprintf("did you mean %q?", near)
		if otherwise != "" {
			hint += " If not, " + otherwise
		}
	}
	if hint == "" {
		return ""
	}
	return " (hint: " + hint + ")"
}
