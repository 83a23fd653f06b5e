package source

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/infra-agent/infra-agent/agent/command"
	"github.com/infra-agent/infra-agent/reconcile"
)

// A Fetcher gets commits. Only one fetch may be under way for a store.
type Fetcher struct {
	opts Options
	anew atomic.Bool // the last fetch was not what it should be
}

// NewFetcher returns a fetcher for the remotes and the store of o.
func NewFetcher(o Options) *Fetcher { return &Fetcher{opts: o} }

// Remotes returns the names of the remotes, in order of preference.
func (f *Fetcher) Remotes() (names []string) {
	for _, r := range f.opts.Remotes {
		names = append(names, r.Name)
	}
	return names
}

// A Request names the commit to get.
type Request struct {
	Remote      string             // name of the remote that said it has the commit
	Testing     bool               // of the testing branch
	Tip         reconcile.Commit   // what the branch points to there
	Anchor      reconcile.Commit   // newest accepted commit, which Tip must descend from; "" = any
	Accepted    []reconcile.Commit // the last accepted commits
	AllowRewind reconcile.Commit   // the one commit that need not descend from Anchor
	Prove       bool               // ask for the tip though the store may have it: it shows that the remote gives it
}

// A Result is a commit whose files are in Tree, until the next fetch.
type Result struct {
	Commit   reconcile.Commit `json:"commit"`
	Time     time.Time        `json:"time"`    // the committer's date
	Subject  string           `json:"subject"` // first line of the message
	Signer   string           `json:"signer"`  // of Commit; "" where the policy asks for none
	Tree     string           `json:"tree"`
	Verified time.Duration    `json:"verified"` // how long it took to verify the signatures, as the child says
	Commits  int              `json:"commits"`  // since the anchor, along first parents; 0 without one
	Testing  reconcile.Commit `json:"testing"`  // of a question: the testing branch's

	Warnings []string                 `json:"warnings"`      // about files that are not what their authors see, and lines of known hosts
	Odd      map[reconcile.Oddity]int `json:"odd,omitempty"` // how many of those files there are

	File      []byte    `json:"file,omitempty"` // of a question for a file: that
	Signature []byte    `json:"signature,omitempty"`
	Modified  time.Time `json:"modified,omitzero"`
	NoFile    bool      `json:"no_file,omitempty"` // it is not there

	Unconfined string `json:"unconfined"` // why the kernel did not keep the child to its own files; "" = it did
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
	limit := f.opts.Limits.Fetch
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("not done within %s (hint: if the remote is just slow, raise limits.fetch)", limit))
	defer cancel()
	remote := f.opts.Remotes[i]
	j := job{
		Remote: remote, Branches: f.opts.Branches, Dir: f.opts.dir(remote), Limits: f.opts.Limits, Trust: f.opts.Trust, Checkout: f.opts.Checkout,
		Tip: req.Tip, Anchor: req.Anchor, Accepted: req.Accepted, AllowRewind: req.AllowRewind, Prove: req.Prove,
	}
	if req.Testing {
		j.Branches = Branches{Branch: f.opts.Testing}
	}
	j.Anew = f.anew.Swap(false)
	result, err := f.opts.run(ctx, j)
	if _, crashed := errors.AsType[*crashError](err); crashed {
		// A damaged store can crash the git library: once more, without the store.
		j.Anew = true
		result, err = f.opts.run(ctx, j)
	}
	if err != nil {
		_ = os.RemoveAll(j.treeDir()) // of a child that was killed; a unit's own files stay for its next fetch to delete
		return Result{}, fmt.Errorf("fetch %s from %s: %w", req.Tip.Short(), req.Remote, err)
	}
	return result, nil
}

// run does the job in a process of its own, which is killed when ctx ends.
func (o Options) run(ctx context.Context, j job) (Result, error) {
	if err := j.checkFiles(); err != nil {
		return Result{}, err
	}
	unit := o.unit(j.Remote)
	if unit != nil {
		j.Env = unit.Env
	}
	request, err := json.Marshal(j)
	if err != nil {
		return Result{}, err
	}
	cause := "" // of a crash; what follows it is a trace
	stderr := func(line string) {
		if cause == "" && (strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ")) {
			cause = oneLine(line, 200)
		}
	}
	var out []byte
	if unit != nil {
		out, err = unit.Run(ctx, UnitCall{Stdin: request, Copies: j.credentials(), Writes: !j.Ask, Stderr: stderr})
	} else {
		out, err = command.Run(ctx, command.Command{Args: o.Child, Stdin: bytes.NewReader(request), MaxOutput: 1 << 20, Stderr: stderr})
	}
	_, failed := errors.AsType[*command.ExitError](err)
	switch {
	case cause != "":
		return Result{}, &crashError{cause}
	case failed:
		return Result{}, &crashError{err.Error()}
	case err != nil:
		return Result{}, err
	case len(out) == 0:
		return Result{}, &crashError{"it gave no answer (hint: the journal has its last words)"}
	}
	var a answer
	d := json.NewDecoder(bytes.NewReader(out))
	d.DisallowUnknownFields()
	if err := d.Decode(&a); err != nil {
		return Result{}, fmt.Errorf("read the fetch child's answer: %w", err)
	}
	return a.result(j)
}

// A crashError says that a child ended in the middle of its job.
type crashError struct{ cause string }

func (e *crashError) Error() string { return "the fetch's process ended: " + e.cause }
