package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/infra-agent/infra-agent/agent/manifest"
	"github.com/infra-agent/infra-agent/agent/nix"
	"github.com/infra-agent/infra-agent/reconcile"
)

// run finds out what the systems of a commit's nodes are. Failures are those of nodes.
func (r manifestRun) run(ctx context.Context) (m *manifest.Manifest, failures map[string]error, err error) {
	work, err := os.MkdirTemp("", "infra-agent-manifest-")
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = os.RemoveAll(work) }()
	nx := nixOf(r.settings)
	nx.Roots, nx.Credentials.Home = filepath.Join(work, "roots"), filepath.Join(work, "home")
	nx.Memory = r.memory
	m = &manifest.Manifest{Created: r.created, Nodes: map[string]manifest.Node{}}
	if m.Commit, m.Tree, err = r.of(ctx); err != nil {
		return nil, nil, err
	}
	v, err := nx.Version(ctx)
	if err != nil {
		return nil, nil, err
	}
	m.Nix = v.Text[strings.LastIndexByte(v.Text, ' ')+1:]
	fetched, err := fetchedFrom(ctx, r.checkout, m.Commit, r.settings, filepath.Join(work, "source"))
	if err != nil {
		return nil, nil, err
	}
	rev := reconcile.Revision{Commit: fetched.Commit, Time: fetched.Time}
	if rev.Tree, err = nx.Add(ctx, fetched.Tree, "source"); err != nil {
		return nil, nil, err
	}
	nodes, failures, err := r.nodes(ctx, nx, rev, m)
	if err != nil {
		return nil, nil, err
	}
	known := r.known(m, nodes)
	maps.Copy(m.Nodes, known)
	maps.DeleteFunc(nodes, func(name string, _ manifest.Node) bool { _, is := known[name]; return is })
	evaluated, failed := r.evaluate(ctx, nx, rev, nodes)
	maps.Copy(m.Nodes, evaluated)
	maps.Copy(failures, failed)
	if ctx.Err() != nil {
		return nil, nil, context.Cause(ctx)
	}
	if r.build {
		maps.Copy(failures, r.realise(ctx, nx, m))
	}
	fmt.Fprintf(r.log, "%s of %s: %d evaluated, %d known, %d failed\n", counted(len(m.Nodes)+len(failures), "node"), m.Commit.Short(), len(evaluated), len(known), len(failures))
	return m, failures, nil
}

// nodes lists the managed nodes, with what the registry says of them, and puts its value into
// the manifest where it is one of the flake.
func (r manifestRun) nodes(ctx context.Context, nx *nix.Nix, rev reconcile.Revision, m *manifest.Manifest) (map[string]manifest.Node, map[string]error, error) {
	port := registryPort{Resolver: resolver(r.settings), nix: nx}
	flake := port.flake(rev)
	value := flake.Value
	flake.Value = func(ctx context.Context, attr string) ([]byte, error) {
		data, err := value(ctx, attr)
		m.Registry = data
		return data, err
	}
	f, problems, err := port.Whole(ctx, rev.Tree, flake)
	if err != nil {
		return nil, nil, fmt.Errorf("read the registry: %w", err)
	}
	nodes, failures := map[string]manifest.Node{}, map[string]error{}
	if f == nil {
		names, err := nx.Configurations(ctx, rev)
		if err != nil {
			return nil, nil, err
		}
		for _, name := range names {
			nodes[name] = manifest.Node{}
		}
	} else {
		for name := range f.Nodes {
			switch n, err := seen(f, problems, name); {
			case err != nil:
				failures[name] = err
			case n.Refused != "":
				failures[name] = errors.New(n.Refused)
			case n.Managed:
				nodes[name] = manifest.Node{Configuration: n.Target.Configuration, System: n.Entry.System}
			}
		}
	}
	if len(nodes)+len(failures) == 0 {
		return nil, nil, errors.New("there is no managed node, neither in a registry nor in nixosConfigurations (hint: is source.subdir right?)")
	}
	return nodes, failures, nil
}

