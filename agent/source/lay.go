package source

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// A kept file is one that was written for an earlier commit.
type kept struct {
	Path []byte // any bytes
	Mode filemode.FileMode
	Hash string
	Size int64
	Same bool // a later commit with the same entry can keep it: nothing odd was found in it
}

// A layout is a directory that has the files of a commit.
type layout struct {
	*writer
	root  *os.Root
	old   map[string]kept // what is there
	now   []kept          // what will be
	chunk []byte          // for what is copied
}

// lay makes the directory what was planned. A directory that was left in between has no
// list of what is in it, and is emptied first.
func (w *writer) lay(ctx context.Context, j job) error {
	l := layout{writer: w, old: j.kept(), chunk: make([]byte, 32<<10)}
	if err := os.RemoveAll(j.list()); err != nil {
		return fmt.Errorf("write the tree: %w", err)
	}
	if l.old == nil {
		if err := os.RemoveAll(j.treeDir()); err != nil {
			return fmt.Errorf("empty the tree's directory: %w", err)
		}
		if err := os.MkdirAll(j.tree(), 0o755); err != nil { //nolint:gosec // the agent reads it without any capability
			return fmt.Errorf("make the tree's directory: %w", err)
		}
		if err := errors.Join(os.Chmod(j.treeDir(), 0o755), os.Chmod(j.tree(), 0o755)); err != nil { //nolint:gosec // as above
			return fmt.Errorf("make the tree's directory: %w", err)
		}
	}
	var err error
	if l.root, err = os.OpenRoot(j.tree()); err != nil {
		return fmt.Errorf("open the tree's directory: %w", err)
	}
	defer func() { _ = l.root.Close() }()
	if err := l.clear(); err != nil {
		return err
	}
	for _, p := range w.plan {
		if err := l.entry(p); err != nil {
			return err
		}
	}
	for _, r := range w.repositories {
		if err := l.objects(ctx, r); err != nil {
			return err
		}
	}
	return l.save(j)
}

// clear removes what is not planned, or planned as something else.
func (l *layout) clear() error {
	stays := map[string]bool{}
	for _, p := range l.plan {
		was, there := l.old[p.path]
		same := was.Mode == p.mode && was.Hash == p.hash.String() || isDirectory(was.Mode) && isDirectory(p.mode)
		stays[p.path] = there && was.Same && same
		if p.mode == filemode.Submodule && l.checkout.Submodules != SubmodulesFetch {
			stays[p.path] = false
		}
	}
	for name := range l.old {
		if stays[name] {
			continue
		}
		delete(l.old, name)
		if err := l.root.RemoveAll(name); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("write the tree: %w", err)
		}
	}
	return nil
}

func isDirectory(mode filemode.FileMode) bool {
	return mode == filemode.Dir || mode == filemode.Submodule
}

func (l *layout) entry(p planned) error {
	if was, there := l.old[p.path]; there {
		was.Mode, was.Hash = p.mode, p.hash.String()
		l.now = append(l.now, was)
		return l.count(was.Size)
	}
	k := kept{Path: []byte(p.path), Mode: p.mode, Hash: p.hash.String(), Same: true}
	var err error
	switch p.mode {
	case filemode.Dir, filemode.Submodule:
		if err := l.root.Mkdir(p.path, 0o755); err != nil {
			return fmt.Errorf("write the tree: %w", err)
		}
	case filemode.Executable:
		k.Size, k.Same, err = l.file(p, 0o755)
	case filemode.Symlink:
		k.Size, k.Same, err = l.link(p)
	default:
		k.Size, k.Same, err = l.file(p, 0o644)
	}
	if p.mode == filemode.Submodule && l.checkout.Submodules != SubmodulesFetch {
		l.note(oddSubmodule, p.path)
		l.proof.Links = append(l.proof.Links, linked{Path: k.Path, Name: k.Hash})
		k.Same = false
	}
	l.now = append(l.now, k)
	return err
}

