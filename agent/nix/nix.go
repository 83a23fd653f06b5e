// Package nix evaluates and builds NixOS systems: it knows the command lines of
// nix and nixos-rebuild, their output, and what their failures mean. It does
// not know which system is wanted.
package nix

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/infra-agent/infra-agent/agent/command"
	"github.com/infra-agent/infra-agent/reconcile"
)

// Nix runs nix on one node.
type Nix struct {
	// Run runs an evaluation or a build, and all that it reads of a flake; nil is
	// [command.Run].
	Run func(ctx context.Context, c command.Command) ([]byte, error)

	Roots   string // directory of the GC roots
	Subdir  string // of the flake, or of the file, in the source tree
	File    File   // zero: the repository is a flake
	HideRev bool   // Nix does not learn the commit: there is no self.rev
	Memory  uint64 // most bytes of an evaluation; 0 = no limit

	Impure    bool              // evaluations may look at the node
	Overrides map[string]string // flake references by the input that they stand for
	ExtraArgs []string          // for every evaluation and the build
	Settings  []string          // lines of nix.conf(5), for every program

	Credentials Credentials // for inputs and binary caches
}

var flags = []string{"--extra-experimental-features", "nix-command flakes"}

// lockFlags make the lock file law. With --no-write-lock-file beside it, which
// --override-input implies, Nix takes a lock file that does not fit the inputs, and
// only warns: see [Nix.evaluateFlake].
var lockFlags = []string{"--no-update-lock-file"}

// environment hands Nix its settings, below whatever tool it is called: they come
// after those of nix.conf and of the agent's own environment, and the last line of a
// name is the one that counts. The repository cannot bring settings of its own.
func (n *Nix) environment() ([]string, error) {
	env, err := n.Credentials.environment()
	if err != nil {
		return nil, err
	}
	lines := slices.Concat([]string{os.Getenv("NIX_CONFIG")}, n.Credentials.settings(), n.Settings, []string{"accept-flake-config = false"})
	env = append(env, "NIX_CONFIG="+strings.Join(lines, "\n"))
	if n.File.Path != "" && !n.Impure { // every node is to find the same, in the repository alone
		env = append(env, "NIX_PATH=")
	}
	return env, nil
}

// arguments are those of every evaluation and of the build: what the settings say,
// and last what must hold.
func (n *Nix) arguments() []string {
	args := slices.Clone(n.ExtraArgs)
	if n.File.Path != "" {
		return args
	}
	if n.Impure {
		args = append(args, "--impure")
	}
	for _, input := range slices.Sorted(maps.Keys(n.Overrides)) {
		args = append(args, "--override-input", input, n.Overrides[input])
	}
	return append(args, lockFlags...)
}

// Add copies the directory into the store under its name and keeps it from being
// garbage collected, by the root of that name. It returns the store path. Nix 2.26 reads
// the directory once for it, and "nix store add" twice.
func (n *Nix) Add(ctx context.Context, dir, root string) (string, error) {
	out, err := n.run(ctx, []string{"nix-store", "--add", dir})
	if err != nil {
		return "", fmt.Errorf("add %s to the store: %w", dir, err)
	}
	path := strings.TrimSpace(string(out))
	return path, n.Root(ctx, root, path)
}

// Has reports whether a path is in the store.
func (*Nix) Has(path string) bool {
	_, err := os.Lstat(path)
	return err == nil && strings.HasPrefix(path, "/nix/store/")
}

// Configurations lists the names of the systems; none when there is no such attribute.
func (n *Nix) Configurations(ctx context.Context, rev reconcile.Revision) ([]string, error) {
	out, err := n.Value(ctx, rev, n.set(), "--apply", "builtins.attrNames")
	if out == nil || err != nil {
		return nil, err
	}
	var names []string
	if err := json.Unmarshal(out, &names); err != nil {
		return nil, fmt.Errorf("list %s: %w", n.systems(), err)
	}
	return names, nil
}

// Value returns an attribute of the flake, or of the file, as JSON; nil when it does not
// have it. A failure that the revision caused is rejected with [reconcile.GateEvaluate].
func (n *Nix) Value(ctx context.Context, rev reconcile.Revision, attr string, more ...string) ([]byte, error) {
	args := append([]string{"nix"}, flags...)
	args = append(append(args, "eval", "--json"), n.evaluated(rev, attr)...)
	out, err := n.evaluateFlake(ctx, rev, append(append(args, more...), n.arguments()...))
	if exit, ran := errors.AsType[*command.ExitError](err); ran && lacksAttribute(strings.Join(exit.Tail, "\n")) {
		return nil, nil
	}
	if err != nil {
		return nil, n.classify(ctx, rev, "evaluate "+attr, err)
	}
	return out, nil
}

