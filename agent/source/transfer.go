package source

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/sideband"
	"github.com/go-git/go-git/v5/plumbing/transport"

	"github.com/infra-agent/infra-agent/reconcile"
)

// A remote is the other end of a job.
type remote struct {
	job
	session  *session
	noFilter bool // the server has filters, and not the one that is asked for
	noThin   bool // it sent deltas to what the store has not
	pinned   bool // the tip is that of no branch, but named by another repository

	names     *catalog // gives objects by their names
	noNames   bool     // the server does not
	whole     int      // commits before the tip that were asked for with their files
	withFiles bool     // of all commits, and not of the tip alone
}

func (r *remote) close() {
	if r.session != nil {
		_ = r.session.Close()
		r.session = nil
	}
	if r.names != nil {
		_ = r.names.conn.Close()
		r.names = nil
	}
}

// bring makes sure that the tip is in the store: at first with depth 1, later
// with exactly the commits since what the store has. A proof asks for the tip also where it
// is there, which a remote answers with an empty pack.
func (r *remote) bring(ctx context.Context, s *store, tip, anchor plumbing.Hash) error {
	there, err := s.has(tip)
	if err != nil || there && !r.Prove {
		return err
	}
	depth := 0
	based, err := s.has(anchor)
	if err != nil {
		return err
	}
	if s.fresh || !based { // without the anchor "what the store lacks" may be the whole history
		depth = 1
	}
	err = r.transfer(ctx, s, tip, depth)
	if _, moved := errors.AsType[*movedError](err); there && moved { // a proof goes on with a fetch of the newer commit
		return nil
	}
	return err
}

// transfer asks for the tip and stores the answer. With depth 0 it gets the commits
// since what the store has; else the store's history becomes that deep.
//
// With depth 0 the server is not told that the store is shallow: it would send all
// of the history behind a branch that was begun before the store was and is merged
// now. What the store lacks in return, where a commit restores an old file, is found
// when the tree is written, and the store is made anew.
//
// Such an answer also has what a commit in between brought and the tip has not any
// more. Over a limit it says nothing about the tip: it is the store that leads to it,
// so that is made anew, with the tip's own files alone and the commits before it without
// theirs: see [takeCommits] for servers that send them nevertheless.
//
// A branch that has moved on since it was asked gives the tip all the same, as what it has
// passed: or pushes that come faster than a fetch begins would keep a node from fetching any.
//
// go-git's own Fetch is no use here: with a depth it downloads the tree anew for
// each commit, and without one it takes such a store for whole.
func (r *remote) transfer(ctx context.Context, s *store, tip plumbing.Hash, depth int) error {
	r.close() // a session answers one request
	var err error
	if r.session, err = connect(ctx, r.Remote, r.looksAt(), r.Limits.FetchBytes); err != nil {
		return err
	}
	wants, err := r.wants(tip)
	moved, movedOn := errors.AsType[*movedError](err)
	switch {
	case movedOn: // with what the branch is at now comes what it has passed
		wants = []plumbing.Hash{hash(moved.to)}
		if s.fresh || depth == 1 { // whole, and not too much of it
			depth = deepenFirst
			defer func(before bool) { r.withFiles = before }(r.withFiles)
			r.withFiles = true
		}
	case err != nil:
		return err
	}
	if !slices.Contains(wants, tip) {
		depth = 0 // it may be any number of commits before them
	}
	req, err := r.request(s, wants, depth)
	if err != nil {
		return err
	}
	resp, err := r.session.UploadPack(ctx, req)
	if errors.Is(err, transport.ErrEmptyUploadPackRequest) { // the store has it all, and git itself need not be asked
		return nil
	}
	if err != nil && req.Filter != "" {
		r.noFilter = true
		return r.transfer(ctx, s, tip, depth)
	}
	if err != nil {
		return r.failed(err)
	}
	defer func() {
		if r.session.local { // or git would wait for somebody to read the rest, and we for git
			_, _ = io.Copy(io.Discard, resp)
		}
		_ = resp.Close()
	}()
	pack := io.Reader(resp)
	if req.Capabilities.Supports(capability.Sideband64k) {
		pack = sideband.NewDemuxer(sideband.Sideband64k, pack)
	} else if req.Capabilities.Supports(capability.Sideband) {
		pack = sideband.NewDemuxer(sideband.Sideband, pack)
	}
	if r.session.local {
		pack = r.session.meter.reader(pack)
	}
	if depth > 1 && req.Filter == "" && !r.withFiles {
		r.session.meter.limit.Store(skipBytes * r.Limits.FetchBytes)
		err = r.failed(takeCommits(pack, s, r.Limits))
	} else {
		err = r.failed(r.keep(pack, s))
	}
	if errors.Is(err, packfile.ErrReferenceDeltaNotFound) && !r.noThin {
		s.sweep()
		r.noThin = true
		return r.transfer(ctx, s, tip, depth)
	}
	if err != nil {
		s.sweep()
		switch _, limit := reconcile.RejectedBy(err); {
		case limit && movedOn: // which says nothing about the tip
			return moved
		case limit && depth == 0 && !s.fresh:
			return &damagedError{err}
		}
		return err
	}
	if movedOn {
		if passed, _, err := (history{s}).ancestors(hash(moved.to)); err != nil || !passed[tip] {
			return cmp.Or(err, error(moved))
		}
	}
	if there, err := s.has(tip); err != nil {
		return err
	} else if !there {
		err := errors.New("the remote's pack does not hold the commit")
		if r.pinned {
			err = errNotThere
		}
		if !s.fresh { // the remote was told what the store should have
			return &damagedError{err}
		}
		return err
	}
	if err := s.setTip(tip); err != nil {
		return err
	}
	s.fresh = false
	return nil
}

