package source

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

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
	w.run(w.store, "git", "fsck", "--connectivity-only", "--no-dangling")
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
			w.run(w.store, "git", "fsck", "--no-dangling")
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
	if n := w.run(w.store, "git", "rev-list", "--count", "--all"); n != "1" {
		t.Errorf("commits in the new store = %s, want 1", n)
	}
	packs, err := filepath.Glob(w.store + "/objects/pack/*.pack")
	if err != nil || len(packs) != 1 {
		t.Errorf("packs = %d (%v), want 1", len(packs), err)
	}
	w.mustFetch(w.pushed("a", "3"), tip)
	w.mustFetch(w.pushed("a", "4"), anchor) // which the new store does not have
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
