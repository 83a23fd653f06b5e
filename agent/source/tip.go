package source

import (
	"context"
	"errors"
	"net/http"
	"strings"
)

// An asker asks one remote, again and again.
type asker struct {
	remote Remote
	child  func(ctx context.Context, remote Remote) (Tips, error)
	client *http.Client // keeps its connection; nil before the first question
	older  int          // so many questions are not asked by version 2, which the server did not understand
}

// askAgain is after how many questions a server is asked by version 2 again: it may
// have failed for the moment, or was upgraded.
const askAgain = 60

// tips asks which commits the branches point to. What this process reads of a remote
// is a line or two of known form; whatever needs more is for a child: keys, ssh,
// and servers that answer with a list of all they have.
func (a *asker) tips(ctx context.Context, b Branches) (Tips, error) {
	endpoint, err := a.remote.endpoint()
	if err != nil {
		return Tips{}, err
	}
	switch {
	case endpoint.Protocol == "file":
		return localTips(endpoint.Path, b)
	case a.older > 0:
		a.older--
		return a.child(ctx, a.remote)
	case !strings.HasPrefix(endpoint.Protocol, "http"):
		return a.child(ctx, a.remote)
	}
	tips, err := a.lsRefs(ctx, b)
	if err == nil || errors.Is(err, ErrNoBranch) {
		return tips, err
	}
	a.close()
	if !errors.Is(err, errNoV2) {
		return tips, err
	}
	if tips, err = a.child(ctx, a.remote); err == nil { // one that answers in no version may only be down
		a.older = askAgain
	}
	return tips, err
}

// tipsAnew asks as a fetch would, to show that one would reach the remote.
func (a *asker) tipsAnew(ctx context.Context, b Branches) (Tips, error) {
	if endpoint, err := a.remote.endpoint(); err != nil || endpoint.Protocol == "file" {
		return a.tips(ctx, b)
	}
	a.close()
	return a.child(ctx, a.remote)
}

func (a *asker) lsRefs(ctx context.Context, b Branches) (Tips, error) {
	if a.client == nil {
		base, err := roundTripper(a.remote)
		if err != nil {
			return Tips{}, err
		}
		base.DisableCompression = true // the answer is one line
		base.MaxIdleConnsPerHost = 1
		base.IdleConnTimeout = 0 // until the server ends it
		a.client = &http.Client{Transport: base, CheckRedirect: sameHost}
	}
	return lsRefs(ctx, a.client, a.remote, b)
}

// close gives the kept connection up. Over HTTP/2 one whose other end is gone would
// be asked again and again. The next one reads the authorities anew.
func (a *asker) close() {
	if a.client != nil {
		a.client.CloseIdleConnections()
		a.client = nil
	}
}

// ask does in the child what the agent's process leaves to it.
func (j job) ask(ctx context.Context) (Tips, error) {
	endpoint, err := j.Remote.endpoint()
	if err != nil {
		return Tips{}, err
	}
	if endpoint.Protocol == "ssh" || endpoint.Protocol == "git" {
		return streamTips(ctx, j.Remote, j.Branches, j.Limits.FetchBytes)
	}
	s, err := connect(ctx, j.Remote, j.refs(), j.Limits.FetchBytes)
	if err != nil {
		return Tips{}, err
	}
	defer s.Close()
	return s.tips(j.Branches)
}