// keep stores what a pack holds, within the limits.
func (r *remote) keep(pack io.Reader, s *store) error {
	scanned, bases, err := spool(pack, s.dir, r.Limits)
	if err != nil {
		return err
	}
	defer scanned.Close()
	if len(bases) > 0 {
		if err := complete(scanned, bases, s, r.Limits); err != nil {
			return err
		}
	}
	if err := packfile.UpdateObjectStorage(s, scanned); err != nil {
		return fmt.Errorf("store the pack: %w", err)
	}
	return nil
}

// looksAt returns the refs that matter of what the remote has.
func (r *remote) looksAt() []string {
	if r.pinned {
		return []string{head, "refs/heads/", "refs/tags/"}
	}
	return r.refs()
}

// A movedError says that a branch is not at the commit any more that was asked for.
type movedError struct {
	branch string
	to     reconcile.Commit
}

func (e *movedError) Error() string {
	return fmt.Sprintf("branch %s moved on to %s", e.branch, e.to.Short())
}

// wants returns what to ask for so as to get the tip. A server gives what a branch
// points to, and few give any other commit by its name: of those that do not, a pinned
// commit comes with the history of all that they have.
func (r *remote) wants(tip plumbing.Hash) ([]plumbing.Hash, error) {
	said := r.session.listing
	if !r.pinned {
		now, err := r.session.tips(r.Branches)
		if err == nil && now.Commit != r.Tip {
			err = &movedError{r.Branch, now.Commit}
		}
		return []plumbing.Hash{tip}, err
	}
	var all []plumbing.Hash
	for name, commit := range said.commits {
		if commit == tip.String() {
			return []plumbing.Hash{tip}, nil
		}
		if name != head { // of that one the list may have the name of a branch
			all = append(all, plumbing.NewHash(commit))
		}
	}
	if said.capabilities.Supports(capability.AllowReachableSHA1InWant) {
		return []plumbing.Hash{tip}, nil
	}
	if len(all) == 0 {
		return nil, errNotThere
	}
	slices.SortFunc(all, func(a, b plumbing.Hash) int { return bytes.Compare(a[:], b[:]) })
	return slices.Compact(all), nil
}

// errNotThere may pass: the commit is pushed after the one that names it.
var errNotThere = errors.New("the repository does not have the commit, or on no branch (hint: push it there)")

func (r *remote) request(s *store, wants []plumbing.Hash, depth int) (*packp.UploadPackRequest, error) {
	req := packp.NewUploadPackRequestFromCapabilities(r.session.listing.capabilities)
	for _, c := range []capability.Capability{capability.Shallow, capability.NoProgress} {
		if !r.session.listing.capabilities.Supports(c) {
			continue
		}
		if err := req.Capabilities.Set(c); err != nil {
			return nil, err
		}
	}
	if !req.Capabilities.Supports(capability.Shallow) {
		depth = 0 // all of the history, as far as the limits let it
	}
	req.Wants = wants
	req.Depth = packp.DepthCommits(depth)
	if s.fresh || r.withFiles {
		return req, nil
	}
	last, err := s.Reference(fetched)
	if err != nil {
		return nil, &damagedError{err}
	}
	req.Haves = []plumbing.Hash{last.Hash()}
	anchor := hash(r.Anchor)
	switch there, err := s.has(anchor); {
	case err != nil:
		return nil, err
	case there:
		req.Haves = append(req.Haves, anchor)
	}
	if depth == 0 {
		if !r.noThin && r.session.listing.thin {
			err = req.Capabilities.Set(capability.ThinPack)
		}
		return req, err
	}
	if depth > 1 && !r.noFilter && r.session.listing.capabilities.Supports(capability.Filter) {
		req.Filter = packp.FilterTreeDepth(0) // of old commits nobody wants the files
		if err := req.Capabilities.Set(capability.Filter); err != nil {
			return nil, err
		}
	}
	req.Shallows, err = history{s}.edges(last.Hash())
	return req, err
}

// failed turns a limit that was reached into a rejection: getting the same
// commit again would reach it again, unless the remote sends more than it takes.
func (r *remote) failed(err error) error {
	if err == nil {
		return nil
	}
	err = r.session.explain(err)
	if r.pinned && strings.Contains(err.Error(), "not our ref") {
		return errNotThere
	}
	if limit, ok := errors.AsType[*limitError](err); ok {
		return suspected("%w", limit)
	}
	return err
}
