package main

import (
	"context"
	"log/slog"
	"slices"
	"sync"

	"github.com/infra-agent/infra-agent/agent"
	"github.com/infra-agent/infra-agent/agent/source"
	"github.com/infra-agent/infra-agent/reconcile"
)

type sourcePort struct {
	fetcher *source.Fetcher
	log     *slog.Logger
	logged  *logged
}

// logged are the lines that the log has of the last fetch: most are the same with every one.
type logged struct {
	mu    sync.Mutex
	lines []string // guarded by mu
}

// news keeps the lines of a fetch, and returns those that the last one did not have.
func (l *logged) news(lines []string) (news []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range lines {
		if !slices.Contains(l.lines, line) {
			news = append(news, line)
		}
	}
	l.lines = lines
	return news
}

func (p sourcePort) Fetch(ctx context.Context, j reconcile.Fetch) (agent.Tree, error) {
	res, err := p.fetcher.Fetch(ctx, source.Request{
		Remote: j.Tip.Remote, Testing: j.Purpose == reconcile.PurposeTesting, Tip: j.Tip.Commit, Anchor: j.Anchor, Accepted: j.Accepted, AllowRewind: j.Rewind,
		Prove: j.Purpose == reconcile.PurposeFollow,
	})
	if err == nil {
		p.tell(res)
	}
	rev := reconcile.Revision{Commit: res.Commit, Time: res.Time, Subject: res.Subject, Signer: res.Signer, Warnings: res.Warnings, Odd: res.Odd}
	if err == nil {
		rev.Hash, err = p.fetcher.Hash(res)
	}
	verify := func(dir string) error { return p.fetcher.Verify(res, dir) }
	return agent.Tree{Revision: rev, Dir: res.Tree, Behind: res.Commits, Verified: res.Verified, Verify: verify}, err
}

// Again gets the files of a commit that was fetched, of the store or of the first remote that has it.
func (p sourcePort) Again(ctx context.Context, f reconcile.Fetched) (tree agent.Tree, err error) {
	c := f.Revision.Commit
	for _, remote := range p.fetcher.Remotes() {
		tree, err = p.Fetch(ctx, reconcile.Fetch{Tip: reconcile.Tip{Commit: c, Remote: remote}, Purpose: f.Purpose, Anchor: c})
		if err == nil || ctx.Err() != nil {
			break
		}
	}
	return tree, err
}

// tell logs what is odd about a commit.
func (p sourcePort) tell(res source.Result) {
	for _, line := range p.logged.news(append([]string{res.Unconfined}, res.Warnings...)) {
		switch line {
		case "":
		case res.Unconfined:
			p.log.Info("fetches are not confined to their own files", "why", line)
		default:
			p.log.Warn("revision", "revision", res.Commit, "warning", line)
		}
	}
}
