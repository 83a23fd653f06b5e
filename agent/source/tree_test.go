package source

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"

	"github.com/infra-agent/infra-agent/reconcile"
)

// An entry of a tree object, written by hand: git itself refuses most of these.
type entry struct{ mode, name, content string }

// blob stores an object in s.
func stow(t *testing.T, s *store, kind plumbing.ObjectType, content string) plumbing.Hash {
	t.Helper()
	o := s.NewEncodedObject()
	o.SetType(kind)
	out, err := o.Writer()
	if err == nil {
		_, err = out.Write([]byte(content))
	}
	if err != nil {
		t.Fatal(err)
	}
	h, err := s.SetEncodedObject(o)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// tree stores the raw tree object of entries.
func tree(t *testing.T, s *store, entries ...entry) plumbing.Hash {
	t.Helper()
	var raw strings.Builder
	for _, e := range entries {
		h := plumbing.NewHash(e.content) // of a directory or submodule
		if mode, err := filemode.New(e.mode); err == nil && mode.IsFile() {
			h = stow(t, s, plumbing.BlobObject, e.content)
		}
		raw.WriteString(e.mode + " " + e.name + "\x00" + string(h[:]))
	}
	return stow(t, s, plumbing.TreeObject, raw.String())
}

// written writes a tree as a fetch does, into dir.
func written(t *testing.T, s *store, tree plumbing.Hash, dir string, limits Limits) (warnings []string, err error) {
	t.Helper()
	const who = "a <a@example.org> 1700000000 +0000\n"
	commit := stow(t, s, plumbing.CommitObject, "tree "+tree.String()+"\nauthor "+who+"committer "+who+"\nx\n")
	warnings, _, err = job{Dir: dir, Limits: limits}.writeTree(t.Context(), s, commit)
	return warnings, err
}

func TestHostileTrees(t *testing.T) {
	for _, c := range []struct {
		name    string
		entries []entry
		want    string
	}{
		{"parent", []entry{{"100644", "..", "x"}}, `the name ".."`},
		{"itself", []entry{{"100644", ".", "x"}}, `the name "."`},
		{"empty name", []entry{{"100644", "", "x"}}, "empty filename"},
		{"absolute", []entry{{"100644", "/etc/passwd", "x"}}, `the name "/etc/passwd"`},
		{"slash", []entry{{"100644", "a/../../x", "x"}}, `the name "a/../../x"`},
		{"repository", []entry{{"100644", ".git", "x"}}, `the name ".git"`},
		{"repository in capitals", []entry{{"100644", ".GIT", "x"}}, `the name ".GIT"`},
		{"long name", []entry{{"100644", strings.Repeat("a", 256), "x"}}, "cannot be written"},
		{"twice", []entry{{"100644", "a", "x"}, {"100644", "a", "y"}}, `"a" is in the tree twice`},
		{"a link, then a directory of its name", []entry{{"120000", "a", "/tmp"}, {"40000", "a", ""}}, `"a" is in the tree twice`},
		{"link to nowhere", []entry{{"120000", "a", ""}}, `the symbolic link "a"`},
		{"long link", []entry{{"120000", "a", strings.Repeat("x", 5000)}}, `the symbolic link "a"`},
		{"link with NUL", []entry{{"120000", "a", "x\x00y"}}, `the symbolic link "a"`},
		{"many entries", make100(), "more than 50 files and directories (hint: if that is right, raise limits.tree_entries)"},
		{"many bytes", []entry{{"100644", "a", strings.Repeat("x", 4000)}, {"100644", "b", strings.Repeat("y", 4000)}}, "more than 6000 bytes (hint: if that is right, raise limits.tree_bytes)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := openStore(filepath.Join(t.TempDir(), "git"))
			if err != nil {
				t.Fatal(err)
			}
			outside := t.TempDir()
			root := tree(t, s, c.entries...)
			_, err = written(t, s, root, outside, Limits{TreeBytes: 6000, TreeEntries: 50})
			wantRejected(t, err, reconcile.GateUnverified, c.want)
			if files, err := os.ReadDir(outside); err != nil || len(files) > 1 || len(files) == 1 && files[0].Name() != "tree" {
				t.Errorf("beside the tree: %v (%v), want nothing", files, err)
			}
		})
	}
}

func make100() []entry {
	var entries []entry
	for i := range 100 {
		entries = append(entries, entry{"100644", "f" + strconv.Itoa(i), ""})
	}
	return entries
}

