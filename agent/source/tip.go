package source

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"

	"github.com/infra-agent/infra-agent/reconcile"
)

// advertBytes bounds the list of refs that a server sends: about 100,000 refs.
const advertBytes = 8 << 20

// tip asks which commit the branch points to.
func tip(ctx context.Context, remote Remote, branch string) (reconcile.Commit, error) {
	path, local, err := localPath(remote)
	if err != nil {
		return "", err
	}
	if local {
		return localTip(path, branch)
	}
	s, err := connect(ctx, remote, advertBytes)
	if err != nil {
		return "", err
	}
	defer s.Close()
	return s.branch(branch)
}

// localTip reads the ref itself: the agent's process starts no git.
func localTip(path, branch string) (reconcile.Commit, error) {
	repository, err := git.PlainOpen(path)
	if err != nil {
		return "", fmt.Errorf("open %s: %w", path, err)
	}
	ref, err := repository.Reference(plumbing.NewBranchReferenceName(branch), true)
	switch {
	case errors.Is(err, plumbing.ErrReferenceNotFound):
		return "", noBranch(branch, "the repository does not have it")
	case err != nil:
		return "", fmt.Errorf("read branch %s of %s: %w", branch, path, err)
	}
	return reconcile.ParseCommit(ref.Hash().String())
}

// branch returns what the remote said the branch points to.
func (s *session) branch(name string) (reconcile.Commit, error) {
	if s.empty {
		return "", noBranch(name, "the repository is empty")
	}
	hash, ok := s.refs.References[plumbing.NewBranchReferenceName(name).String()]
	if !ok {
		return "", noBranch(name, "the repository does not have it")
	}
	return reconcile.ParseCommit(hash.String())
}
