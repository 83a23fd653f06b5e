package source

import (
	"errors"
	"fmt"
	"os"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/storage/filesystem"

	"github.com/infra-agent/infra-agent/reconcile"
)

// fetched names the last commit that was fetched whole. A store without it was
// never finished.
const fetched plumbing.ReferenceName = "refs/infra-agent/fetched"

// A store is a bare, shallow git repository. It is a cache: whatever is wrong
// with it ends as a [damagedError], and it is fetched anew.
//
// Every commit in it is whole: it has its tree, and its parents unless it is one
// of the shallow commits.
type store struct {
	*filesystem.Storage
	dir   string
	fresh bool // holds nothing yet
}

// A damagedError says that the store cannot be read.
type damagedError struct{ err error }

func (e *damagedError) Error() string { return "read the git store: " + e.err.Error() }
func (e *damagedError) Unwrap() error { return e.err }

// openStore opens the store in dir, or makes an empty one.
func openStore(dir string) (*store, error) {
	s := &store{dir: dir}
	s.open()
	switch _, err := s.Reference(fetched); {
	case err == nil:
		return s, nil
	case !errors.Is(err, plumbing.ErrReferenceNotFound):
		return nil, &damagedError{err}
	}
	return s, s.reset()
}

func (s *store) open() {
	s.Storage = filesystem.NewStorageWithOptions(osfs.New(s.dir), cache.NewObjectLRU(8*cache.MiByte),
		filesystem.Options{LargeObjectThreshold: 1 << 20})
}

// reset makes the store empty.
func (s *store) reset() error {
	s.close()
	if err := os.RemoveAll(s.dir); err != nil {
		return fmt.Errorf("delete the git store: %w", err)
	}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return fmt.Errorf("make the git store: %w", err)
	}
	s.open()
	s.fresh = true
	if _, err := git.Init(s.Storage, nil); err != nil {
		return fmt.Errorf("make the git store: %w", err)
	}
	return nil
}

func (s *store) close() { _ = s.Close() }

func (s *store) has(h plumbing.Hash) bool { return !h.IsZero() && s.HasEncodedObject(h) == nil }

func (s *store) commit(h plumbing.Hash) (*object.Commit, error) {
	c, err := object.GetCommit(s, h)
	if errors.Is(err, object.ErrMalformedCommit) {
		return nil, refused("commit %s: %w", h, err)
	}
	if err != nil {
		return nil, &damagedError{fmt.Errorf("commit %s: %w", h, err)}
	}
	return c, nil
}

// shallow returns the commits whose parents are not in the store.
func (s *store) shallow() (map[plumbing.Hash]bool, error) {
	list, err := s.Shallow()
	if err != nil {
		return nil, &damagedError{err}
	}
	set := map[plumbing.Hash]bool{}
	for _, h := range list {
		set[h] = true
	}
	return set, nil
}

func hash(c reconcile.Commit) plumbing.Hash { return plumbing.NewHash(string(c)) }
