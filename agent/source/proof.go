package source

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"golang.org/x/sys/unix"
)

// A proof is what is needed, beside the files, to compute the name of a commit. It comes
// from the child, which has read what strangers sent: it can only be right, or lead to
// another name. Paths may have any bytes.
type proof struct {
	Commit  []byte   // the commit object
	Links   []linked // directories of submodules
	Objects [][]byte // files that stand for a pointer of Git LFS
	Old     [][]byte // files with the mode 100664, which git wrote long ago
}

// A linked directory is that of a submodule.
type linked struct {
	Path   []byte
	Name   string // of the commit
	Commit []byte // the commit object; none where the directory is empty
}

const maxProof = 64 << 20 // bytes; most of them are paths

// Verify shows that a directory has the files of the commit, and nothing else, by
// computing the commit's name of them. It is for what is handed to Nix: no mistake of
// the child, and none of the disk, gets beyond it. After an error the next fetch starts
// from nothing.
func (f *Fetcher) Verify(r Result, dir string) error {
	p, err := readProof(filepath.Join(filepath.Dir(r.Tree), proofName))
	if err == nil {
		err = p.shows(dir, hash(r.Commit))
	}
	if err != nil {
		f.anew.Store(true)
		return fmt.Errorf("verify %s: %w", dir, err)
	}
	return nil
}

// Hash returns the hash of the commit's tree, by git: the commit's own name covers it.
func (f *Fetcher) Hash(r Result) (string, error) {
	p, err := readProof(filepath.Join(filepath.Dir(r.Tree), proofName))
	if err == nil && plumbing.ComputeHash(plumbing.CommitObject, p.Commit) != hash(r.Commit) {
		err = errNotTheTree
	}
	if err != nil {
		return "", fmt.Errorf("read the commit: %w", err)
	}
	return treeOf(p.Commit).String(), nil
}

func readProof(name string) (p proof, err error) {
	f, err := os.Open(name)
	if err != nil {
		return p, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxProof))
	if err != nil {
		return p, err
	}
	return p, json.Unmarshal(data, &p)
}

var errNotTheTree = errors.New("it is not the tree of the commit")

// shows computes names from the files up.
func (p proof) shows(dir string, commit plumbing.Hash) error {
	if plumbing.ComputeHash(plumbing.CommitObject, p.Commit) != commit {
		return errNotTheTree
	}
	h := hashing{
		dir: dir, links: map[string]linked{}, objects: map[string]bool{}, old: map[string]bool{},
		blob: plumbing.NewHasher(plumbing.BlobObject, 0), chunk: make([]byte, 32<<10),
	}
	for _, l := range p.Links {
		h.links[string(l.Path)] = l
	}
	for _, name := range p.Objects {
		h.objects[string(name)] = true
	}
	for _, name := range p.Old {
		h.old[string(name)] = true
	}
	tree, err := h.tree(".")
	if err != nil {
		return err
	}
	if tree != treeOf(p.Commit) {
		return errNotTheTree
	}
	return nil
}

// treeOf returns the tree that a commit object names in its first line.
func treeOf(commit []byte) plumbing.Hash {
	line, _, _ := bytes.Cut(commit, []byte("\n"))
	name, is := strings.CutPrefix(string(line), "tree ")
	if !is || len(name) != 40 {
		return plumbing.ZeroHash
	}
	return plumbing.NewHash(name)
}

// hashing computes git's names of files, as gitformat-pack(5) and git-hash-object(1).
type hashing struct {
	dir     string
	links   map[string]linked
	objects map[string]bool
	old     map[string]bool
	blob    plumbing.Hasher
	chunk   []byte
}

