package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/infra-agent/infra-agent/reconcile"
)

func (a *Agent) fetch(ctx context.Context, j reconcile.Fetch, p Ports, policy reconcile.Policy) (reconcile.Event, error) {
	begun := time.Now()
	tree, err := p.Source.Fetch(ctx, j)
	if err != nil {
		return nil, err
	}
	verified := min(max(0, tree.Verified), time.Since(begun)) // the child that says so has read what strangers sent, and may say anything
	if verify := tree.Verify; verify != nil {
		tree.Verify = func(dir string) error {
			begun := time.Now()
			defer func() { verified += time.Since(begun) }()
			return verify(dir)
		}
	}
	f := reconcile.Fetched{Revision: tree.Revision, Behind: tree.Behind, Purpose: j.Purpose}
	switch policy.Manifests.Mode {
	case reconcile.ManifestOnly, reconcile.ManifestPrefer: // nothing of it is evaluated, or not yet
		f.Revision.Tree, err = a.keep(tree, p)
	default:
		f.Revision.Tree, err = add(ctx, tree, j.Purpose, p)
	}
	if errors.Is(err, errNotKept) { // of the whole tree it will be told what is wrong with it
		f.Revision.Tree, err = add(ctx, tree, j.Purpose, p)
	}
	f.Took = reconcile.Times{"verify": verified}
	return reconcile.Advanced{Step: f}, err
}

// add puts a tree into the store, as what Nix evaluates, and verifies it there.
func add(ctx context.Context, tree Tree, purpose reconcile.Purpose, p Ports) (path string, err error) {
	if path, err = p.Nix.Add(ctx, tree.Dir, rootsOf(purpose).source); err == nil && tree.Verify != nil {
		err = tree.Verify(path)
	}
	return path, err
}

// keptRegistries is how many commits the registry is kept of: those on their way, and some more.
const keptRegistries = 8

// keep copies the registry of a tree that is not added to the store. The tree itself is
// another one after the next fetch.
func (a *Agent) keep(tree Tree, p Ports) (dir string, err error) {
	if tree.Verify != nil {
		if err := tree.Verify(tree.Dir); err != nil {
			return "", err
		}
	}
	all := filepath.Join(a.StateDir, "registries")
	if err := dropOldest(all, keptRegistries-1); err != nil {
		return "", err
	}
	dir, err = p.Registry.Keep(tree.Dir, filepath.Join(all, string(tree.Revision.Commit)))
	if err != nil {
		err = fmt.Errorf("%w: %w", errNotKept, err)
	}
	return dir, err
}

var errNotKept = errors.New("the registry cannot be kept")

