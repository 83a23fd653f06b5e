package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/infra-agent/infra-agent/agent/command"
)

// pushRemote is the remote of the checkout that manifests are pushed to.
const pushRemote = "origin"

// push commits the files of a directory to a branch beside what is there already, and pushes that.
// Manifests that were there r.keep pushes ago leave it: a node reads the list of all. Nothing of the
// checkout but its objects is touched. Another machine may push at the same time: then it is done
// once more, on top of that.
func (r manifestRun) push(ctx context.Context, dir, message string) error {
	const tries = 3
	var err error
	for range tries {
		if err = r.pushOnce(ctx, dir, message); !errors.Is(err, errPushedMeanwhile) {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("push to the branch %s of %s: %w", r.branch, pushRemote, err)
	}
	return nil
}

var errPushedMeanwhile = errors.New("somebody else has pushed meanwhile")

func (r manifestRun) pushOnce(ctx context.Context, dir, message string) error {
	work, err := os.MkdirTemp("", "infra-agent-push-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }()
	git := func(args ...string) (string, error) {
		out, err := command.Run(ctx, command.Command{
			Args: append([]string{"git", "-C", r.checkout, "-c", "user.name=infra-agent", "-c", "user.email=infra-agent@localhost"}, args...),
			Env:  []string{"GIT_INDEX_FILE=" + filepath.Join(work, "index")},
		})
		if exit, ran := errors.AsType[*command.ExitError](err); ran { // it says what is wrong in several lines
			err = fmt.Errorf("git %s: %s", args[0], strings.Join(exit.Tail, " "))
		}
		return strings.TrimSpace(string(out)), err
	}
	ref := "refs/heads/" + r.branch
	there, err := git("ls-remote", pushRemote, ref)
	if err != nil {
		return err
	}
	onto := []string{}
	before, _, _ := strings.Cut(there, "\t")
	if before != "" {
		if _, err := git("fetch", "--quiet", "--no-tags", "--depth", strconv.Itoa(max(1, r.keep)), pushRemote, ref); err != nil {
			return err
		}
		if before, err = git("rev-parse", "FETCH_HEAD"); err != nil {
			return err
		}
		if _, err := git("read-tree", before); err != nil {
			return err
		}
		onto = []string{"-p", before}
		old, err := r.old(git, before)
		if err != nil {
			return err
		}
		if len(old) > 0 {
			if _, err := git(append([]string{"rm", "--cached", "-r", "--force", "--quiet", "--ignore-unmatch", "--"}, old...)...); err != nil {
				return err
			}
		}
	}
	if _, err := git("--work-tree", dir, "add", "--force", "--ignore-removal", "--", dir); err != nil {
		return err
	}
	tree, err := git("write-tree")
	if err != nil {
		return err
	}
	if was, err := git("rev-parse", "--verify", "--quiet", before+"^{tree}"); before != "" && err == nil && was == tree {
		return nil // it is all there
	}
	commit, err := git(append(append([]string{"commit-tree"}, onto...), "-m", message, tree)...)
	if err != nil {
		return err
	}
	if _, err = git("push", "--quiet", "--force-with-lease="+ref+":"+before, pushRemote, commit+":"+ref); err == nil {
		return nil
	}
	if now, asked := git("ls-remote", pushRemote, ref); asked == nil && !strings.HasPrefix(now, before+"\t") && now != before {
		return fmt.Errorf("%w: %w", errPushedMeanwhile, err)
	}
	return err
}

// ofManifests are the names in a branch that push itself has made.
var ofManifests = regexp.MustCompile(`^[0-9a-f]{40}(\.json(\.sig)?)?$`)

// old lists the manifests of the branch, whose newest commit is before, that leave it with the next push.
func (r manifestRun) old(git func(...string) (string, error), before string) (paths []string, err error) {
	if r.keep == 0 {
		return nil, nil
	}
	last, err := git("rev-list", "--first-parent", "--max-count=1", "--skip="+strconv.Itoa(r.keep-1), before)
	if err != nil || last == "" {
		return nil, err
	}
	names, err := git("ls-tree", "--name-only", "--full-tree", last)
	for _, name := range strings.Fields(names) {
		if ofManifests.MatchString(name) {
			paths = append(paths, ":(top,literal)"+name)
		}
	}
	return paths, err
}
