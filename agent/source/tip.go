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

// An asker asks one remote, again and again.
type asker struct {
	remote Remote
	child  func(ctx context.Context, remote Remote) (reconcile.Commit, error)
	client *http.Client // keeps its connection; nil before the first question
	noV2   bool         // the server was asked by version 2 and did not understand
}

// tip asks which commit the branch points to. What this process reads of a remote
// is one line of known form; whatever needs more is for a child: keys, ssh, and
// servers that answer with a list of all they have.
func (a *asker) tip(ctx context.Context, branch string) (reconcile.Commit, error) {
	endpoint, err := a.remote.endpoint()
	if err != nil {
		return "", err
	}
	switch {
	case endpoint.Protocol == "file":
		return localTip(endpoint.Path, branch)
	case !a.noV2 && strings.HasPrefix(endpoint.Protocol, "http"):
		commit, err := a.lsRefs(ctx, branch)
		if !errors.Is(err, errNoV2) {
			return commit, err
		}
	}
	commit, err := a.child(ctx, a.remote)
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

// ask does in the child what the agent's process leaves to it.
func (j job) ask(ctx context.Context) (reconcile.Commit, error) {
	endpoint, err := j.Remote.endpoint()
	if err != nil {
		return "", err
	}
	if endpoint.Protocol == "ssh" || endpoint.Protocol == "git" {
		return streamTip(ctx, j.Remote, j.Branch, j.Limits.FetchBytes)
	}
	s, err := connect(ctx, j.Remote, j.Branch, j.Limits.FetchBytes)
	if err != nil {
		return "", err
	}
	defer s.Close()
	return s.branch(j.Branch)
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