func (l *layout) file(p planned, mode os.FileMode) (size int64, plain bool, err error) {
	content, size, err := l.open(p)
	if err != nil {
		return 0, false, err
	}
	defer content.Close()
	plain = path.Base(p.path) != ".gitattributes"
	start := make([]byte, markBytes)
	n, err := io.ReadFull(content, start)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return 0, false, err
	}
	start = start[:n]
	if odd := oddStart(start); odd != "" {
		plain = false
		more, err := io.ReadAll(io.LimitReader(content, maxPointer))
		if err != nil {
			return 0, false, err
		}
		start = append(start, more...)
		if pointer, is := parsePointer(start); is && odd == oddLFS && l.checkout.LFS {
			p.from.pointers = append(p.from.pointers, pointed{p.path, pointer})
		} else {
			l.note(odd, p.path)
		}
	}
	f, err := l.root.OpenFile(p.path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return 0, false, fmt.Errorf("write the tree: %w", err)
	}
	to := struct{ io.Writer }{f} // no more: by its ReadFrom a file brings a buffer of its own
	_, err = io.CopyBuffer(to, struct{ io.Reader }{io.MultiReader(bytes.NewReader(start), content)}, l.chunk)
	if err == nil {
		err = f.Chmod(mode) // whatever the umask is
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return 0, false, fmt.Errorf("write %s: %w", p.path, err)
	}
	if path.Base(p.path) == ".gitattributes" {
		err = l.filters(p.path)
	}
	return size, plain, err
}

// filters notes what a file of attributes, just written, asks for.
func (l *layout) filters(name string) error {
	const most = 1 << 20 // bytes of it that are looked at
	f, err := l.root.Open(name)
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	defer f.Close()
	attributes, err := io.ReadAll(io.LimitReader(f, most))
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	for _, line := range filters(attributes) {
		l.note(oddFilter, path.Join(path.Dir(name), line))
	}
	return nil
}

func (l *layout) link(p planned) (size int64, plain bool, err error) {
	content, size, err := l.open(p)
	if err != nil {
		return 0, false, err
	}
	defer content.Close()
	target, err := io.ReadAll(io.LimitReader(content, maxLink+1))
	if err != nil {
		return 0, false, err
	}
	if len(target) == 0 || len(target) > maxLink || bytes.IndexByte(target, 0) >= 0 {
		return 0, false, refused("the symbolic link %q has a target that cannot be written", p.path)
	}
	plain = !strings.Contains(string(target), ".git/annex/objects/")
	if !plain {
		l.note(oddAnnex, p.path)
	}
	if err := l.root.Symlink(string(target), p.path); err != nil {
		return 0, false, fmt.Errorf("write the tree: %w", err)
	}
	return size, plain, nil
}

// open returns the content of a blob, and counts its size.
func (l *layout) open(p planned) (io.ReadCloser, int64, error) {
	object, err := object.GetBlob(p.from.store, p.hash)
	if err != nil {
		return nil, 0, &damagedError{fmt.Errorf("%s: %w", p.path, err)}
	}
	if err := l.count(object.Size); err != nil {
		return nil, 0, err
	}
	content, err := object.Reader()
	if err != nil {
		return nil, 0, &damagedError{fmt.Errorf("%s: %w", p.path, err)}
	}
	return &stored{content, plumbing.NewHasher(plumbing.BlobObject, object.Size), p.hash, p.path}, object.Size, nil
}

// count adds the bytes of a file to those of the tree.
func (w *writer) count(n int64) error {
	if w.bytes += n; w.bytes > w.limits.TreeBytes {
		return refused("%w", &limitError{"the commit's files have", w.limits.TreeBytes, "bytes", "limits.tree_bytes"})
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

// kept reads the list of what is in the directory; nil where there is none that can be
// read, and the directory is to be made anew.
func (j job) kept() map[string]kept {
	data, err := os.ReadFile(j.list())
	if err != nil {
		return nil
	}
	var list []kept
	if json.Unmarshal(data, &list) != nil {
		return nil
	}
	old := make(map[string]kept, len(list))
	for _, k := range list {
		old[string(k.Path)] = k
	}
	return old
}

// save writes down what is in the directory, and what shows it. A list that a power cut leaves in pieces, or without the files, makes a tree that is
// not that of the commit: see [Fetcher.Verify].
func (l *layout) save(j job) error {
	for name, what := range map[string]any{j.proofFile(): l.proof, j.list(): l.now} {
		data, err := json.Marshal(what)
		if err == nil {
			err = os.WriteFile(name, data, 0o644) //nolint:gosec // the agent reads it without any capability
		}
		if err != nil {
			return fmt.Errorf("write the tree: %w", err)
		}
	}
	return nil
}
