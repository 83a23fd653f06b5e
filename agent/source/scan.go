package source

import (
	"bufio"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/go-git/go-git/v5/plumbing"
)

// go-git believes what a pack says of itself: a header of 12 bytes that claims
// 2³² objects, or one crafted delta, makes it take gigabytes. So a pack is
// written to a file first, and read once in a stream, without keeping any of it.

const (
	maxObject  = 100 << 20 // bytes of one object, inflated, deltas resolved
	inflations = 8         // an honest pack holds the tree, and some versions of parts of it
	commits    = 16 << 10  // objects that are not of a tree: commits
)

// errPack says that bytes are no pack, gitformat-pack(5).
var errPack = errors.New("the remote's answer is no valid pack")

// spool writes the pack that r delivers to a file in dir, scans it on the way,
// and returns the file, rewound, and the objects that its deltas name as their bases. The
// caller closes it; it has no name any more.
func spool(r io.Reader, dir string, l Limits) (_ *os.File, bases map[plumbing.Hash]bool, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, fmt.Errorf("write the pack: %w", err)
	}
	f, err := os.CreateTemp(dir, "incoming-*.pack")
	if err != nil {
		return nil, nil, fmt.Errorf("write the pack: %w", err)
	}
	defer func() {
		if err != nil {
			_ = f.Close()
		}
	}()
	if err := os.Remove(filepath.Join(dir, filepath.Base(f.Name()))); err != nil {
		return nil, nil, fmt.Errorf("write the pack: %w", err)
	}
	in := bufio.NewReaderSize(io.TeeReader(r, f), 64<<10)
	if bases, err = scan(in, l); err != nil {
		return nil, nil, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, nil, fmt.Errorf("write the pack: %w", err)
	}
	return f, bases, nil
}

// scan reads one whole pack and nothing after it, and returns the objects that deltas name.
// The error is rejected by [reconcile.GateUnverified] where the pack is over a limit.
func scan(in *bufio.Reader, l Limits) (bases map[plumbing.Hash]bool, err error) {
	count, err := packHeader(in)
	if err != nil {
		return nil, err
	}
	if most := inflations*int64(l.TreeEntries) + commits; int64(count) > most {
		return nil, tooMuch("%d objects, at most %d are accepted (hint: if that is right, raise limits.tree_entries)", count, most)
	}
	most, total := inflations*l.TreeBytes, int64(0)
	s := scanner{in: in, chunk: make([]byte, 32<<10), most: maxObject, bases: map[plumbing.Hash]bool{}}
	for range count {
		size, err := s.object()
		if err != nil {
			return nil, err
		}
		if total += size; total > most {
			return nil, tooMuch("more than %d bytes when it is unpacked (hint: if that is right, raise limits.tree_bytes)", most)
		}
	}
	var trailer [20]byte // SHA-1, which go-git compares
	if _, err := io.ReadFull(in, trailer[:]); err != nil {
		return nil, broken(err)
	}
	if _, err := in.ReadByte(); err != io.EOF {
		return nil, fmt.Errorf("%w: something follows it", errPack)
	}
	return s.bases, nil
}

// packHeader reads how many objects a pack holds.
func packHeader(in io.Reader) (count uint32, err error) {
	var head [12]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return 0, broken(err)
	}
	if string(head[:4]) != "PACK" || binary.BigEndian.Uint32(head[4:]) != 2 {
		return 0, errPack
	}
	return binary.BigEndian.Uint32(head[8:]), nil
}

func tooMuch(format string, args ...any) error { return suspected("the pack holds "+format, args...) }

// broken keeps limits and network errors apart from a pack that just ends.
func broken(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: it ends early", errPack)
	}
	return err
}

// A scanner reads objects, one after the other, into the same memory.
type scanner struct {
	in      *bufio.Reader
	inflate io.ReadCloser
	chunk   []byte
	most    int64 // bytes of an object
	bases   map[plumbing.Hash]bool
}

