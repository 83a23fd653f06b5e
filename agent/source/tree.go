package source

import (
	"context"
	"fmt"
	"path"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/infra-agent/infra-agent/reconcile"
)

const (
	maxPath = 4000 // bytes of a path in the tree; Linux takes 4095
	maxLink = 4000 // bytes of a symbolic link's target
	maxDeep = 200  // directories in each other: opening a path takes as many steps
)

// writeTree makes the job's directory the tree of a commit. Nothing is written outside
// of it, whatever the tree says: names are validated, and symbolic links are written as
// they are and never followed. What is there of an earlier commit, and is the same,
// stays. The warnings name files that are not what their authors see, and counts has
// how many there are; where the settings refuse such files, they are the error.
func (j job) writeTree(ctx context.Context, s *store, commit plumbing.Hash) (warnings []string, counts map[reconcile.Oddity]int, err error) {
	w := &writer{limits: j.Limits, checkout: j.Checkout, modules: newModules(j)}
	w.lfs = lfsObjects{j.lfsDir(), &w.modules.left, map[string]bool{}, j.Checkout}
	defer w.modules.close()
	if err := w.repository(ctx, &repository{store: s, remote: j.Remote, root: "."}, commit, 0); err != nil {
		return nil, nil, err
	}
	if err := w.lay(ctx, j); err != nil {
		return nil, nil, err
	}
	if warnings, counts, err = w.oddities(); err != nil {
		return nil, nil, err
	}
	w.modules.tidy()
	w.lfs.tidy()
	return warnings, counts, nil
}

// A writer plans a tree, with the trees of submodules, before it touches the directory.
type writer struct {
	limits       Limits
	checkout     Checkout
	modules      *modules
	lfs          lfsObjects
	plan         []planned // a directory before what is in it
	proof        proof
	repositories []*repository
	bytes        int64
	odd          map[oddity]*named
}

// A planned file, link or directory.
type planned struct {
	path string // in the whole tree
	mode filemode.FileMode
	hash plumbing.Hash
	from *repository
}

// A repository is where a part of the tree comes from.
type repository struct {
	store    *store
	remote   Remote
	root     string // its directory in the whole tree
	pointers []pointed
}

// tree returns the entries of a tree object. One that git would write in another way is
// refused: from the files nobody could tell that it is the same tree.
func (r *repository) tree(dir string, tree plumbing.Hash) ([]object.TreeEntry, error) {
	raw, err := r.store.object(plumbing.TreeObject, tree)
	if err != nil {
		return nil, fmt.Errorf("tree of %s: %w", dir, err)
	}
	t, err := object.DecodeTree(r.store, raw)
	if err != nil {
		return nil, refused("directory %q: %w", dir, err)
	}
	return t.Entries, nil
}

// asGitWrites reports whether entries make the tree object of that name.
func asGitWrites(entries []object.TreeEntry, name plumbing.Hash) bool {
	var o plumbing.MemoryObject
	return (&object.Tree{Entries: entries}).Encode(&o) == nil && o.Hash() == name
}

func (w *writer) directory(r *repository, dir string, tree plumbing.Hash) error {
	entries, err := r.tree(dir, tree)
	if err != nil {
		return err
	}
	names := map[string]bool{}
	for _, entry := range entries {
		name := path.Join(dir, entry.Name)
		switch {
		case !goodName(entry.Name):
			return refused("a file in %q has the name %q, which cannot be written", dir, entry.Name)
		case names[entry.Name]:
			return refused("%q is in the tree twice", name)
		case len(name) > maxPath:
			return refused("a path is longer than %d bytes: %.40q…", maxPath, name)
		case strings.Count(name, "/") > maxDeep:
			return refused("directories are more than %d levels deep: %.40q…", maxDeep, name)
		}
		names[entry.Name] = true
		if len(w.plan) >= w.limits.TreeEntries {
			return refused("%w", &limitError{"the commit has", int64(w.limits.TreeEntries), "files and directories", "limits.tree_entries"})
		}
		switch entry.Mode {
		case filemode.Deprecated:
			w.proof.Old = append(w.proof.Old, []byte(name))
			entry.Mode = filemode.Regular
		case filemode.Dir, filemode.Regular, filemode.Executable, filemode.Symlink, filemode.Submodule:
		default:
			return refused("%q has the unknown mode %s", name, entry.Mode)
		}
		w.plan = append(w.plan, planned{name, entry.Mode, entry.Hash, r})
		if entry.Mode == filemode.Dir {
			if err := w.directory(r, name, entry.Hash); err != nil {
				return err
			}
		}
	}
	if !asGitWrites(entries, tree) {
		return refused("directory %q is written as git does not write it (hint: git fsck; then git rm -r --cached . && git add . && git commit)", dir)
	}
	return nil
}

// goodName refuses what could leave the directory, and what git itself would
// take for a repository.
func goodName(name string) bool {
	return name != "" && name != "." && name != ".." && !strings.EqualFold(name, ".git") &&
		len(name) <= 255 && !strings.ContainsAny(name, "/\x00")
}

// small returns a file of the repository that says something about others; nil where
// there is none. As for git, a link is no such file.
func (w *writer) small(r *repository, name string) ([]byte, error) {
	const most = 1 << 20
	name = path.Join(r.root, name)
	for _, p := range w.plan {
		if p.path != name {
			continue
		}
		if p.mode != filemode.Regular && p.mode != filemode.Executable {
			return nil, refused("%q is not a file", name)
		}
		if size, err := r.store.EncodedObjectSize(p.hash); err != nil {
			return nil, &damagedError{fmt.Errorf("%s: %w", name, err)}
		} else if size > most {
			return nil, refused("%q is larger than %d bytes", name, most)
		}
		return r.store.raw(plumbing.BlobObject, p.hash)
	}
	return nil, nil
}
