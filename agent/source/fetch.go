package source

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/infra-agent/infra-agent/agent/command"
	"github.com/infra-agent/infra-agent/reconcile"
)

// fetchLimit is how long a fetch may take, all steps included.
const fetchLimit = 15 * time.Minute

// A Fetcher gets commits. Only one fetch may be under way for a store.
type Fetcher struct{ opts Options }

// NewFetcher returns a fetcher for the remotes and the store of o.
func NewFetcher(o Options) *Fetcher { return &Fetcher{opts: o} }

// A Request names the commit to get.
type Request struct {
	Remote      string             // name of the remote that said it has the commit
	Tip         reconcile.Commit   // what the branch points to there
	Anchor      reconcile.Commit   // newest accepted commit, which Tip must descend from; "" = any
	Accepted    []reconcile.Commit // the last accepted commits
	AllowRewind reconcile.Commit   // the one commit that need not descend from Anchor
	Tree        string             // directory to write Tip's files into; what is there is deleted
}

// A Result is a commit whose files are in Tree.
type Result struct {
	Commit  reconcile.Commit `json:"commit"`
	Time    time.Time        `json:"time"`    // the committer's date
	Subject string           `json:"subject"` // first line of the message
	Signer  string           `json:"signer"`  // of Commit; "" where the policy asks for none
	Tree    string           `json:"tree"`
	Commits int              `json:"commits"` // since the anchor, along first parents; 0 without one
}

// Fetch gets a commit in a child process, which is killed when ctx ends.
//
// The error is rejected by [reconcile.GateUnverified] when the commit itself is
// refused: it has diverged from the anchor, breaks a limit, or has a file that
// cannot be written. It is rejected by [reconcile.GateSource] when the commit is
// an older one that was accepted before. Every other error may pass.
func (f *Fetcher) Fetch(ctx context.Context, req Request) (Result, error) {
	i := slices.IndexFunc(f.opts.Remotes, func(r Remote) bool { return r.Name == req.Remote })
	if i < 0 {
		return Result{}, fmt.Errorf("fetch from %s: no such remote", req.Remote)
	}
	if req.Tip != req.Anchor && req.Tip != req.AllowRewind && slices.Contains(req.Accepted, req.Tip) {
		return Result{}, reconcile.Rejected(reconcile.GateSource, fmt.Errorf(
			"behind: remote %s shows %s, which was accepted before %s (hint: a mirror may lag; if the branch was reset on purpose, run \"infra-agent allow-rewind %s\")",
			req.Remote, req.Tip.Short(), req.Anchor.Short(), req.Tip))
	}
	ctx, cancel := context.WithTimeoutCause(ctx, fetchLimit, fmt.Errorf("not done within %s", fetchLimit))
	defer cancel()
	j := job{
		Remote: f.opts.Remotes[i], Branch: f.opts.Branch, Dir: f.opts.Dir, Limits: f.opts.Limits, Trust: f.opts.Trust,
		Tip: req.Tip, Anchor: req.Anchor, AllowRewind: req.AllowRewind, Tree: req.Tree,
	}
	result, err := f.child(ctx, j)
	if _, crashed := errors.AsType[*command.ExitError](err); crashed {
		// A damaged store can crash the git library. Without the store it is not the store.
		if err := os.RemoveAll(f.opts.Dir); err != nil {
			return Result{}, fmt.Errorf("delete the git store: %w", err)
		}
		result, err = f.child(ctx, j)
	}
	if err != nil {
		_ = os.RemoveAll(req.Tree)
		return Result{}, fmt.Errorf("fetch %s from %s: %w", req.Tip.Short(), req.Remote, err)
	}
	return result, nil
}

func (f *Fetcher) child(ctx context.Context, j job) (Result, error) {
	request, err := json.Marshal(j)
	if err != nil {
		return Result{}, err
	}
	out, err := command.Run(ctx, command.Command{Args: f.opts.Child, Stdin: bytes.NewReader(request), MaxOutput: 1 << 20})
	if err != nil {
		return Result{}, err
	}
	var a answer
	d := json.NewDecoder(bytes.NewReader(out))
	d.DisallowUnknownFields()
	if err := d.Decode(&a); err != nil {
		return Result{}, fmt.Errorf("read the fetch child's answer: %w", err)
	}
	return a.result()
}