// object reads one object and returns its size, deltas resolved.
func (s *scanner) object() (int64, error) {
	kind, size, err := s.header()
	if err != nil {
		return 0, err
	}
	delta := false
	switch kind {
	case 1, 2, 3, 4: // commit, tree, blob, tag
	case 6: // delta to an object at an offset
		delta = true
		_, err = s.varint()
	case 7: // delta to a named object
		delta = true
		var base plumbing.Hash
		_, err = io.ReadFull(s.in, base[:])
		s.bases[base] = true
	default:
		err = fmt.Errorf("%w: it has an object of kind %d", errPack, kind)
	}
	if err != nil {
		return 0, broken(err)
	}
	return s.body(size, delta)
}

// header reads an object's kind, and the size of what follows, inflated.
func (s *scanner) header() (kind byte, size int64, err error) {
	b, err := s.in.ReadByte()
	if err != nil {
		return 0, 0, broken(err)
	}
	kind, size = b>>4&7, int64(b&15)
	for shift := 4; b&0x80 != 0; shift += 7 {
		if b, err = s.in.ReadByte(); err != nil {
			return 0, 0, broken(err)
		}
		if shift > 56 {
			return 0, 0, fmt.Errorf("%w: a size of more than 63 bits", errPack)
		}
		size |= int64(b&0x7f) << shift
	}
	if size > s.most {
		return 0, 0, tooMuch("an object of %d bytes, at most %d are accepted (hint: have Nix fetch such a file)", size, s.most)
	}
	return kind, size, nil
}

// varint skips a number of any length that a pack may hold.
func (s *scanner) varint() (n int, err error) {
	for n = 1; ; n++ {
		b, err := s.in.ReadByte()
		if err != nil || b&0x80 == 0 {
			return n, err
		}
		if n == 10 {
			return n, fmt.Errorf("%w: an offset of more than 64 bits", errPack)
		}
	}
}

// body inflates an object and returns its size; of a delta, that of its result.
func (s *scanner) body(size int64, delta bool) (int64, error) {
	if err := s.begin(); err != nil {
		return 0, err
	}
	result, read := size, int64(0)
	for {
		n, err := io.ReadFull(s.inflate, s.chunk)
		if delta && read == 0 {
			if result, err = deltaResult(s.chunk[:n], err); err != nil && !ended(err) {
				return 0, err
			}
		}
		if read += int64(n); read > size {
			return 0, fmt.Errorf("%w: an object is larger than it says", errPack)
		}
		if ended(err) {
			break
		}
		if err != nil {
			return 0, fmt.Errorf("%w: %w", errPack, err)
		}
	}
	if read != size {
		return 0, fmt.Errorf("%w: an object is smaller than it says", errPack)
	}
	return result, nil
}

// begin begins to inflate an object.
func (s *scanner) begin() (err error) {
	if s.inflate == nil {
		s.inflate, err = zlib.NewReader(s.in)
	} else {
		err = s.inflate.(zlib.Resetter).Reset(s.in, nil)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errPack, broken(err))
	}
	return nil
}

func ended(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }

// deltaResult reads the two sizes at the start of a delta: of the base, and of
// what it makes. The error it was given comes back when there is none of its own.
func deltaResult(start []byte, err error) (int64, error) {
	size, bad := deltaSize(start)
	if bad != nil {
		return 0, bad
	}
	if size > maxObject {
		return 0, tooMuch("a delta that makes %d bytes, at most %d are accepted (hint: have Nix fetch such a file)", size, maxObject)
	}
	return size, err
}

// deltaSize reads the size of what a delta makes.
func deltaSize(delta []byte) (int64, error) {
	_, n := binary.Uvarint(delta)
	if n <= 0 {
		return 0, fmt.Errorf("%w: a delta without sizes", errPack)
	}
	size, m := binary.Uvarint(delta[n:])
	if m <= 0 {
		return 0, fmt.Errorf("%w: a delta without sizes", errPack)
	}
	return int64(min(size, 1<<62)), nil
}
