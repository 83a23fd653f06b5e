package source

import (
	"bufio"
	"bytes"
	"fmt"
	"io"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/storage/memory"
)

// Of old commits nobody wants the files. A server that cannot leave them out sends them
// all, whatever somebody once pushed and took back: a disk image, a bomb, a tree with
// names that cannot be written. They are read past, and count as little as they would
// had they been left out.

const (
	skipBytes    = 8        // times as many bytes as an answer may have
	skipInflated = 64       // times as many bytes as a tree may have, inflated: a minute of CPU
	skipAtLeast  = 1 << 30  // bytes, inflated
	maxHistory   = 64 << 20 // bytes of commits
)

// takeCommits stores the commits of the pack that r delivers, and nothing else of it.
func takeCommits(r io.Reader, s *store, l Limits) error {
	t := taker{position: &counted{Reader: r}, found: memory.NewStorage(), at: map[int64]plumbing.Hash{}, skip: max(skipInflated*l.TreeBytes, skipAtLeast)}
	t.in = bufio.NewReaderSize(t.position, 64<<10)
	t.chunk, t.most = make([]byte, 32<<10), 1<<62
	count, err := packHeader(t.in)
	if err != nil {
		return err
	}
	for range count {
		if err := t.object(); err != nil {
			return err
		}
	}
	var all []plumbing.Hash
	for name := range t.found.Commits {
		all = append(all, name)
	}
	if len(all) == 0 {
		return nil
	}
	pack := new(bytes.Buffer)
	if _, err := packfile.NewEncoder(pack, t.found, false).Encode(all, 0); err != nil {
		return fmt.Errorf("store the commits: %w", err)
	}
	if err := packfile.UpdateObjectStorage(s, pack); err != nil {
		return fmt.Errorf("store the commits: %w", err)
	}
	return nil
}

// A counted reader knows how much was read.
type counted struct {
	io.Reader
	n int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += int64(n)
	return n, err
}

type taker struct {
	scanner
	position *counted
	found    *memory.Storage
	at       map[int64]plumbing.Hash // commits, by where they begin
	skip     int64                   // bytes, inflated, that may still be read past
	bytes    int64                   // of the commits
}

// object keeps one object if it is a commit, or a delta that makes one of a commit that
// came before.
func (t *taker) object() error {
	start := t.position.n - int64(t.in.Buffered())
	kind, size, err := t.header()
	if err != nil {
		return err
	}
	var base plumbing.Hash
	switch kind {
	case 1, 2, 3, 4: // commit, tree, blob, tag
	case 6:
		back, err := t.offset()
		if err != nil {
			return broken(err)
		}
		base = t.at[start-back]
	case 7:
		if _, err := io.ReadFull(t.in, base[:]); err != nil {
			return broken(err)
		}
		if t.found.Commits[base] == nil {
			base = plumbing.ZeroHash
		}
	default:
		return fmt.Errorf("%w: it has an object of kind %d", errPack, kind)
	}
	wanted := (kind == 1 || !base.IsZero()) && size <= maxCommit
	content, err := t.content(size, wanted)
	if err != nil || !wanted {
		return err
	}
	if kind != 1 {
		if content, err = t.patched(base, content); err != nil || content == nil {
			return err
		}
	}
	return t.keep(start, content)
}

// offset reads how far back a base begins, gitformat-pack(5).
func (t *taker) offset() (int64, error) {
	b, err := t.in.ReadByte()
	n := int64(b & 0x7f)
	for i := 0; err == nil && b&0x80 != 0; i++ {
		if i > 8 {
			return 0, fmt.Errorf("%w: an offset of more than 64 bits", errPack)
		}
		b, err = t.in.ReadByte()
		n = (n+1)<<7 | int64(b&0x7f)
	}
	return n, err
}

// content inflates an object, and returns it if it is wanted.
func (t *taker) content(size int64, wanted bool) ([]byte, error) {
	if err := t.begin(); err != nil {
		return nil, err
	}
	var kept bytes.Buffer
	read := int64(0)
	for {
		n, err := io.ReadFull(t.inflate, t.chunk)
		if read += int64(n); read > size {
			return nil, fmt.Errorf("%w: an object is larger than it says", errPack)
		}
		if wanted {
			kept.Write(t.chunk[:n])
		} else if t.skip -= int64(n); t.skip < 0 {
			return nil, tooMuch("too many bytes when it is unpacked, of commits before the newest (hint: if that is right, raise limits.tree_bytes)")
		}
		switch {
		case ended(err) && read != size:
			return nil, fmt.Errorf("%w: an object is smaller than it says", errPack)
		case ended(err):
			return kept.Bytes(), nil
		case err != nil:
			return nil, fmt.Errorf("%w: %w", errPack, err)
		}
	}
}

// patched applies a delta; nil where it makes too large a commit.
func (t *taker) patched(base plumbing.Hash, delta []byte) ([]byte, error) {
	size, err := deltaSize(delta)
	if err != nil || size > maxCommit {
		return nil, err
	}
	from, err := t.found.Commits[base].Reader()
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(from)
	if err != nil {
		return nil, err
	}
	content, err = packfile.PatchDelta(content, delta)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errPack, err)
	}
	return content, nil
}

func (t *taker) keep(start int64, content []byte) error {
	if t.bytes += int64(len(content)); t.bytes > maxHistory {
		return tooMuch("more than %d bytes of commits", maxHistory)
	}
	o := t.found.NewEncodedObject()
	o.SetType(plumbing.CommitObject)
	w, err := o.Writer()
	if err != nil {
		return err
	}
	if _, err := w.Write(content); err != nil {
		return err
	}
	t.at[start], err = t.found.SetEncodedObject(o)
	return err
}