// A tree that contains itself many times over is small in git and endless on disk.
func TestTreeBomb(t *testing.T) {
	s, err := openStore(filepath.Join(t.TempDir(), "git"))
	if err != nil {
		t.Fatal(err)
	}
	bomb := tree(t, s, entry{"100644", "f", "x"})
	for range 10 {
		var ten []entry
		for i := range 10 {
			ten = append(ten, entry{"40000", "d" + strconv.Itoa(i), bomb.String()})
		}
		bomb = tree(t, s, ten...)
	}
	_, err = written(t, s, bomb, t.TempDir(), Limits{TreeBytes: 1 << 20, TreeEntries: 2000})
	wantRejected(t, err, reconcile.GateUnverified, "limits.tree_entries")

	deep := tree(t, s, entry{"100644", "f", "x"})
	for range 100 {
		deep = tree(t, s, entry{"40000", strings.Repeat("d", 100), deep.String()})
	}
	_, err = written(t, s, deep, t.TempDir(), Limits{TreeBytes: 1 << 20, TreeEntries: 2000})
	wantRejected(t, err, reconcile.GateUnverified, "a path is longer than 4000 bytes")

	deep = tree(t, s, entry{"100644", "f", "x"})
	for range 300 {
		deep = tree(t, s, entry{"40000", "d", deep.String()})
	}
	_, err = written(t, s, deep, t.TempDir(), Limits{TreeBytes: 1 << 20, TreeEntries: 2000})
	wantRejected(t, err, reconcile.GateUnverified, "directories are more than 200 levels deep")
}

func TestMissingObjectsAreDamage(t *testing.T) {
	s, err := openStore(filepath.Join(t.TempDir(), "git"))
	if err != nil {
		t.Fatal(err)
	}
	root := tree(t, s, entry{"40000", "gone", "1111111111111111111111111111111111111111"})
	_, err = written(t, s, root, t.TempDir(), Limits{TreeBytes: 1000, TreeEntries: 50})
	if _, ok := reconcile.RejectedBy(err); ok || err == nil || !strings.Contains(err.Error(), "tree of gone: read the git store: tree 1111111111") {
		t.Errorf("writeTree: %v, want damage of the store", err)
	}
}

// Links are written as they are, and modes are only those that git knows.
func TestLinksAndModes(t *testing.T) {
	w := newWorld(t)
	w.write("dir/plain", "1")
	w.write("dir/run", "#!/bin/sh\n")
	w.write("empty", "")
	w.write("large", random(1<<20-1000))
	w.write("ünï \"cödé\"", "2")
	w.write(".gitattributes", "dir/plain export-ignore\n* text eol=crlf\n")
	for name, target := range map[string]string{
		"absolute": "/etc/passwd", "outside": "../../../etc", "dangling": "none", "inside": "dir/plain", "dir/loop": "loop",
	} {
		if err := os.Symlink(target, filepath.Join(w.work, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(w.work, "dir/run"), 0o700); err != nil {
		t.Fatal(err)
	}
	w.run(w.work, "mkdir", "-p", w.tree+"/left over")
	w.git("-c", "core.autocrlf=false", "add", "-A")
	w.git("commit", "-q", "-m", "all kinds\n\nof files")
	w.push()
	tip := w.head()
	got, err := w.fetch(tip, "")
	if err != nil {
		t.Fatal(err)
	}
	if got.Subject != "all kinds" {
		t.Errorf("Subject = %q, want the first line", got.Subject)
	}
	for name, want := range map[string]string{
		"dir/plain": "-rw-r--r--", "dir/run": "-rwxr-xr-x", "dir": "drwxr-xr-x", "absolute": "Lrwxrwxrwx",
	} {
		info, err := os.Lstat(filepath.Join(w.tree, name))
		if err != nil || info.Mode().String() != want {
			t.Errorf("mode of %s = %v (%v), want %s", name, info.Mode(), err, want)
		}
	}
	for _, name := range []string{"dir/plain", "dir/run", "empty", "large", "ünï \"cödé\"", ".gitattributes"} {
		got, err := os.ReadFile(filepath.Join(w.tree, name))
		want := w.raw(string(tip) + ":" + name)
		if err != nil || string(got) != want {
			t.Errorf("%s: %d bytes (%v) differ from git's %d", name, len(got), err, len(want))
		}
	}
	for _, name := range []string{"absolute", "outside", "dangling", "inside", "dir/loop"} {
		got, err := os.Readlink(filepath.Join(w.tree, name))
		if want := w.raw(string(tip) + ":" + name); err != nil || got != want {
			t.Errorf("%s links to %q (%v), want %q", name, got, err, want)
		}
	}
	if _, err := os.Lstat(w.tree + "/left over"); err == nil {
		t.Error("what was in the directory before is still there")
	}
}

func TestOneLine(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{" a\tb\nc ", "a b c"}, {"\x1b[31mred\x00", "[31mred"}, {"äöü äöü äöü", "äöü äö…"}, {"\xff", "\ufffd"},
	} {
		if got := oneLine(c.text, 12); got != c.want {
			t.Errorf("oneLine(%q) = %q, want %q", c.text, got, c.want)
		}
	}
}
