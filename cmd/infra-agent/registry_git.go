package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/infra-agent/infra-agent/agent/command"
	"github.com/infra-agent/infra-agent/agent/registry"
	"github.com/infra-agent/infra-agent/agent/strict"
)

// registryBefore reads the registry to compare with. It is nil, and a line says why,
// when it has mistakes: the commit after it may be the one that mends them.
func registryBefore(c *cobra.Command, file, rev string) (*registry.File, error) {
	f, err := registryAt(c.Context(), file, rev)
	if broken, ok := errors.AsType[*strict.Error](err); ok {
		fmt.Fprintf(c.ErrOrStderr(), "not compared, for the registry before has %s: %s\n", counted(len(broken.Problems), "mistake"), broken.Problems[0])
		return nil, nil
	}
	return f, err
}

// registryAt reads the registry as it was at a commit; one without nodes when the
// commit has none. It asks the program git, which knows of work trees, alternates and
// shallow clones whatever there is to know.
func registryAt(ctx context.Context, file, rev string) (*registry.File, error) {
	git := func(args ...string) (string, error) {
		out, err := command.Run(ctx, command.Command{
			Args: append([]string{"git", "-C", filepath.Dir(file)}, args...), MaxOutput: strict.MaxBytes + 1,
		})
		return string(out), err
	}
	commit, err := git("rev-parse", "--verify", "--quiet", "--end-of-options", rev+"^{commit}")
	if exit, ran := errors.AsType[*command.ExitError](err); ran && len(exit.Tail) == 0 {
		return nil, fmt.Errorf("there is no commit %q in the repository of %s (hint: a shallow clone lacks it: fetch it first)", rev, file)
	}
	if err != nil {
		return nil, fmt.Errorf("find commit %q: %w", rev, err)
	}
	commit, name := strings.TrimSpace(commit), filepath.Base(file)
	there, err := git("ls-tree", "--name-only", commit, "--", name)
	if err != nil {
		return nil, fmt.Errorf("read %s at %s: %w", file, rev, err)
	}
	if there == "" {
		return &registry.File{}, nil
	}
	text, err := git("show", commit+":./"+name)
	if err != nil {
		return nil, fmt.Errorf("read %s at %s: %w", file, rev, err)
	}
	return parsed(rev+":"+filepath.ToSlash(file), []byte(text))
}
