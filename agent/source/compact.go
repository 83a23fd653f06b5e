package source

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
)

const (
	maxPacks  = 50      // fetches that a store may collect before reading gets slow
	maxGrowth = 3       // times its first size that a store may have
	minSize   = 1 << 20 // bytes below which size does not matter
)

// grown reports whether the store has become too large for what it holds. Its
// first pack is the whole tree of one commit, each other one what came later.
func (s *store) grown() bool {
	packs, err := filepath.Glob(filepath.Join(s.dir, "objects", "pack", "*.pack"))
	if err != nil || len(packs) > maxPacks {
		return err == nil
	}
	var first fs.FileInfo
	var total int64
	for _, path := range packs {
		info, err := os.Stat(path)
		if err != nil {
			return false // whoever reads the store next says what is wrong with it
		}
		if total += info.Size(); first == nil || info.ModTime().Before(first.ModTime()) {
			first = info
		}
	}
	return first != nil && total > max(maxGrowth*first.Size(), minSize)
}

// outgrown reports whether the store is larger than a fetch may be. The proof that a system on trial
// follows its branch is then a fetch into an empty store: that is what a damaged store will need.
func (j job) outgrown() bool {
	packs, _ := filepath.Glob(filepath.Join(j.store(), "objects", "pack", "*.pack")) // the pattern is well-formed
	var total int64
	for _, path := range packs {
		if info, err := os.Stat(path); err == nil {
			total += info.Size()
		}
	}
	return total > j.Limits.FetchBytes
}

// compact replaces a store that has grown by one that holds the tip, and of the history
// before it the commits alone. Nothing is fetched for that. Where it fails the old store
// is as good as before, and the next fetch tries again.
func (s *store) compact(tip plumbing.Hash) {
	if !s.grown() {
		return
	}
	small := &store{dir: s.next()}
	small.open()
	defer small.close()
	if small.reset() != nil || s.copyTo(small, tip) != nil {
		return
	}
	if os.RemoveAll(s.dir) == nil {
		_ = os.Rename(small.dir, s.dir)
	}
}

// copyTo copies the files of a commit, and the commits that the store has before it, in
// one pack.
func (s *store) copyTo(to *store, tip plumbing.Hash) error {
	seen, _, err := history{s}.ancestors(tip)
	if err != nil {
		return err
	}
	commit, err := s.commit(tip)
	if err != nil {
		return err
	}
	objects := map[plumbing.Hash]bool{}
	if err := s.below(commit.TreeHash, objects); err != nil {
		return err
	}
	all := []plumbing.Hash{}
	for _, set := range []map[plumbing.Hash]bool{seen, objects} {
		for name := range set {
			all = append(all, name)
		}
	}
	r, w := io.Pipe()
	go func() {
		_, err := packfile.NewEncoder(w, s, false).Encode(all, 0) // without deltas: they would cost more than the room they save
		_ = w.CloseWithError(err)
	}()
	err = packfile.UpdateObjectStorage(to, r)
	_ = r.CloseWithError(io.ErrClosedPipe)
	if err != nil {
		return fmt.Errorf("copy the git store: %w", err)
	}
	return to.setTip(tip)
}

// below adds a tree and all that is in it.
func (s *store) below(tree plumbing.Hash, all map[plumbing.Hash]bool) error {
	all[tree] = true
	entries, err := (&repository{store: s}).tree(tree.String(), tree)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		switch {
		case all[entry.Hash] || entry.Mode == filemode.Submodule:
		case entry.Mode == filemode.Dir:
			if err := s.below(entry.Hash, all); err != nil {
				return err
			}
		default:
			all[entry.Hash] = true
		}
	}
	return nil
}

// setTip notes what was fetched last, and where the history ends.
func (s *store) setTip(tip plumbing.Hash) error {
	edges, err := history{s}.edges(tip)
	if err != nil {
		return err
	}
	if err := s.SetShallow(edges); err != nil { // for people who look at it with git
		return fmt.Errorf("write the git store: %w", err)
	}
	if err := s.SetReference(plumbing.NewHashReference(fetched, tip)); err != nil {
		return fmt.Errorf("write the git store: %w", err)
	}
	return nil
}
