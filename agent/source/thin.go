package source

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/go-git/go-git/v5/plumbing"
)

// A thin pack has deltas to objects that the receiver has already, and the pack has not:
// of a large file one line of which changed, that line. go-git stores whole packs only, so
// the missing objects are put behind the others, as "git index-pack --fix-thin" does.

// complete adds the bases that the store has to the pack in f, and leaves f rewound. What the
// store has not may be in the pack itself.
func complete(f *os.File, bases map[plumbing.Hash]bool, s *store, l Limits) error {
	end, err := f.Seek(-sha1.Size, io.SeekEnd)
	if err != nil {
		return fmt.Errorf("complete the pack: %w", err)
	}
	if err := sameSum(f, end); err != nil {
		return err
	}
	if _, err := f.Seek(end, io.SeekStart); err != nil {
		return fmt.Errorf("complete the pack: %w", err)
	}
	added, total := uint32(0), int64(0)
	out := bufio.NewWriter(f)
	for base := range bases {
		o, err := s.EncodedObject(plumbing.AnyObject, base)
		if errors.Is(err, plumbing.ErrObjectNotFound) {
			continue
		}
		if err != nil {
			return &damagedError{err}
		}
		if total += o.Size(); total > inflations*l.TreeBytes {
			return tooMuch("deltas to more than %d bytes (hint: if that is right, raise limits.tree_bytes)", inflations*l.TreeBytes)
		}
		if err := appendObject(out, o); err != nil {
			return err
		}
		added++
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("complete the pack: %w", err)
	}
	return seal(f, added)
}

// sameSum compares the sum that the remote sent with that of the pack.
func sameSum(f *os.File, end int64) error {
	sent := make([]byte, sha1.Size)
	if _, err := f.ReadAt(sent, end); err != nil {
		return fmt.Errorf("complete the pack: %w", err)
	}
	sum, err := sumOf(f, end)
	if err == nil && !bytes.Equal(sum, sent) {
		err = fmt.Errorf("%w: its sum is another one", errPack)
	}
	return err
}

func sumOf(f *os.File, end int64) ([]byte, error) {
	sum := sha1.New()
	if _, err := io.Copy(sum, io.NewSectionReader(f, 0, end)); err != nil {
		return nil, fmt.Errorf("read the pack: %w", err)
	}
	return sum.Sum(nil), nil
}

// appendObject writes one whole object, gitformat-pack(5).
func appendObject(out *bufio.Writer, o plumbing.EncodedObject) error {
	first, rest := byte(o.Type())<<4|byte(o.Size()&15), uint64(o.Size())>>4
	for ; rest > 0; rest >>= 7 {
		_ = out.WriteByte(first | 0x80) // the last Flush says what went wrong
		first = byte(rest & 0x7f)
	}
	_ = out.WriteByte(first)
	r, err := o.Reader()
	if err != nil {
		return &damagedError{err}
	}
	defer r.Close()
	deflate := zlib.NewWriter(out)
	if n, err := io.Copy(deflate, r); err != nil || n != o.Size() {
		return &damagedError{fmt.Errorf("%s: %d of %d bytes: %w", o.Hash(), n, o.Size(), err)}
	}
	return deflate.Close()
}

// seal corrects how many objects the pack has, and its sum, and rewinds it.
func seal(f *os.File, added uint32) error {
	var count [4]byte
	end, err := f.Seek(0, io.SeekEnd)
	if err == nil {
		_, err = f.ReadAt(count[:], 8)
	}
	if err == nil {
		binary.BigEndian.PutUint32(count[:], binary.BigEndian.Uint32(count[:])+added)
		_, err = f.WriteAt(count[:], 8)
	}
	if err != nil {
		return fmt.Errorf("complete the pack: %w", err)
	}
	sum, err := sumOf(f, end)
	if err != nil {
		return err
	}
	if _, err = f.WriteAt(sum, end); err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return fmt.Errorf("complete the pack: %w", err)
	}
	return nil
}
