package source

import (
	"bytes"
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/infra-agent/infra-agent/reconcile"
)

func TestLostStoreShowsAncestryByDeepening(t *testing.T) {
	w := newWorld(t)
	w.commit("a", "start")
	anchor := w.pushed("a", "0")
	w.mustFetch(anchor, "")
	for i := range 40 { // more than the first step of deepening
		w.commit("a", strconv.Itoa(i+1))
	}
	w.push()
	if err := os.RemoveAll(w.store); err != nil {
		t.Fatal(err)
	}
	if got := w.mustFetch(w.head(), anchor); got.Commits != 40 {
		t.Errorf("Commits = %d, want 40", got.Commits)
	}
	w.wholeTip()
	w.pushed("a", "and on")
	w.mustFetch(w.head(), anchor)

	if err := os.RemoveAll(w.store); err != nil {
		t.Fatal(err)
	}
	_, err := w.fetch(w.head(), reconcile.Commit(strings.Repeat("1", 40)))
	wantRejected(t, err, reconcile.GateUnverified, "diverged")
}

func TestDamagedStoreHeals(t *testing.T) {
	for _, c := range []struct {
		name   string
		damage func(t *testing.T, w *world)
	}{
		{"truncated pack", func(t *testing.T, w *world) { eachFile(t, w.store, ".pack", truncate) }},
		{"empty pack", func(t *testing.T, w *world) {
			eachFile(t, w.store, ".pack", func(p string, _ int64) error { return os.Truncate(p, 0) })
		}},
		{"truncated index", func(t *testing.T, w *world) { eachFile(t, w.store, ".idx", truncate) }},
		{"no pack", func(t *testing.T, w *world) {
			eachFile(t, w.store, ".pack", func(p string, _ int64) error { return os.Remove(p) })
		}},
		{"shallow file lost", func(t *testing.T, w *world) {
			if err := os.Remove(w.store + "/shallow"); err != nil {
				t.Fatal(err)
			}
		}},
		{"shallow file is nonsense", func(t *testing.T, w *world) {
			if err := os.WriteFile(w.store+"/shallow", []byte("nonsense\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}},
		{"a file instead of the store", func(t *testing.T, w *world) {
			if err := errors.Join(os.RemoveAll(w.store), os.WriteFile(w.store, nil, 0o600)); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.commit("a", random(3000))
			anchor := w.pushed("b", random(3000))
			w.mustFetch(anchor, "")
			c.damage(t, w)
			w.mustFetch(w.pushed("c", "new"), anchor)

			t.Log("also where all of it is needed again")
			if err := os.RemoveAll(filepath.Dir(w.tree)); err != nil {
				t.Fatal(err)
			}
			w.mustFetch(w.head(), anchor)
			w.wholeTip()
		})
	}
}

func TestStoreOfManyPacksIsReplaced(t *testing.T) {
	w := newWorld(t)
	anchor := w.pushed("a", "1")
	w.mustFetch(anchor, "")
	w.run(w.store, "sh", "-c", "for i in $(seq 50); do echo $i | git hash-object -w --stdin | git pack-objects -q objects/pack/pack; done")
	tip := w.pushed("a", "2")
	w.mustFetch(tip, anchor)
	if n := w.run(w.store, "git", "rev-list", "--count", "--all"); n != "2" {
		t.Errorf("commits in the new store = %s, want both", n)
	}
	packs, err := filepath.Glob(w.store + "/objects/pack/*.pack")
	if err != nil || len(packs) != 1 {
		t.Errorf("packs = %d (%v), want 1", len(packs), err)
	}
	w.mustFetch(w.pushed("a", "3"), tip)
	w.mustFetch(w.pushed("a", "4"), anchor) // which the new store does not have
}

func TestStoreThatHasGrownIsReplaced(t *testing.T) {
	w := newWorld(t)
	anchor := w.pushed("a", random(400<<10))
	w.mustFetch(anchor, "")
	content, at := random(2<<20), 400<<10
	for _, c := range []struct {
		bytes int
		packs int
	}{
		{100 << 10, 2}, // little more than at first
		{600 << 10, 3}, // 1.1 MB, less than three times
		{200 << 10, 1}, // more
		{100 << 10, 2},
	} {
		tip := w.pushed("a", content[at:at+c.bytes])
		at += c.bytes
		w.mustFetch(tip, anchor)
		anchor = tip
		packs, err := filepath.Glob(w.store + "/objects/pack/*.pack")
		if err != nil || len(packs) != c.packs {
			t.Errorf("after %d more bytes: %d packs (%v), want %d", c.bytes, len(packs), err, c.packs)
		}
	}
}

// An index that leads to another object of the same kind, as a damaged disk may
// make it.
func TestObjectOfAnotherName(t *testing.T) {
	w := newWorld(t)
	w.write("one/a", "1")
	w.write("two/a", "2")
	first := w.pushed("x", "3")
	for _, c := range []struct{ kind, a, b string }{
		{"blob", "HEAD:one/a", "HEAD:two/a"},
		{"tree", "HEAD:one", "HEAD:two"},
		{"tree at the root", "HEAD:", "HEAD:one"},
		{"commit", "HEAD", "HEAD~1"},
	} {
		if err := os.RemoveAll(w.store); err != nil {
			t.Fatal(err)
		}
		w.mustFetch(first, "")
		tip := w.pushed("y", c.kind)
		w.mustFetch(tip, first)
		w.run(w.store, "sh", "-c", "git repack -adfq; chmod u+w objects/pack/*")
		eachFile(t, w.store, ".idx", func(path string, _ int64) error {
			return swap(path, w.git("rev-parse", c.a), w.git("rev-parse", c.b))
		})
		if _, err := w.fetch(tip, first); err != nil {
			t.Errorf("%s: Fetch: %v", c.kind, err)
		}
		w.sameTree(tip)
		first = tip
	}
}

// swap exchanges the offsets of two objects in an index, gitformat-pack(5).
func swap(path, a, b string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	const head = 8 + 256*4
	n := int(binary.BigEndian.Uint32(data[head-4:]))
	place := func(name string) []byte {
		raw := plumbing.NewHash(name)
		i := bytes.Index(data[head:head+20*n], raw[:]) / 20
		return data[head+24*n+4*i:][:4]
	}
	x, y := place(a), place(b)
	for i := range x {
		x[i], y[i] = y[i], x[i]
	}
	end := len(data) - sha1.Size
	sum := sha1.Sum(data[:end])
	copy(data[end:], sum[:])
	return os.WriteFile(path, data, 0o600)
}

// Whatever bit of the store is wrong, the tree is right or the store is fetched anew.
func TestEveryBitCounts(t *testing.T) {
	w := newWorld(t)
	w.write("dir/b", random(300))
	w.write("run", "#!/bin/sh\n")
	anchor := w.pushed("a", "1 "+random(200))
	w.mustFetch(anchor, "")
	good := w.store + ".good"
	w.run(w.work, "cp", "-a", w.store, good)
	tip := w.pushed("c", "2")
	files, err := filepath.Glob(good + "/objects/pack/*")
	if err != nil {
		t.Fatal(err)
	}
	const tries = 5 // of each file: a change costs two fetches
	for _, file := range append(files, good+"/shallow", good+"/HEAD", good+"/config", good+"/refs/infra-agent/fetched") {
		whole, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		rel := strings.TrimPrefix(file, good)
		step := max(1, len(whole)/tries)
		for at := 0; at < len(whole); at += step {
			w.run(w.work, "sh", "-c", "rm -rf "+w.store+" && cp -a "+good+" "+w.store)
			broken := append([]byte(nil), whole...)
			broken[at] ^= 0x10
			if err := errors.Join(os.Chmod(w.store+rel, 0o600), os.WriteFile(w.store+rel, broken, 0o600)); err != nil {
				t.Fatal(err)
			}
			for _, c := range []struct{ tip, anchor reconcile.Commit }{{tip, anchor}, {tip, tip}} {
				if _, err := w.fetch(c.tip, c.anchor); err != nil {
					t.Errorf("%s with byte %d changed: Fetch: %v", rel, at, err)
				}
				w.sameTree(tip)
			}
		}
	}
}

func truncate(path string, size int64) error { return os.Truncate(path, size/2) }

func eachFile(t *testing.T, dir, suffix string, do func(path string, size int64) error) {
	t.Helper()
	files, err := filepath.Glob(dir + "/objects/pack/*" + suffix)
	if err != nil || len(files) == 0 {
		t.Fatalf("no *%s in the store (%v)", suffix, err)
	}
	for _, path := range files {
		info, err := os.Stat(path)
		if err == nil {
			err = os.Chmod(path, 0o600)
		}
		if err == nil {
			err = do(path, info.Size())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// A store that makes the git library crash is tried without, once.
func TestAStoreThatCrashesTheChild(t *testing.T) {
	w := newWorld(t)
	tip := w.pushed("a", "1")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	w.fetcher.opts.Child = []string{"/bin/sh", "-c", `job=$(cat); case $job in *'"Anew":true'*) ;; *) echo "panic: index out of range" >&2; exit 2;; esac; printf %s "$job" | exec ` + self}
	w.mustFetch(tip, "")
}

func TestADateThatCannotBeRight(t *testing.T) {
	w := newWorld(t)
	w.commit("a", "1")
	raw := w.git("cat-file", "commit", "HEAD") + "\n"
	head, rest, _ := strings.Cut(raw, "\ncommitter ")
	_, message, _ := strings.Cut(rest, "\n")
	file := filepath.Join(t.TempDir(), "commit")
	if err := os.WriteFile(file, []byte(head+"\ncommitter a <a@example.org> 300000000000 +0000\n"+message), 0o600); err != nil {
		t.Fatal(err)
	}
	tip := reconcile.Commit(w.git("hash-object", "-w", "-t", "commit", "--literally", file))
	w.git("push", "-q", "-f", "origin", string(tip)+":refs/heads/main")
	_, err := w.fetch(tip, "")
	wantRejected(t, err, reconcile.GateUnverified, "its date, year 11476, cannot be right")
}
