package source

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/infra-agent/infra-agent/agent/signature"
	"github.com/infra-agent/infra-agent/reconcile"
)

// authorizations verify a commit by the allowed signers that each of its parents has in a
// file of its tree: the model of Guix's channels, (guix) Specifying Channel Authorizations.
// No commit can allow its own signer, and a merge needs one whom both sides allow. So a
// change of keys is followed step by step, whatever commits a node has missed.
//
// A parent whose file is of no use (it is gone, has a mistake, or allows nobody) is
// passed by: those before it count, and where that leads to what was accepted before, the
// base. So such a mistake shuts nobody out and lets nobody in, and the next commit can mend
// it. As a tip the commit is refused, see [authorizations.own].
type authorizations struct {
	remote   *remote
	store    *store
	base     plumbing.Hash // the anchor, or the introduction
	accepted map[plumbing.Hash]bool
	path     string
	revoke   []byte                            // of the node's own file
	files    map[plumbing.Hash]signersFile     // by commit
	keys     map[plumbing.Hash]signersFile     // by blob
	counts   map[plumbing.Hash][]plumbing.Hash // see counting
}

// maxCounting is how many commits' files may count for one: of those that merges without a
// file of use merge.
const maxCounting = 100

// errUnseen says that a commit which matters is not in the store.
var errUnseen = errors.New("cannot be seen")

func (r *remote) authorizations(s *store, base plumbing.Hash) (*authorizations, error) {
	a := &authorizations{
		remote: r, store: s, base: base, path: r.Trust.Authorizations,
		files: map[plumbing.Hash]signersFile{}, keys: map[plumbing.Hash]signersFile{},
	}
	// A mistake in the node's own file is no mistake of the commit's.
	_, err := signature.Load(signature.Files{Revocation: r.Trust.Files.Revocation}, func(path string) (data []byte, err error) {
		a.revoke, err = os.ReadFile(copyOf(path))
		return a.revoke, err
	})
	if err != nil {
		return nil, &reconcile.KeysError{Err: err}
	}
	return a, nil
}

// ready gets the files that the commits are verified by.
func (a *authorizations) ready(ctx context.Context, commits, accepted map[plumbing.Hash]bool) error {
	a.accepted = accepted
	var parents []plumbing.Hash
	for name := range commits {
		commit, err := a.store.commit(name)
		if err != nil {
			return err
		}
		parents = append(parents, commit.ParentHashes...)
	}
	return a.get(ctx, parents)
}

// get gets the files of commits, and where one is of no use, those of the commits before it.
func (a *authorizations) get(ctx context.Context, commits []plumbing.Hash) error {
	a.counts = map[plumbing.Hash][]plumbing.Hash{}
	for depth := len(commits) + 1; ; depth *= deepenBy {
		lacks, err := a.lacks(commits)
		if err != nil || len(lacks) == 0 {
			return err
		}
		if err := a.remote.objects(ctx, a.store, lacks, min(depth, deepenMost)); err != nil {
			return fmt.Errorf("get %s of the commits before %s: %w", a.path, a.remote.Tip.Short(), err)
		}
	}
}

// lacks returns the next objects that the store needs for the files that count.
func (a *authorizations) lacks(commits []plumbing.Hash) ([]plumbing.Hash, error) {
	seen, lacks := map[plumbing.Hash]bool{}, map[plumbing.Hash]bool{}
	for todo := slices.Clone(commits); len(todo) > 0; {
		name := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if seen[name] {
			continue
		}
		seen[name] = true
		if there, err := a.store.has(name); err != nil {
			return nil, err
		} else if !there {
			if name == a.base {
				lacks[name] = true
			}
			continue // who walks the history gets more of it
		}
		file, missing, err := a.file(name)
		switch {
		case err != nil:
			return nil, err
		case !missing.IsZero():
			lacks[missing] = true
		case file.bad != nil && name != a.base && !a.accepted[name]:
			commit, err := a.store.commit(name)
			if err != nil {
				return nil, err
			}
			todo = append(todo, commit.ParentHashes...)
		}
	}
	return slices.Collect(maps.Keys(lacks)), nil
}

// verify returns who signed a commit, if each parent's file allows that.
func (a *authorizations) verify(name plumbing.Hash) (signer string, err error) {
	commit, err := a.store.commit(name)
	if err != nil {
		return "", err
	}
	if len(commit.ParentHashes) == 0 {
		return "", refused("commit %s: no commit is before it, whose %s could allow its signer (hint: push the branch again without it; what comes of another repository is added by a commit of this one)",
			short(name), a.path)
	}
	for _, parent := range commit.ParentHashes {
		if signer, err = a.verifyAfter(name, parent); err != nil {
			return "", err
		}
	}
	return signer, nil
}

// verifyAfter returns who signed a commit, if the file of another allows that.
func (a *authorizations) verifyAfter(name, before plumbing.Hash) (signer string, err error) {
	raw, err := commitBytes(a.store, name)
	if err != nil {
		return "", err
	}
	counting, err := a.counting(before)
	if err != nil {
		return "", fmt.Errorf("commit %s: %w", short(name), err)
	}
	if len(counting) == 0 {
		at := before
		if a.files[a.base].bad != nil {
			at = a.base
		}
		return "", refused("commit %s: nobody may sign it: of %s %w (hint: push the branch again without it; or set trust.introduction to a commit that has the file, and switch to that on the node by nixos-rebuild, once)",
			short(name), short(at), a.files[at].bad)
	}
	for _, by := range counting {
		if signer, err = a.files[by].keys.Verify(raw); err != nil {
			return "", refused("commit %s: %w; %s of %s, before it, says who may sign (hint: push the branch again without it, or signed by one of them, who may add a key by a commit before)",
				short(name), err, a.path, short(by))
		}
	}
	return signer, nil
}

// counting returns the commits whose files count for the children of a commit: itself, or
// where its file is of no use, all that count for itself.
func (a *authorizations) counting(name plumbing.Hash) ([]plumbing.Hash, error) {
	if known, is := a.counts[name]; is {
		return known, nil
	}
	file, is := a.files[name]
	if !is {
		return nil, fmt.Errorf("%s, before it, %w", short(name), errUnseen)
	}
	var all []plumbing.Hash
	switch {
	case file.bad == nil:
		all = []plumbing.Hash{name}
	case name == a.base: // no file counts before it
	case a.accepted[name]:
		var err error
		if all, err = a.counting(a.base); err != nil {
			return nil, err
		}
	default:
		commit, err := a.store.commit(name)
		if err != nil {
			return nil, err
		}
		for _, parent := range commit.ParentHashes {
			before, err := a.counting(parent)
			if err != nil {
				return nil, err
			}
			for _, by := range before {
				if !slices.Contains(all, by) {
					all = append(all, by)
				}
			}
		}
		if len(all) > maxCounting {
			return nil, refused("%s of more than %d commits before it count (hint: push the branch again with the file put right earlier)", a.path, maxCounting)
		}
	}
	a.counts[name] = all
	return all, nil
}

// own refuses a commit whose own file is of no use: no system must be kept whose node
// could not tell who may sign the next commit. It returns the file's keys.
func (a *authorizations) own(ctx context.Context, name plumbing.Hash) (*signature.Keys, error) {
	if err := a.get(ctx, []plumbing.Hash{name}); err != nil {
		return nil, err
	}
	file := a.files[name]
	if file.bad != nil {
		return nil, refused("commit %s: nobody could sign the next one: %w (hint: push a commit that puts that right; whoever could sign this one may sign it)", short(name), file.bad)
	}
	return file.keys, nil
}
