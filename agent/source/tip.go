package source

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"

	"github.com/infra-agent/infra-agent/reconcile"
)

// advertBytes bounds the list of refs that a server sends: about 100,000 refs.
const advertBytes = 8 << 20

// An asker asks one remote, again and again.
type asker struct {
	remote Remote
	client *http.Client // keeps its connection; nil before the first question
	noV2   bool         // the server was asked by version 2 and did not understand
}

// tip asks which commit the branch points to.
func (a *asker) tip(ctx context.Context, branch string) (reconcile.Commit, error) {
	path, local, err := localPath(a.remote)
	if err != nil {
		return "", err
	}
	if local {
		return localTip(path, branch)
	}
	if !a.noV2 && strings.HasPrefix(a.remote.URL, "http") {
		commit, err := a.lsRefs(ctx, branch)
		if !errors.Is(err, errNoV2) {
			return commit, err
		}
	}
	commit, err := advertised(ctx, a.remote, branch)
	a.noV2 = err == nil // a server that answers neither way may only be ill
	return commit, err
}

func (a *asker) lsRefs(ctx context.Context, branch string) (reconcile.Commit, error) {
	if a.client == nil {
		base, err := roundTripper(a.remote)
		if err != nil {
			return "", err
		}
		base.DisableCompression = true // the answer is one line
		base.MaxIdleConnsPerHost = 1
		base.IdleConnTimeout = 0 // until the server ends it
		a.client = &http.Client{Transport: base, CheckRedirect: sameHost}
	}
	return lsRefs(ctx, a.client, a.remote, branch)
}

// close gives the kept connection up.
func (a *asker) close() {
	if a.client != nil {
		a.client.CloseIdleConnections()
	}
}

// advertised finds the branch among all refs of a server that knows only the
// older protocol.
func advertised(ctx context.Context, remote Remote, branch string) (reconcile.Commit, error) {
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
