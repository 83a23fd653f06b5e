package source

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/infra-agent/infra-agent/reconcile"
)

var roomy = Limits{TreeBytes: 1 << 20, TreeEntries: 1000, FetchBytes: 1 << 20}

func scanBytes(pack []byte, l Limits) error {
	_, err := scan(bufio.NewReader(bytes.NewReader(pack)), l)
	return err
}

// A packed object for pack, with the size that it claims.
type packed struct {
	kind    byte
	claims  int
	between []byte // base of a delta
	content []byte
}

// pack writes a pack by hand, gitformat-pack(5).
func pack(count uint32, objects ...packed) []byte {
	var b bytes.Buffer
	b.WriteString("PACK\x00\x00\x00\x02")
	_ = binary.Write(&b, binary.BigEndian, count)
	z := zlib.NewWriter(nil)
	for _, o := range objects {
		first, rest := o.kind<<4|byte(o.claims&15), o.claims>>4
		for rest > 0 {
			b.WriteByte(first | 0x80)
			first, rest = byte(rest&0x7f), rest>>7
		}
		b.WriteByte(first)
		b.Write(o.between)
		z.Reset(&b)
		_, _ = z.Write(o.content)
		_ = z.Close()
	}
	sum := sha1.Sum(b.Bytes())
	return append(b.Bytes(), sum[:]...)
}

func blob(content string) packed { return packed{3, len(content), nil, []byte(content)} }

func TestScanAcceptsWhatGitPacks(t *testing.T) {
	w := newWorld(t)
	long := strings.Repeat("a line that is there again and again\n", 200)
	for i := range 20 {
		w.commit("file", long+string(rune('a'+i))+"\n"+long)
	}
	w.push()
	for _, args := range [][]string{{"--all"}, {"--all", "--thin", "--delta-base-offset"}, {"--all", "--no-reuse-delta", "--window=50"}} {
		out := w.run(w.bare, append([]string{"sh", "-c", `git pack-objects --stdout --revs -q "$@" </dev/null >scanned.pack; git index-pack -o scanned.idx scanned.pack; rm scanned.idx`, "sh"}, args...)...)
		data, err := os.ReadFile(w.bare + "/scanned.pack")
		if err != nil {
			t.Fatal(err)
		}
		if err := scanBytes(data, roomy); err != nil {
			t.Errorf("scan of git pack-objects %v (%d bytes, %s): %v", args, len(data), out, err)
		}
	}
}

func TestScanRefusesHostilePacks(t *testing.T) {
	t.Parallel()
	huge := binary.AppendUvarint(binary.AppendUvarint(nil, 10), 1<<40)
	zeros := strings.Repeat("\x00", 5<<20)
	name := make([]byte, 20)
	for _, c := range []struct {
		name  string
		pack  []byte
		limit bool // it is over a limit, not malformed
		want  string
	}{
		{"claims 2^32-1 objects", pack(1<<32 - 1), true, "4294967295 objects, at most 24384 are accepted (hint: if that is right, raise limits.tree_entries)"},
		{"object that claims a gigabyte", pack(1, packed{3, 1 << 30, nil, nil}), true, "an object of 1073741824 bytes"},
		{"delta that makes a terabyte", pack(1, packed{7, len(huge), name, huge}), true, "a delta that makes 1099511627776 bytes"},
		{"more than the tree may have", pack(2, blob(zeros), blob(zeros)), true, "more than 8388608 bytes when it is unpacked (hint: if that is right, raise limits.tree_bytes)"},
		{"object larger than it says", pack(1, packed{3, 10, nil, []byte("twelve bytes")}), false, "larger than it says"},
		{"object smaller than it says", pack(1, packed{3, 13, nil, []byte("twelve bytes")}), false, "smaller than it says"},
		{"unknown kind", pack(1, packed{5, 1, nil, []byte("a")}), false, "kind 5"},
		{"fewer objects than it says", pack(2, blob("a")), false, "no valid pack"},
		{"more objects than it says", pack(1, blob("a"), blob("b")), false, "something follows it"},
		{"delta without sizes", pack(1, packed{7, 1, name, []byte{0x80}}), false, "without sizes"},
		{"endless size", append([]byte("PACK\x00\x00\x00\x02\x00\x00\x00\x01"), bytes.Repeat([]byte{0xff}, 100)...), false, "more than 63 bits"},
		{"endless offset", append([]byte("PACK\x00\x00\x00\x02\x00\x00\x00\x01\x61"), bytes.Repeat([]byte{0xff}, 100)...), false, "more than 64 bits"},
		{"no pack", []byte("<html>nothing here</html>"), false, "no valid pack"},
		{"version 3", []byte("PACK\x00\x00\x00\x03\x00\x00\x00\x00"), false, "no valid pack"},
		{"nothing", nil, false, "ends early"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := scanBytes(c.pack, roomy)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("scan: %v, want an error that says %q", err, c.want)
			}
			if gate, limit := reconcile.RejectedBy(err); limit != c.limit || limit && gate != reconcile.GateUnverified {
				t.Errorf("scan: rejected by %q, want rejected: %v", gate, c.limit)
			}
			if !c.limit && !errors.Is(err, errPack) {
				t.Errorf("scan: %v, want errPack", err)
			}
		})
	}
}

func TestScanOfEveryTruncation(t *testing.T) {
	t.Parallel()
	whole := pack(2, blob("first"), blob("second"))
	if err := scanBytes(whole, roomy); err != nil {
		t.Fatalf("scan of the whole pack: %v", err)
	}
	for n := range whole {
		if err := scanBytes(whole[:n], roomy); !errors.Is(err, errPack) {
			t.Errorf("scan of the first %d of %d bytes: %v, want errPack", n, len(whole), err)
		}
	}
}

func TestScanKeepsNothing(t *testing.T) {
	allocs := func(objects int) float64 {
		var all []packed
		for range objects {
			all = append(all, blob("content"))
		}
		data := pack(uint32(objects), all...)
		return testing.AllocsPerRun(5, func() {
			if err := scanBytes(data, roomy); err != nil {
				t.Fatal(err)
			}
		})
	}
	// compress/zlib takes one small piece of memory for each reset.
	if few, many := allocs(10), allocs(2000); many-few > 2000 {
		t.Errorf("%v allocations for 2000 objects, %v for 10: want one more for each at most", many, few)
	}
}

func TestSpoolLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	good := pack(1, blob("a"))
	f, _, err := spool(bytes.NewReader(good), dir, roomy)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(f)
	if err != nil || !bytes.Equal(got, good) {
		t.Errorf("the spooled pack is %d bytes, %v, want the %d that came", len(got), err, len(good))
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if _, _, err := spool(bytes.NewReader(good[:20]), dir, roomy); err == nil {
		t.Error("spool accepts half a pack")
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v, want nothing", left, err)
	}
}

func FuzzScan(f *testing.F) {
	f.Add(pack(1, blob("a")))
	f.Add(pack(1, packed{7, 3, make([]byte, 20), []byte{1, 1, 1}}))
	f.Add([]byte("PACK\x00\x00\x00\x02\x00\x00\x00\x01\x61\xff"))
	f.Fuzz(func(_ *testing.T, data []byte) { _ = scanBytes(data, roomy) })
}
