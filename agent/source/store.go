package source

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-git/go-billy/v5"
	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/storage/filesystem"

	"github.com/infra-agent/infra-agent/reconcile"
)

// fetched names the last commit that was fetched whole. A store without it was
// never finished.
const fetched plumbing.ReferenceName = "refs/infra-agent/fetched"

// What a job keeps in its directory: the git store, those of submodules, objects of
// Git LFS; and what it makes there: the tree, a list of what is in it, and what shows
// that it is that of the commit.
func (j job) store() string      { return filepath.Join(j.Dir, "git") }
func (j job) modulesDir() string { return filepath.Join(j.Dir, "modules") }
func (j job) lfsDir() string     { return filepath.Join(j.Dir, "lfs") }
func (j job) treeDir() string    { return filepath.Join(j.Dir, "tree") }
func (j job) tree() string       { return filepath.Join(j.treeDir(), "source") } // as its path in the Nix store ends
func (j job) list() string       { return filepath.Join(j.treeDir(), "list.json") }
func (j job) proofFile() string  { return filepath.Join(j.treeDir(), proofName) }

const proofName = "proof.json"

// forget deletes what was fetched before.
func (j job) forget() error {
	if err := errors.Join(os.RemoveAll(j.store()), os.RemoveAll(j.modulesDir()), os.RemoveAll(j.lfsDir()), os.RemoveAll(j.treeDir())); err != nil {
		return fmt.Errorf("delete the git store: %w", err)
	}
	return nil
}

// A store is a bare, shallow git repository. It is a cache: whatever is wrong
// with it ends as a [damagedError], and it is fetched anew.
//
// It has the whole tree of the commit that was fetched last, and of the history
// what came with the fetches.
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
	s.sweep()
	s.open()
	switch _, err := s.Reference(fetched); {
	case err == nil:
		return s, nil
	case !errors.Is(err, plumbing.ErrReferenceNotFound):
		return nil, &damagedError{err}
	}
	return s, s.reset()
}

// sweep removes what a fetch that was interrupted left behind.
func (s *store) sweep() {
	left, _ := filepath.Glob(filepath.Join(s.dir, "objects", "pack", "tmp_*")) // the pattern is right
	for _, path := range append(left, s.next()) {
		_ = os.RemoveAll(path) // it is only in the way
	}
}

// next is where the store that will replace this one is made.
func (s *store) next() string { return s.dir + ".new" }

func (s *store) open() {
	s.Storage = filesystem.NewStorageWithOptions(files{osfs.New(s.dir)}, cache.NewObjectLRU(cache.MiByte),
		filesystem.Options{KeepDescriptors: true, LargeObjectThreshold: 1 << 20})
}

// files are those of a store. The library reads the index of a pack, which it does for each pack of the store, in steps
// of four bytes: from the file itself that took a third of what a small push costs.
type files struct{ billy.Filesystem }

func (f files) Open(name string) (billy.File, error) {
	file, err := f.Filesystem.Open(name)
	if err != nil || !strings.HasSuffix(name, ".idx") {
		return file, err
	}
	return index{file, bufio.NewReaderSize(file, 32<<10)}, nil
}

type index struct {
	billy.File
	ahead *bufio.Reader
}

func (i index) Read(p []byte) (int, error) { return i.ahead.Read(p) }

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
	settings := config.NewConfig()
	settings.Core.IsBare = true
	err := errors.Join(s.Init(), s.SetReference(plumbing.NewSymbolicReference(plumbing.HEAD, plumbing.Main)), s.SetConfig(settings))
	if err != nil {
		return fmt.Errorf("make the git store: %w", err)
	}
	return nil
}

func (s *store) close() { _ = s.Close() }

func (s *store) has(h plumbing.Hash) (bool, error) {
	if h.IsZero() {
		return false, nil
	}
	switch err := s.HasEncodedObject(h); {
	case errors.Is(err, plumbing.ErrObjectNotFound):
		return false, nil
	case err != nil:
		return false, &damagedError{err}
	}
	return true, nil
}

// object returns a commit or tree whose bytes have the name h: what git's index
// says of a file on this disk may be as damaged as the file.
func (s *store) object(kind plumbing.ObjectType, h plumbing.Hash) (*plumbing.MemoryObject, error) {
	stored, err := s.EncodedObject(kind, h)
	if err != nil {
		return nil, &damagedError{fmt.Errorf("%s %s: %w", kind, h, err)}
	}
	r, err := stored.Reader()
	if err != nil {
		return nil, &damagedError{fmt.Errorf("%s %s: %w", kind, h, err)}
	}
	defer r.Close()
	o := &plumbing.MemoryObject{}
	o.SetType(kind)
	if _, err := io.Copy(o, r); err != nil {
		return nil, &damagedError{fmt.Errorf("%s %s: %w", kind, h, err)}
	}
	if o.Hash() != h {
		return nil, wrongName(kind, h)
	}
	return o, nil
}

// raw returns the bytes of an object, which have its name.
func (s *store) raw(kind plumbing.ObjectType, h plumbing.Hash) ([]byte, error) {
	o, err := s.object(kind, h)
	if err != nil {
		return nil, err
	}
	r, err := o.Reader()
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

func wrongName(kind plumbing.ObjectType, h plumbing.Hash) error {
	return &damagedError{fmt.Errorf("%s %s has another content", kind, h)}
}

func (s *store) commit(h plumbing.Hash) (*object.Commit, error) {
	o, err := s.object(plumbing.CommitObject, h)
	if err != nil {
		return nil, err
	}
	c, err := object.DecodeCommit(s, o)
	if err != nil {
		return nil, refused("commit %s: %w", h, err)
	}
	return c, nil
}

func hash(c reconcile.Commit) plumbing.Hash { return plumbing.NewHash(string(c)) }
