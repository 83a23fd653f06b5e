package source

import (
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/infra-agent/infra-agent/reconcile"
)

// longAgo is the time of files that were not written since.
var longAgo = time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)

// age gives all files that time.
func (w *world) age() {
	w.t.Helper()
	w.run(w.tree, "find", ".", "-exec", "touch", "-h", "-d", longAgo.Format(time.RFC3339), "{}", "+")
}

// What is the same in the next commit is not written again.
func TestTreeIsChangedInPlace(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"a", "d/b", "d/e/c", "gone", "dir/gone"} {
		w.write(name, name)
	}
	w.run(w.work, "ln", "-s", "a", "link")
	anchor := w.pushed("changed", "1")
	w.mustFetch(anchor, "")
	w.age()
	w.git("rm", "-q", "-r", "gone", "dir")
	if err := os.Chmod(filepath.Join(w.work, "d/b"), 0o755); err != nil {
		t.Fatal(err)
	}
	w.write("d/new", "new")
	tip := w.pushed("changed", "2")
	w.mustFetch(tip, anchor)
	var same []string
	for _, name := range []string{"a", "d/b", "d/e/c", "link", "changed"} {
		if info, err := os.Lstat(filepath.Join(w.tree, name)); err == nil && info.ModTime().Equal(longAgo) {
			same = append(same, name)
		}
	}
	if got := strings.Join(same, " "); got != "a d/e/c link" {
		t.Errorf("%s are as they were, want a d/e/c link", got)
	}

	t.Log("a directory that somebody was interrupted in is written anew")
	if err := os.Remove(filepath.Join(filepath.Dir(w.tree), "list.json")); err != nil {
		t.Fatal(err)
	}
	w.write("d/stray", "x")
	if err := os.WriteFile(filepath.Join(w.tree, "stray"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.mustFetch(w.pushed("changed", "3"), tip)
}

// Whatever was there becomes whatever is wanted.
func TestEveryKindBecomesEveryOther(t *testing.T) {
	kinds := []struct {
		name string
		make func(w, lib *world)
	}{
		{"nothing", func(*world, *world) {}},
		{"file", func(w, _ *world) { w.write("x", "1") }},
		{"program", func(w, _ *world) { w.write("x", "1"); w.run(w.work, "chmod", "+x", "x") }},
		{"link", func(w, _ *world) { w.run(w.work, "ln", "-s", "d", "x") }},
		{"directory", func(w, _ *world) { w.write("x/f", "of the library"); w.write("x/y/f", "1") }},
		{"submodule", func(w, lib *world) { w.pin("x", "../lib.git", lib.head()) }},
		{"pointer", func(w, _ *world) { w.write("x", "version https://git-lfs.github.com/spec/v1\n") }},
		{"attributes", func(w, _ *world) { w.write("x/.gitattributes", "* filter=y\n") }},
	}
	for _, from := range kinds {
		t.Run(from.name, func(t *testing.T) {
			w := newModuleWorld(t)
			lib := w.beside("lib")
			lib.write("y/f", "2")
			lib.pushed("f", "of the library")
			w.write("d/y/f", "what a link must not lead to")
			anchor := reconcile.Commit("")
			for _, to := range kinds {
				for _, kind := range []func(w, lib *world){from.make, to.make} {
					w.run(w.work, "rm", "-rf", "x", ".gitmodules")
					w.git("rm", "-q", "-r", "--cached", "--ignore-unmatch", "x")
					kind(w, lib)
					tip := w.pushed("count", anchor.Short())
					if _, err := w.fetch(tip, anchor); err != nil {
						t.Fatalf("%s to %s: %v", from.name, to.name, err)
					}
					w.sameCheckout()
					anchor = tip
				}
			}
		})
	}
}

// The settings may change between two commits.
func TestSettingsOfTheCheckoutChange(t *testing.T) {
	w, l := newLFSWorld(t)
	lib := w.beside("lib")
	l.stow(w, "a.bin", "content")
	w.commit("a", "1")
	anchor := w.pinned("lib", "../lib.git", lib.pushed("f", "1"))
	for i, c := range []Checkout{{}, {LFS: true}, {Submodules: SubmodulesFetch}, {LFS: true, Submodules: SubmodulesFetch}, {}, {LFS: true, Submodules: SubmodulesFetch}} {
		w.fetcher.opts.Checkout = c
		got, err := w.fetch(anchor, "")
		if err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(filepath.Join(w.tree, "a.bin"))
		module, _ := os.ReadDir(filepath.Join(w.tree, "lib"))
		if err != nil || (string(content) == "content") != c.LFS || (len(module) == 1) != (c.Submodules == SubmodulesFetch) {
			t.Errorf("%d, %+v: %q (%v) and %v", i, c, content, err, module)
		}
		want := 2
		if c.LFS {
			want--
		}
		if c.Submodules == SubmodulesFetch {
			want--
		}
		if len(got.Warnings) != want {
			t.Errorf("%d, %+v: Warnings = %q, want %d", i, c, got.Warnings, want)
		}
	}
}

// What the child says of the files is not believed: the agent's own process computes the
// commit's name of what Nix gets.
func TestVerify(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil string // a script in the tree
	}{
		{"another content", "echo 2 >a"},
		{"a file too many", "echo 2 >b"},
		{"a file in an empty submodule", "echo 2 >lib/b"},
		{"a directory too many", "mkdir b"},
		{"a file too few", "rm d/f"},
		{"another mode", "chmod +x a"},
		{"another target", "ln -sf b link"},
		{"a link in place of the file that it leads to", "mv a b; ln -s b a"},
		{"a pipe", "rm a; mkfifo a"},
		{"another proof", `sed -i 's/"Commit":"..../"Commit":"AAAA/' ../proof.json`},
		{"no proof", "rm ../proof.json"},
		{"a proof that is none", "echo x >../proof.json"},
		{"a submodule that is none", `sed -i 's/"Links":\[/&{"Path":"ZA==","Name":"1111111111111111111111111111111111111111","Commit":null},/' ../proof.json`},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.write("d/f", "1")
			w.run(w.work, "ln", "-s", "a", "link")
			w.commit("a", "1\n")
			tip := w.pinned("lib", "../lib.git", somewhere)
			got, err := w.fetch(tip, "")
			if err != nil {
				t.Fatal(err)
			}
			w.run(w.tree, "sh", "-c", c.spoil)
			if err := w.fetcher.Verify(got, got.Tree); err == nil {
				t.Fatal("it is verified")
			}
			t.Log("the next fetch starts from nothing, and is right")
			if _, err := w.fetch(tip, ""); err != nil {
				t.Error(err)
			}
		})
	}
}

