package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/infra-agent/infra-agent/agent/command"
	"github.com/infra-agent/infra-agent/agent/nix"
	"github.com/infra-agent/infra-agent/agent/registry"
	"github.com/infra-agent/infra-agent/agent/strict"
	"github.com/infra-agent/infra-agent/reconcile"
)

// before reads the registry to compare with. It is nil, and a line says why, when it
// has mistakes: the commit after it may be the one that mends them.
func (p place) before(c *cobra.Command, rev string) (*registry.File, error) {
	f, err := p.at(c.Context(), rev)
	if broken, ok := errors.AsType[*strict.Error](err); ok {
		fmt.Fprintf(c.ErrOrStderr(), "not compared, for the registry before has %s: %s\n", counted(len(broken.Problems), "mistake"), broken.Problems[0])
		return nil, nil
	}
	return f, err
}

// at reads the registry as it was at a commit; one without nodes when the commit has
// none. It asks the program git, which knows of work trees, alternates and shallow
// clones whatever there is to know.
func (p place) at(ctx context.Context, rev string) (*registry.File, error) {
	commit, err := git(ctx, filepath.Dir(p.file), "rev-parse", "--verify", "--quiet", "--end-of-options", rev+"^{commit}")
	if exit, ran := errors.AsType[*command.ExitError](err); ran && len(exit.Tail) == 0 {
		return nil, fmt.Errorf("there is no commit %q in the repository of %s (hint: a shallow clone lacks it: fetch it first)", rev, p.file)
	}
	if err != nil {
		return nil, fmt.Errorf("find commit %q: %w", rev, err)
	}
	commit = strings.TrimSpace(commit)
	name := filepath.Base(p.file)
	there, err := git(ctx, filepath.Dir(p.file), "ls-tree", "--name-only", commit, "--", name)
	if err != nil {
		return nil, fmt.Errorf("read %s at %s: %w", p.file, rev, err)
	}
	if there == "" {
		return &registry.File{}, nil
	}
	called := rev + ":" + filepath.ToSlash(p.file)
	if p.attr != "" {
		return right(p.value(ctx, called, commit))
	}
	text, err := git(ctx, filepath.Dir(p.file), "show", commit+":./"+name)
	if err != nil {
		return nil, fmt.Errorf("read %s at %s: %w", p.file, rev, err)
	}
	f, problems := p.parse(called, []byte(text))
	return right(f, problems, nil)
}

func git(ctx context.Context, dir string, args ...string) (string, error) {
	out, err := command.Run(ctx, command.Command{Args: append([]string{"git", "-C", dir}, args...), MaxOutput: strict.MaxBytes + 1})
	return string(out), err
}

// revParse has git name an object in full.
func revParse(ctx context.Context, dir, rev string) (string, error) {
	out, err := git(ctx, dir, "rev-parse", "--verify", "--end-of-options", rev)
	return strings.TrimSpace(out), err
}

// value has Nix evaluate the registry of the checkout, or of one of its commits; then
// one without nodes when the flake had none.
func (p place) value(ctx context.Context, name, commit string) (*registry.File, []strict.Problem, error) {
	root, err := git(ctx, filepath.Dir(p.file), "rev-parse", "--show-toplevel")
	if err != nil {
		return nil, nil, fmt.Errorf("%s is not in a git checkout (hint: nix eval --json .#%s >registry.json, and name that file)", p.file, p.attr)
	}
	root = strings.TrimSuffix(root, "\n")
	subdir, err := git(ctx, filepath.Dir(p.file), "rev-parse", "--show-prefix")
	if err != nil {
		return nil, nil, fmt.Errorf("find %s in its repository: %w", p.file, err)
	}
	if commit != "" {
		copied, err := checkedOut(ctx, root, commit)
		if err != nil {
			return nil, nil, fmt.Errorf("check out %s: %w", commit, err)
		}
		defer func() { _ = os.RemoveAll(copied) }()
		root = copied
	}
	nx := &nix.Nix{Subdir: strings.Trim(subdir, "/\n")}
	data, err := nx.Value(ctx, reconcile.Revision{Tree: root}, p.attr)
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("registry: %w", err)
	case data == nil && commit != "":
		return &registry.File{}, nil, nil
	case data == nil:
		return nil, nil, fmt.Errorf("%s has no %s, and there is no %s beside it (hint: infra-agent's lib.toRegistry makes the one, docs/registry.md describes the other)",
			p.file, p.attr, registryFile)
	}
	f, problems := registry.ReadValue(name, data)
	return f, problems, nil
}

// checkedOut is a clone of the repository at a commit, for the caller to remove.
func checkedOut(ctx context.Context, repository, commit string) (string, error) {
	dir, err := os.MkdirTemp("", "infra-agent-registry-")
	if err != nil {
		return "", err
	}
	if _, err = git(ctx, repository, "clone", "--quiet", "--shared", "--no-checkout", "--", repository, dir); err == nil {
		_, err = git(ctx, dir, "checkout", "--quiet", "--detach", commit)
	}
	if err != nil {
		_ = os.RemoveAll(dir)
		return "", err
	}
	return dir, nil
}
