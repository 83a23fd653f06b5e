package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
)

const (
	maxPath = 4000 // bytes of a path in the tree; Linux takes 4095
	maxLink = 4000 // bytes of a symbolic link's target
	maxDeep = 200  // directories in each other: opening a path takes as many steps
)

// writeTree writes the files of a tree object into the job's directory, which is emptied first.
// Every file and directory gets the time at. Nothing is written outside of dir,
// whatever the tree says: names are judged, and symbolic links are written as
// they are and never followed. The warnings name files that are not what their
// authors see; where the settings refuse such files, they are the error.
func (j job) writeTree(ctx context.Context, s *store, tree plumbing.Hash, at time.Time) (warnings []string, err error) {
	dir := j.tree()
	if err := os.RemoveAll(dir); err != nil {
		return nil, fmt.Errorf("empty the tree's directory: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return nil, fmt.Errorf("make the tree's directory: %w", err)
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the tree's directory: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open the tree's directory: %w", err)
	}
	defer func() { _ = root.Close() }()
	w := &writer{root: root, at: at, limits: j.Limits, checkout: j.Checkout, modules: newModules(j)}
	w.lfs = lfsObjects{j.lfsDir(), &w.modules.left, map[string]bool{}, j.Checkout}
	if err := w.repository(ctx, j.Remote, s, ".", tree, 0); err != nil {
		return nil, err
	}
	if warnings, err = w.judge(); err != nil {
		return nil, err
	}
	w.modules.tidy()
	w.lfs.tidy()
	return warnings, nil
}

type writer struct {
	store    *store    // of the repository whose tree is written
	links    []link    // of that repository
	pointers []pointed // of that repository
	modules  *modules
	lfs      lfsObjects
	root     *os.Root
	at       time.Time
	limits   Limits
	checkout Checkout
	entries  int
	bytes    int64
	odd      map[oddity]*named
}

func (w *writer) directory(dir string, tree plumbing.Hash) error {
	raw, err := w.store.object(plumbing.TreeObject, tree)
	if err != nil {
		return fmt.Errorf("tree of %s: %w", dir, err)
	}
	t, err := object.DecodeTree(w.store, raw)
	if err != nil {
		return refused("directory %q: %w", dir, err)
	}
	names := map[string]bool{}
	for _, entry := range t.Entries {
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
		if w.entries++; w.entries > w.limits.TreeEntries {
			return refused("%w", &limitError{"the commit has", int64(w.limits.TreeEntries), "files and directories", "limits.tree_entries"})
		}
		if err := w.entry(name, entry); err != nil {
			return err
		}
	}
	return w.touch(dir)
}

// goodName refuses what could leave the directory, and what git itself would
// take for a repository.
func goodName(name string) bool {
	return name != "" && name != "." && name != ".." && !strings.EqualFold(name, ".git") &&
		len(name) <= 255 && !strings.ContainsAny(name, "/\x00")
}

func (w *writer) entry(name string, entry object.TreeEntry) error {
	switch entry.Mode {
	case filemode.Dir:
		if err := w.root.Mkdir(name, 0o755); err != nil {
			return fmt.Errorf("write the tree: %w", err)
		}
		return w.directory(name, entry.Hash)
	case filemode.Regular, filemode.Deprecated:
		return w.file(name, entry.Hash, 0o644)
	case filemode.Executable:
		return w.file(name, entry.Hash, 0o755)
	case filemode.Symlink:
		return w.link(name, entry.Hash)
	case filemode.Submodule:
		if err := w.root.Mkdir(name, 0o755); err != nil {
			return fmt.Errorf("write the tree: %w", err)
		}
		if w.checkout.Submodules == SubmodulesFetch {
			w.links = append(w.links, link{name, entry.Hash})
			return nil
		}
		w.note(oddSubmodule, name)
		return w.touch(name)
	default:
		return refused("%q has the unknown mode %s", name, entry.Mode)
	}
}

func (w *writer) file(name string, blob plumbing.Hash, mode os.FileMode) error {
	content, err := w.open(name, blob)
	if err != nil {
		return err
	}
	defer content.Close()
	start := make([]byte, markBytes)
	n, err := io.ReadFull(content, start)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	odd := oddStart(start[:n])
	if odd == oddLFS && w.checkout.LFS {
		more, err := io.ReadAll(io.LimitReader(content, maxPointer))
		if err != nil {
			return err
		}
		start = append(start[:n], more...)
		n = len(start)
		if p, is := parsePointer(start); is {
			w.pointers = append(w.pointers, pointed{name, p})
			odd = ""
		}
	}
	if odd != "" {
		w.note(odd, name)
	}
	f, err := w.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return fmt.Errorf("write the tree: %w", err)
	}
	_, err = io.Copy(f, io.MultiReader(bytes.NewReader(start[:n]), content))
	if err == nil {
		err = f.Chmod(mode) // whatever the umask is
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	if path.Base(name) == ".gitattributes" {
		if err := w.filters(name); err != nil {
			return err
		}
	}
	return w.touch(name)
}

// filters notes what a file of attributes, just written, asks for.
func (w *writer) filters(name string) error {
	const most = 1 << 20 // bytes of it that are looked at
	f, err := w.root.Open(name)
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	defer f.Close()
	attributes, err := io.ReadAll(io.LimitReader(f, most))
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	for _, line := range filters(attributes) {
		w.note(oddFilter, path.Join(path.Dir(name), line))
	}
	return nil
}

func (w *writer) link(name string, blob plumbing.Hash) error {
	content, err := w.open(name, blob)
	if err != nil {
		return err
	}
	defer content.Close()
	target, err := io.ReadAll(io.LimitReader(content, maxLink+1))
	if err != nil {
		return err
	}
	if len(target) == 0 || len(target) > maxLink || bytes.IndexByte(target, 0) >= 0 {
		return refused("the symbolic link %q has a target that cannot be written", name)
	}
	if strings.Contains(string(target), ".git/annex/objects/") {
		w.note(oddAnnex, name)
	}
	if err := w.root.Symlink(string(target), name); err != nil {
		return fmt.Errorf("write the tree: %w", err)
	}
	return nil
}

// open returns the content of a blob, and counts its size.
func (w *writer) open(name string, blob plumbing.Hash) (io.ReadCloser, error) {
	object, err := object.GetBlob(w.store, blob)
	if err != nil {
		return nil, &damagedError{fmt.Errorf("%s: %w", name, err)}
	}
	if w.bytes += object.Size; w.bytes > w.limits.TreeBytes {
		return nil, w.tooManyBytes()
	}
	content, err := object.Reader()
	if err != nil {
		return nil, &damagedError{fmt.Errorf("%s: %w", name, err)}
	}
	return &stored{content, plumbing.NewHasher(plumbing.BlobObject, object.Size), blob, name}, nil
}

func (w *writer) tooManyBytes() error {
	return refused("%w", &limitError{"the commit's files have", w.limits.TreeBytes, "bytes", "limits.tree_bytes"})
}

func (w *writer) touch(name string) error {
	if err := w.root.Chtimes(name, w.at, w.at); err != nil {
		return fmt.Errorf("write the tree: %w", err)
	}
	return nil
}

// stored is the content of a blob. It marks failures to read as damage of the
// store, unlike failures to write, and so it does with a content of another name.
type stored struct {
	io.ReadCloser
	sum  plumbing.Hasher
	want plumbing.Hash
	name string
}

func (s *stored) Read(p []byte) (int, error) {
	n, err := s.ReadCloser.Read(p)
	_, _ = s.sum.Write(p[:n]) // never fails
	switch {
	case errors.Is(err, io.EOF) && s.sum.Sum() != s.want:
		err = wrongName(plumbing.BlobObject, s.want)
	case err != nil && !errors.Is(err, io.EOF):
		err = &damagedError{fmt.Errorf("%s: %w", s.name, err)}
	}
	return n, err
}