// Evaluate returns the derivation of the configuration's system, and the path
// that it will have. Nothing is built. A failure that the revision caused is
// rejected with [reconcile.GateEvaluate].
func (n *Nix) Evaluate(ctx context.Context, rev reconcile.Revision, configuration string) (reconcile.Derivation, reconcile.Toplevel, error) {
	attr := n.attribute(configuration) + ".config.system.build.toplevel.drvPath"
	args := append([]string{"nix"}, flags...)
	args = append(append(args, "eval", "--raw"), n.evaluated(rev, attr)...)
	out, err := n.evaluateFlake(ctx, rev, append(args, n.arguments()...))
	if err != nil {
		return "", "", n.classify(ctx, rev, "evaluate "+n.attribute(configuration), err)
	}
	drv := strings.TrimSpace(string(out))
	out, err = n.run(ctx, []string{"nix-store", "--query", "--outputs", drv})
	if err != nil {
		return "", "", fmt.Errorf("query outputs of %s: %w", drv, err)
	}
	top := strings.TrimSpace(string(out))
	if !strings.HasPrefix(top, "/nix/store/") || strings.Contains(top, "\n") {
		return "", "", fmt.Errorf("query outputs of %s: want one store path, got %q", drv, top)
	}
	return reconcile.Derivation(drv), reconcile.Toplevel(top), nil
}

// Build builds what was evaluated, keeps it from being garbage collected by the root of that
// name, and reports progress while it does. The error is Nix's, with the last lines of the log
// that matter.
func (n *Nix) Build(ctx context.Context, from reconcile.Evaluated, root string, report func(reconcile.Progress)) error {
	dir := filepath.Join(n.Roots, "build")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("build: %w", err)
	}
	args := append(n.building(from), "--log-format", "internal-json", "-v")
	args = append(args, n.arguments()...)
	log := newBuildLog(report)
	_, err := n.apart(ctx, command.Command{Args: args, Dir: dir, Memory: n.Memory, Stderr: log.line})
	if err != nil {
		return log.explain("build "+n.attribute(from.Target.Configuration), err)
	}
	result := filepath.Join(dir, "result") // a root, until the next build
	got, err := os.Readlink(result)
	if err != nil {
		return fmt.Errorf("build: %w", err)
	}
	if got != string(from.Toplevel) {
		return fmt.Errorf("build: %s built %s, but the evaluation said %s", args[0], got, from.Toplevel)
	}
	if err := n.Root(ctx, root, got); err != nil {
		return err
	}
	if err := os.Remove(result); err != nil {
		return fmt.Errorf("build: %w", err)
	}
	return nil
}

// Root keeps path, and all it refers to, from being garbage collected.
func (n *Nix) Root(ctx context.Context, name, path string) error {
	if err := os.MkdirAll(n.Roots, 0o700); err != nil {
		return fmt.Errorf("root %s: %w", path, err)
	}
	link := filepath.Join(n.Roots, name)
	if to, err := os.Readlink(link); err == nil && to == path {
		return nil
	}
	if _, err := n.run(ctx, []string{"nix-store", "--realise", path, "--add-root", link}); err != nil {
		return fmt.Errorf("root %s: %w", path, err)
	}
	return nil
}

// Unroot gives up every root but the named ones.
func (n *Nix) Unroot(keep ...string) error {
	entries, err := os.ReadDir(n.Roots)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("drop roots: %w", err)
	}
	kept := map[string]bool{}
	for _, k := range keep {
		kept[k] = true
	}
	for _, e := range entries {
		if !kept[e.Name()] && e.Type()&os.ModeSymlink != 0 {
			if err := os.Remove(filepath.Join(n.Roots, e.Name())); err != nil {
				return fmt.Errorf("drop roots: %w", err)
			}
		}
	}
	return nil
}

// Substituters returns the URLs that the node's own configuration names.
func (n *Nix) Substituters(ctx context.Context) ([]string, error) {
	args := append([]string{"nix"}, flags...)
	out, err := n.run(ctx, append(args, "config", "show", "substituters"))
	if err != nil {
		return nil, fmt.Errorf("read substituters: %w", err)
	}
	return strings.Fields(string(out)), nil
}

// evaluateFlake evaluates what a flake has. Where inputs are overridden, it first makes sure
// that the lock file fits the flake as it was committed: then Nix would not.
func (n *Nix) evaluateFlake(ctx context.Context, rev reconcile.Revision, args []string) ([]byte, error) {
	if len(n.Overrides) > 0 {
		check := append([]string{"nix"}, flags...)
		if _, err := n.evaluate(ctx, append(append(check, "flake", "metadata", "--json", n.FlakeRef(rev)), lockFlags...)); err != nil {
			return nil, err
		}
	}
	return n.evaluate(ctx, args)
}

func (n *Nix) evaluate(ctx context.Context, args []string) ([]byte, error) {
	return n.apart(ctx, command.Command{Args: args, Dir: "/", Memory: n.Memory})
}

func (n *Nix) apart(ctx context.Context, c command.Command) ([]byte, error) {
	var err error
	if c.Env, err = n.environment(); err != nil {
		return nil, err
	}
	if n.Run == nil {
		return command.Run(ctx, c)
	}
	return n.Run(ctx, c)
}

func (n *Nix) run(ctx context.Context, args []string) ([]byte, error) {
	env, err := n.environment()
	if err != nil {
		return nil, err
	}
	return command.Run(ctx, command.Command{Args: args, Dir: "/", Env: env})
}
