package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/infra-agent/infra-agent/agent/command"
)

// isCheckout judges the path that was named: of a checkout, Nix sees what git tracks.
func (d *doctor) isCheckout(ctx context.Context, registry string) bool {
	git := func(args ...string) (string, error) {
		out, err := command.Run(ctx, command.Command{Args: append([]string{"git", "-C", d.checkout}, args...)})
		return strings.TrimSpace(string(out)), err
	}
	root, err := git("rev-parse", "--show-toplevel")
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
		if tracked, err := git("ls-files", "--", registry); err == nil && tracked == "" {
			d.fail("checkout", fmt.Errorf("git does not track %s: no node and no Nix will see it (hint: git add %s)", registry, registry))
			return false
		}
	}
	return true
}