// A store that has grown is made smaller of what is there.
func TestCompactFetchesNothing(t *testing.T) {
	w := newWorld(t)
	w.write("stays", random(400<<10))
	w.write("sub/stays", "too")
	anchor := w.pushed("a", "1")
	w.mustFetch(anchor, "")
	first := anchor
	var packs, most int
	git := w.handler
	w.handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, uploadPack) {
			packs++
		}
		git.ServeHTTP(rw, r)
	})
	for i := range 6 {
		content := make([]byte, 300<<10)
		_, _ = rand.NewChaCha8([32]byte{byte(i)}).Read(content)
		tip := w.pushed("a", string(content))
		w.mustFetch(tip, anchor)
		anchor = tip
		if packs != i+1 {
			t.Errorf("%d packs were fetched for %d commits", packs, i+1)
		}
		stored, err := filepath.Glob(filepath.Join(w.store, "objects/pack/*.pack"))
		if err != nil {
			t.Fatal(err)
		}
		most = max(most, len(stored))
	}
	if most > 4 {
		t.Errorf("the store had %d packs, want it to be made smaller at 3 times its size", most)
	}
	w.wholeTip()
	if got := w.mustFetch(w.pushed("a", "last"), first); got.Commits != 7 {
		t.Errorf("Commits = %d, want 7: the commits before the tip are still there", got.Commits)
	}
}