// dropOldest removes all but the newest of the directories in dir.
func dropOldest(dir string, stay int) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	made := func(e os.DirEntry) time.Time {
		info, err := e.Info()
		if err != nil {
			return time.Time{}
		}
		return info.ModTime()
	}
	slices.SortFunc(entries, func(x, y os.DirEntry) int { return made(y).Compare(made(x)) })
	for _, e := range entries[min(stay, len(entries)):] {
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// whole returns a revision whose tree is in the store. That of one that has waited while later ones
// were fetched may have been garbage collected.
func whole(ctx context.Context, f reconcile.Fetched, p Ports) (reconcile.Fetched, error) {
	if p.Nix.Has(f.Revision.Tree) {
		return f, nil
	}
	tree, err := p.Source.Again(ctx, f)
	if err == nil {
		f.Revision.Tree, err = add(ctx, tree, f.Purpose, p)
	}
	return f, err
}

// readable returns a revision of which the registry's file can be read.
func readable(ctx context.Context, f reconcile.Fetched, p Ports) (reconcile.Fetched, error) {
	if p.Registry.Kept(f.Revision.Tree) {
		return f, nil
	}
	return whole(ctx, f, p)
}

// rootNames are the roots of a tree that is evaluated, and of the system that is built of
// it, until the next tidying.
type rootNames struct{ source, built string }

// rootsOf names the roots of a commit on its way. Those of the branch and of the testing
// branch are apart: one waits, for a maintenance window say, while the other is prepared.
func rootsOf(p reconcile.Purpose) rootNames {
	if p == reconcile.PurposeTesting {
		return rootNames{"testing-source", "testing-built"}
	}
	return rootNames{"source", "built"}
}

func resolve(ctx context.Context, j reconcile.Resolve, p Ports, policy reconcile.Policy) (reconcile.Event, error) {
	f, err := whole(ctx, j.From, p)
	if err != nil {
		return nil, err
	}
	ctx, cancel := within(ctx, policy.Limits.Evaluate)
	defer cancel()
	target, err := p.Registry.Resolve(ctx, f.Revision)
	return reconcile.Advanced{Step: reconcile.Resolved{Fetched: f, Target: target}}, err
}

func plan(ctx context.Context, j reconcile.Plan, p Ports) (reconcile.Event, error) {
	from, err := readable(ctx, j.From, p)
	if err != nil {
		return nil, err
	}
	j.From = from
	planned, err := p.Manifests.Plan(ctx, j)
	return reconcile.Advanced{Step: reconcile.Evaluated{
		Resolved: reconcile.Resolved{Fetched: j.From, Target: planned.Target}, Derivation: planned.Derivation, Toplevel: planned.Toplevel, Manifest: planned.Manifest, Audit: planned.Audit,
	}}, err
}

func evaluate(ctx context.Context, j reconcile.Evaluate, p Ports, policy reconcile.Policy) (reconcile.Event, error) {
	s := reconcile.Evaluated{Resolved: j.From}
	var err error
	if s.Fetched, err = whole(ctx, s.Fetched, p); err != nil {
		return nil, err
	}
	ctx, cancel := within(ctx, policy.Limits.Evaluate)
	defer cancel()
	s.Derivation, s.Toplevel, err = p.Nix.Evaluate(ctx, s.Revision, s.Target.Configuration)
	if err == nil && s.Purpose == reconcile.PurposeFollow {
		err = p.Nix.Prove(ctx, s.Revision, s.Target.Configuration, j.Anew)
	}
	return reconcile.Advanced{Step: s}, err
}

// build builds what was evaluated, or copies what a manifest names.
func build(ctx context.Context, j reconcile.Build, p Ports, policy reconcile.Policy, report func(reconcile.Progress)) (reconcile.Event, error) {
	s, root := reconcile.Built{Evaluated: j.From}, rootsOf(j.From.Purpose).built
	if s.Manifest.Place != "" {
		ctx, cancel := within(ctx, policy.Limits.Build)
		defer cancel()
		return reconcile.Advanced{Step: s}, p.Nix.Copy(ctx, s.Toplevel, root, report)
	}
	var err error
	if s.Fetched, err = whole(ctx, s.Fetched, p); err != nil {
		return nil, err
	}
	ctx, cancel := within(ctx, policy.Limits.Build)
	defer cancel()
	return reconcile.Advanced{Step: s}, p.Nix.Build(ctx, s.Evaluated, root, report)
}

func audit(ctx context.Context, j reconcile.Audit, p Ports, policy reconcile.Policy) (reconcile.Event, error) {
	s := j.From
	s.Audit = false
	var err error
	if s.Fetched, err = whole(ctx, s.Fetched, p); err != nil {
		return nil, err
	}
	ctx, cancel := within(ctx, policy.Limits.Evaluate)
	defer cancel()
	_, top, err := p.Nix.Evaluate(ctx, s.Revision, s.Target.Configuration)
	if _, rejected := reconcile.RejectedBy(err); rejected {
		err = reconcile.Rejected(reconcile.GateManifest, fmt.Errorf("the manifest signed by %s names %s, and this node cannot evaluate the commit: %w", s.Manifest.Signer, s.Toplevel, err))
	} else if err == nil && top != s.Toplevel {
		err = reconcile.Rejected(reconcile.GateManifest, fmt.Errorf(
			"the manifest signed by %s names %s, and this node's own evaluation %s (hint: does that machine evaluate other files, or with other settings? If not, somebody lies)", s.Manifest.Signer, s.Toplevel, top))
	}
	return reconcile.Advanced{Step: s}, err
}

// preflight also gathers the checks that the trial will be judged by: those of
// the new system's own settings, and those of the registry.
func (a *Agent) preflight(ctx context.Context, j reconcile.Preflight, p Ports, policy reconcile.Policy) (reconcile.Event, error) {
	next, err := p.Switch.Preflight(ctx, j.From.Toplevel, j.Retire, a.recordPath())
	if err != nil {
		return nil, err
	}
	if err := sameNode(ctx, j.From.Resolved, next, p); err != nil {
		return nil, err
	}
	if next.Observes && !policy.Observe {
		return nil, reconcile.Rejected(reconcile.GatePreflight, errors.New(`the new settings have mode = "observe", with which no later commit would be deployed, not even one that takes that back `+
			"(hint: to look on from now on, switch to it on the node by nixos-rebuild)"))
	}
	if err := p.Programs.Secrets(ctx, j.From.Target.Secrets); err != nil {
		return nil, err
	}
	own := next.Checks
	if own == nil {
		own = policy.Checks
	}
	checks := reconcile.MergeChecks(own, j.From.Target.Checks)
	return reconcile.Advanced{Step: reconcile.Ready{Built: j.From, Checks: checks, Retires: next.Retires, Units: next.Units}}, nil
}

// sameNode refuses a host name under which the registry would not lead to this node any more.
// Of a system that a person wants back, no tree is at hand: its trial shows what it follows.
func sameNode(ctx context.Context, from reconcile.Resolved, next reconcile.Newcomer, p Ports) error {
	if next.HostName == "" || from.Revision.Tree == "" {
		return nil
	}
	f, err := readable(ctx, from.Fetched, p)
	if err != nil {
		return err
	}
	t, known, err := p.Registry.ResolveAs(ctx, f.Revision, next)
	_, rejected := reconcile.RejectedBy(err)
	switch {
	case err != nil && !rejected:
		return err
	case !known || err == nil && t.Node == from.Target.Node:
		return nil
	case err == nil:
		err = fmt.Errorf("it leads to the node %q", t.Node)
	}
	return reconcile.Rejected(reconcile.GateIdentity, fmt.Errorf("the new system's host name is %q, which would not lead to %q in the registry: %w (hint: a table may have both names, as hostname or among its aliases)",
		next.HostName, from.Target.Node, err))
}

// tidy removes what earlier deployments left behind. The guard's file is turned
// off first, so that a guard that is stopped too late does nothing.
func (a *Agent) tidy(ctx context.Context, j reconcile.Tidy, p Ports) error {
	guard, err := p.Guard.State()
	if err == nil && guard.Until != 0 {
		err = p.Guard.Disarm(guard.ID)
	}
	if err != nil {
		if a.guardActs(ctx, guard.ID, p) {
			return err
		}
		a.Log.Warn("the guard is stopped though its file could not be changed", "err", err)
	}
	units, err := p.Units.Leftovers(ctx)
	if err != nil {
		return err
	}
	for _, u := range units {
		if err := p.Units.Stop(ctx, u); err != nil {
			return err
		}
	}
	keep := []string{rootsOf(reconcile.PurposeBranch).source, rootsOf(reconcile.PurposeTesting).source}
	for _, t := range j.Keep {
		if err := p.Nix.Root(ctx, rootName(string(t)), string(t)); err != nil {
			return err
		}
		keep = append(keep, rootName(string(t)))
	}
	return p.Nix.Unroot(keep...)
}

func rootName(path string) string { return filepath.Base(path) }

// runAll runs commands of the registry one after the other, and ends with the
// first that fails.
func runAll(ctx context.Context, what string, commands [][]string, p Ports) error {
	for _, argv := range commands {
		if err := p.Programs.Exec(ctx, argv); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
	return nil
}