func (h *hashing) tree(name string) (plumbing.Hash, error) {
	entries, err := os.ReadDir(filepath.Join(h.dir, name))
	if err != nil {
		return plumbing.ZeroHash, err
	}
	order := func(e os.DirEntry) string { // a directory sorts as if its name ended with /
		if _, link := h.links[path.Join(name, e.Name())]; e.IsDir() && !link {
			return e.Name() + "/"
		}
		return e.Name()
	}
	slices.SortFunc(entries, func(a, b os.DirEntry) int { return strings.Compare(order(a), order(b)) })
	var raw bytes.Buffer
	for _, e := range entries {
		mode, sum, err := h.entry(path.Join(name, e.Name()), e)
		if err != nil {
			return plumbing.ZeroHash, err
		}
		raw.WriteString(mode + " " + e.Name() + "\x00")
		raw.Write(sum[:])
	}
	return plumbing.ComputeHash(plumbing.TreeObject, raw.Bytes()), nil
}

func (h *hashing) entry(name string, e os.DirEntry) (mode string, sum plumbing.Hash, err error) {
	link, isLink := h.links[name]
	switch {
	case e.IsDir() && isLink:
		sum, err = h.link(name, link)
		return "160000", sum, err
	case e.IsDir():
		sum, err = h.tree(name)
		return "40000", sum, err
	case e.Type() == os.ModeSymlink:
		target, err := os.Readlink(filepath.Join(h.dir, name))
		return "120000", plumbing.ComputeHash(plumbing.BlobObject, []byte(target)), err
	case !e.Type().IsRegular():
		return "", sum, fmt.Errorf("%s is no file", name)
	}
	return h.file(name)
}

// link returns the commit of a submodule, if the directory is empty or its tree.
func (h *hashing) link(name string, l linked) (plumbing.Hash, error) {
	tree, err := h.tree(name)
	if err != nil {
		return plumbing.ZeroHash, err
	}
	commit := plumbing.NewHash(l.Name)
	empty := plumbing.ComputeHash(plumbing.TreeObject, nil)
	if len(l.Commit) == 0 && tree != empty || len(l.Commit) > 0 && (plumbing.ComputeHash(plumbing.CommitObject, l.Commit) != commit || treeOf(l.Commit) != tree) {
		return plumbing.ZeroHash, fmt.Errorf("submodule %q: %w", name, errNotTheTree)
	}
	return commit, nil
}

func (h *hashing) file(name string) (mode string, sum plumbing.Hash, err error) {
	f, err := openContent(filepath.Join(h.dir, name))
	if err != nil {
		return "", sum, err
	}
	defer f.close()
	switch {
	case f.Mode&0o100 != 0:
		mode = "100755"
	case h.old[name]:
		mode = "100664"
	default:
		mode = "100644"
	}
	if h.objects[name] {
		sum := sha256.New()
		n, err := io.CopyBuffer(sum, f, h.chunk)
		p := pointer{hex.EncodeToString(sum.Sum(nil)), n}
		return mode, plumbing.ComputeHash(plumbing.BlobObject, []byte(p.String())), err
	}
	h.blob.Reset()
	_, _ = fmt.Fprintf(h.blob, "blob %d\x00", f.Size) // a hash takes all
	_, err = io.CopyBuffer(h.blob, f, h.chunk)
	return mode, h.blob.Sum(), err
}

// content is an open file. [os.File] would ask the kernel five times more for each, to find out that it can wait for
// none of them: half of the time of a tree of small files.
type content struct {
	unix.Stat_t
	fd   int
	name string
}

func openContent(name string) (f content, err error) {
	f.name = name
	if f.fd, err = unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0); err != nil {
		return f, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	if err := unix.Fstat(f.fd, &f.Stat_t); err != nil {
		f.close()
		return f, &fs.PathError{Op: "stat", Path: name, Err: err}
	}
	return f, nil
}

func (f content) Read(p []byte) (int, error) {
	n, err := unix.Read(f.fd, p)
	switch {
	case err != nil:
		return 0, &fs.PathError{Op: "read", Path: f.name, Err: err}
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}

func (f content) close() { _ = unix.Close(f.fd) }

// String is what git stores of the pointer.
func (p pointer) String() string {
	return fmt.Sprintf("version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %d\n", p.OID, p.Size)
}
