package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/infra-agent/infra-agent/agent/config"
	"github.com/infra-agent/infra-agent/agent/registry"
	"github.com/infra-agent/infra-agent/agent/source"
	"github.com/infra-agent/infra-agent/agent/strict"
	"github.com/infra-agent/infra-agent/reconcile"
)

// isCheckout reports whether the path that was named is a checkout: of a checkout, Nix sees what git tracks.
func (d *doctor) isCheckout(ctx context.Context, registry string) bool {
	asked := func(args ...string) (string, error) {
		out, err := git(ctx, d.checkout, args...)
		return strings.TrimSpace(out), err
	}
	root, err := asked("rev-parse", "--show-toplevel")
	if err != nil {
		d.fail("checkout", fmt.Errorf("%s is not a git checkout", d.checkout))
		return false
	}
	if real, err := filepath.EvalSymlinks(d.checkout); err != nil || real != root {
		d.fail("checkout", fmt.Errorf("%s is a directory of the checkout %s (hint: name that one; source.subdir of the settings says where in it the flake is)", d.checkout, root))
		return false
	}
	d.ok("checkout", "%s, what git tracks of it", d.checkout)
	if _, err := os.Stat(filepath.Join(d.checkout, registry)); err == nil {
		if tracked, err := asked("ls-files", "--", registry); err == nil && tracked == "" {
			d.fail("checkout", fmt.Errorf("git does not track %s: no node and no Nix will see it (hint: git add %s)", registry, registry))
			return false
		}
	}
	return true
}

// committed fetches the newest commit as a node would: what it refuses there, it
// refuses for every node.
func (d *doctor) committed(ctx context.Context, s config.Settings, work string) {
	head, err := git(ctx, d.checkout, "rev-parse", "--verify", "--quiet", "HEAD")
	if err != nil {
		d.warn("commit", "there is none yet, and nodes see nothing else")
		return
	}
	commit, err := reconcile.ParseCommit(strings.TrimSpace(head))
	if err != nil {
		d.fail("commit", err)
		return
	}
	res, err := fetchedFrom(ctx, d.checkout, commit, s, work)
	if err != nil {
		d.fail("commit", err)
		return
	}
	d.ok("commit", "%s %s", res.Commit.Short(), signedBy(res, s.Trust.Policy))
	for _, w := range res.Warnings {
		d.warn("files", "%s", w)
	}
	if changed, err := git(ctx, d.checkout, "status", "--porcelain", "--untracked-files=no"); err == nil && changed != "" {
		d.warn("commit", "%s not committed: they are looked at below, and no node sees them", counted(strings.Count(changed, "\n"), "change"))
	}
}

// fetchedFrom fetches a commit of a checkout as a node would, into a directory. It has the
// files of submodules and of Git LFS as Nix has them: a copy on this disk has nothing to fetch.
func fetchedFrom(ctx context.Context, checkout string, commit reconcile.Commit, s config.Settings, dir string) (source.Result, error) {
	const branch = "checkout" // a detached one has none
	copied, err := checkedOut(ctx, checkout, string(commit))
	if err != nil {
		return source.Result{}, err
	}
	defer func() { _ = os.RemoveAll(copied) }()
	if _, err := git(ctx, copied, "branch", "--force", branch, "HEAD"); err != nil {
		return source.Result{}, err
	}
	opts := sourceOptions(s)
	opts.Dir, opts.Branches, opts.Remotes = dir, source.Branches{Branch: branch}, []source.Remote{{Name: "checkout", URL: copied}}
	opts.Checkout.Submodules, opts.Checkout.LFS = source.SubmodulesEmpty, false
	return source.NewFetcher(opts).Fetch(ctx, source.Request{Remote: "checkout", Tip: commit})
}

// everyNode looks at the registry for each of its nodes: of a checkout nobody knows which
// one is meant, and this machine is none of them.
func (d *doctor) everyNode(ctx context.Context, s config.Settings, port registryPort, rev reconcile.Revision) {
	f, problems, err := port.Whole(ctx, rev.Tree, port.flake(rev))
	if err != nil {
		d.fail("registry", err)
		return
	}
	var names []string
	if f == nil {
		names = d.outputs(ctx, port, rev)
	} else {
		names = slices.Sorted(maps.Keys(f.Nodes))
		d.nodes(s, port, f, problems, names)
	}
	if len(names) > 0 {
		d.warn("node", "none is named, so no system is evaluated (hint: add --node NAME, such as --node %s)", names[0])
	}
}

// outputs are the nodes where there is no registry.
func (d *doctor) outputs(ctx context.Context, port registryPort, rev reconcile.Revision) []string {
	names, err := port.nix.Configurations(ctx, rev)
	if err == nil && len(names) == 0 {
		err = errors.New("there is none, and the flake has no nixosConfigurations (hint: is source.subdir right?)")
	}
	if err != nil {
		d.fail("registry", err)
		return nil
	}
	slices.Sort(names)
	d.ok("registry", "there is none: the nodes are the outputs %s", some(names))
	return names
}

// nodes resolves each node as its agent would.
func (d *doctor) nodes(s config.Settings, port registryPort, f *registry.File, problems []strict.Problem, names []string) {
	managed, before := 0, d.failed
	for _, name := range names {
		n, err := seen(f, problems, name)
		switch {
		case err != nil:
		case n.Refused != "":
			err = errors.New(n.Refused)
		case n.Managed:
			managed++
			if d.hasSettings {
				port.Branch = strings.ReplaceAll(s.Source.Branch, "{name}", name)
			}
			err = port.Deployable(f, name)
		}
		if err != nil {
			d.fail("registry", fmt.Errorf("node %s: %w", name, err))
		}
	}
	if d.failed == before {
		d.ok("registry", "%s, %d of them managed", counted(len(names), "node"), managed)
	}
}