// known returns what the earlier manifest says of nodes that cannot have changed since:
// Nix evaluates in them the same files, and the same commit where it learns that.
func (r manifestRun) known(m *manifest.Manifest, nodes map[string]manifest.Node) map[string]manifest.Node {
	known := map[string]manifest.Node{}
	old, s := r.since, r.settings
	learnsCommit := s.Nix.File == "" // a flake has at least the commit's time
	if old == nil || s.Nix.Impure || old.Nix != m.Nix || old.Tree != m.Tree || learnsCommit && old.Commit != m.Commit {
		return known
	}
	for name, n := range nodes {
		before, there := old.Nodes[name]
		if there && before.Configuration == configurationOf(name, n) && (n.System == "" || n.System == before.System) {
			known[name] = before
		}
	}
	return known
}

// configurationOf is the name of the output as the manifest has it.
func configurationOf(name string, n manifest.Node) string {
	if n.Configuration == name {
		return ""
	}
	return n.Configuration
}

// least is the memory that an evaluation is given to begin with: most of NixOS need less.
const least = 4 << 30

// evaluate evaluates nodes beside each other, each with its share of the memory. What fails
// there for a reason that is not the configuration's, memory for one, is tried once more by
// itself.
func (r manifestRun) evaluate(ctx context.Context, nx *nix.Nix, rev reconcile.Revision, nodes map[string]manifest.Node) (map[string]manifest.Node, map[string]error) {
	names := slices.Sorted(maps.Keys(nodes))
	beside := max(1, min(int(r.memory/least), runtime.NumCPU(), len(names)))
	share := *nx
	share.Memory = r.memory / uint64(beside)
	done, failed := map[string]manifest.Node{}, map[string]error{}
	var mu sync.Mutex // guards done and failed
	one := func(nx *nix.Nix, name string) {
		n, err := evaluateNode(ctx, nx, rev, name, nodes[name])
		mu.Lock()
		defer mu.Unlock()
		delete(failed, name)
		if err != nil {
			failed[name] = err
			return
		}
		done[name] = n
	}
	next := make(chan string)
	var all sync.WaitGroup
	for range beside {
		all.Go(func() {
			for name := range next {
				one(&share, name)
			}
		})
	}
	for _, name := range names {
		next <- name
	}
	close(next)
	all.Wait()
	if beside > 1 {
		for _, name := range slices.Sorted(maps.Keys(failed)) {
			if _, rejected := reconcile.RejectedBy(failed[name]); !rejected && ctx.Err() == nil {
				one(nx, name)
			}
		}
	}
	return done, failed
}

func evaluateNode(ctx context.Context, nx *nix.Nix, rev reconcile.Revision, name string, n manifest.Node) (manifest.Node, error) {
	configuration := name
	if n.Configuration != "" {
		configuration = n.Configuration
	}
	drv, top, err := nx.Evaluate(ctx, rev, configuration)
	if err != nil {
		return n, err
	}
	if n.System == "" {
		if n.System, err = nx.SystemOf(ctx, drv); err != nil {
			return n, err
		}
	}
	return manifest.Node{Configuration: configurationOf(name, n), System: n.System, Toplevel: top, Derivation: drv}, nil
}

// realise builds all systems. Those that are not there afterwards leave the manifest.
func (r manifestRun) realise(ctx context.Context, nx *nix.Nix, m *manifest.Manifest) map[string]error {
	var drvs []reconcile.Derivation
	for _, name := range slices.Sorted(maps.Keys(m.Nodes)) {
		drvs = append(drvs, m.Nodes[name].Derivation)
	}
	failed := map[string]error{}
	if len(drvs) == 0 {
		return failed
	}
	if nx.Realise(ctx, drvs) == nil {
		return failed
	}
	// One that is for another kind of machine keeps Nix from all of them.
	for _, name := range slices.Sorted(maps.Keys(m.Nodes)) {
		n := m.Nodes[name]
		if _, missing := os.Lstat(string(n.Toplevel)); missing == nil || ctx.Err() != nil {
			continue
		}
		if err := nx.Realise(ctx, []reconcile.Derivation{n.Derivation}); err != nil {
			failed[name] = fmt.Errorf("build %s: %w", n.Toplevel, err)
			delete(m.Nodes, name)
		}
	}
	return failed
}

// availableMemory is what the kernel thinks that programs may take without swapping.
func availableMemory() uint64 {
	text, err := os.ReadFile("/proc/meminfo")
	if err == nil {
		for line := range strings.Lines(string(text)) {
			var kib uint64
			if _, err := fmt.Sscanf(line, "MemAvailable: %d kB", &kib); err == nil {
				return kib << 10
			}
		}
	}
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) != nil {
		return least
	}
	return info.Totalram * uint64(info.Unit)
}
