package nix

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/infra-agent/infra-agent/reconcile"
)

// something is a derivation that Nix builds with no program but its own, in the same way and
// by the same users as any other.
const something = `derivation { name = "infra-agent-trial"; system = "builtin"; builder = "builtin:buildenv"; ` +
	`derivations = [ ]; manifest = "%s"; allowSubstitutes = false; preferLocalBuild = true; }`

// Prove shows that the next commit could be evaluated and built with the settings, limits,
// daemon and build users of now. With anew the configuration is evaluated without Nix's
// evaluation cache, which answers though no evaluation would end any more. A node that has
// others build for it builds nothing.
func (n *Nix) Prove(ctx context.Context, rev reconcile.Revision, configuration string, anew bool) error {
	nix := append([]string{"nix"}, flags...)
	if anew && n.File.Path == "" { // there is no cache of others
		attr := n.attribute(configuration) + ".config.system.build.toplevel.drvPath"
		args := append(append(nix[:len(nix):len(nix)], "eval", "--raw", "--option", "eval-cache", "false"), n.evaluated(rev, attr)...)
		if _, err := n.evaluateFlake(ctx, rev, append(args, n.arguments()...)); err != nil {
			return n.classify(ctx, rev, "evaluate "+n.attribute(configuration)+" anew", err)
		}
	}
	jobs, err := n.run(ctx, append(nix[:len(nix):len(nix)], "config", "show", "max-jobs"))
	if err != nil {
		return fmt.Errorf("read Nix's settings: %w", err)
	}
	if strings.TrimSpace(string(jobs)) == "0" {
		return nil
	}
	never := fmt.Sprintf("%s %d", rev.Commit, time.Now().UnixNano()) // was it built before
	args := append(nix[:len(nix):len(nix)], "build", "--no-link", "--expr", fmt.Sprintf(something, never))
	if _, err := n.evaluate(ctx, append(args, n.ExtraArgs...)); err != nil {
		return fmt.Errorf("build something with Nix as it is now: %w", err)
	}
	return nil
}
