package source

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A repository on this disk is read where git keeps it: bare, below a working tree, or elsewhere, with refs in files of
// their own or packed, and by a link to another ref.
func TestTipsOfLocalRepositories(t *testing.T) {
	w := newWorld(t)
	want := Tips{Commit: w.pushed("a", "1")}
	want.Testing = w.pushTesting("b", "3")
	dir := t.TempDir()
	w.run(dir, "git", "clone", "-q", "-b", "testing", w.bare, "tree")
	w.run(dir+"/tree", "git", "branch", "-q", "main", "origin/main")
	w.run(dir, "git", "clone", "-q", "-b", "testing", "--separate-git-dir=apart", dir+"/tree", "file")
	w.run(dir+"/file", "git", "branch", "-q", "main", "origin/main")
	w.run(dir, "git", "clone", "-q", "--mirror", w.bare, "packed")
	w.run(dir+"/packed", "git", "pack-refs", "--all")
	w.run(dir, "git", "clone", "-q", "--mirror", w.bare, "link")
	w.run(dir+"/link", "git", "branch", "-q", "-m", "main", "trunk")
	w.run(dir+"/link", "git", "symbolic-ref", "refs/heads/main", "refs/heads/trunk")
	for _, name := range []string{"tree", "file", "packed", "link"} {
		if got, err := localTips(filepath.Join(dir, name), both); got != want || err != nil {
			t.Errorf("%s: tips are %+v, %v, want %+v", name, got, err, want)
		}
	}

	w.run(dir+"/packed", "git", "config", "core.repositoryformatversion", "1")
	config, err := os.OpenFile(filepath.Join(dir, "packed", "config"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer config.Close()
	if _, err := config.WriteString("[extensions]\n\trefStorage = reftable\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := localTips(filepath.Join(dir, "packed"), both); err == nil || !strings.Contains(err.Error(), "keeps its refs as reftable") {
		t.Errorf("refs of another format: %v, want the reason", err)
	}
}
