package source

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/storer"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

// localTips reads the refs itself: the agent's process starts no git.
func localTips(path string, b Branches) (Tips, error) {
	refs, err := openRefs(path)
	if err != nil {
		return Tips{}, fmt.Errorf("open %s: %w", path, err)
	}
	defer func() { _ = refs.Close() }()
	said := map[string]string{}
	if ref, err := refs.Reference(head); err == nil {
		said[head] = ref.Target().String()
	}
	for _, name := range b.refs() {
		ref, err := storer.ResolveReference(refs, plumbing.ReferenceName(name))
		switch {
		case errors.Is(err, plumbing.ErrReferenceNotFound):
		case err != nil:
			return Tips{}, fmt.Errorf("read %s of %s: %w", name, path, err)
		default:
			said[name] = ref.Hash().String()
		}
	}
	return b.tips(said)
}

// openRefs opens a repository on this disk for its refs: bare, or with a working tree.
func openRefs(path string) (*filesystem.Storage, error) {
	dir, err := gitDir(path)
	if err != nil {
		return nil, err
	}
	s := filesystem.NewStorage(osfs.New(dir), cache.NewObjectLRU(cache.MiByte))
	if _, err := s.Reference(head); err != nil {
		return nil, errors.New("repository does not exist")
	}
	settings, err := s.Config()
	if err != nil {
		return nil, err
	}
	for _, extension := range settings.Raw.Section("extensions").Options { // git-config(1), extensions.*
		switch value := strings.ToLower(extension.Value); {
		case extension.IsKey("objectformat") && value != "sha1":
			return nil, errSHA256
		case extension.IsKey("refstorage") && value != "files":
			return nil, fmt.Errorf("it keeps its refs as %s, which is not supported (hint: git refs migrate --ref-format=files)", extension.Value)
		}
	}
	return s, nil
}

// gitDir is where the refs of a repository are, gitrepository-layout(5).
func gitDir(path string) (string, error) {
	below := filepath.Join(path, ".git")
	info, err := os.Stat(below)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return path, nil
	case err != nil:
		return "", err
	case info.IsDir():
		return below, nil
	}
	text, err := os.ReadFile(below)
	if err != nil {
		return "", err
	}
	elsewhere, is := strings.CutPrefix(strings.TrimSpace(string(text)), "gitdir: ")
	if !is {
		return "", fmt.Errorf("%s names no directory", below)
	}
	if !filepath.IsAbs(elsewhere) {
		elsewhere = filepath.Join(path, elsewhere)
	}
	return elsewhere, nil
}
