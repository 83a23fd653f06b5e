package source

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/infra-agent/infra-agent/reconcile"
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

// What is over the limit is refused for that, and taken back by the next commit: git does not wait for its rest to be read.
func TestTooMuchOfALocalRepository(t *testing.T) {
	w := newWorld(t)
	w.follow(Remote{Name: "origin", URL: w.bare}, w.fetcher.opts.Limits)
	w.fetcher.opts.Limits.FetchBytes = 100_000
	first := w.pushed("a", "1")
	w.mustFetch(first, "")
	_, err := w.fetch(w.pushed("b", random(300_000)), first)
	wantRejected(t, err, reconcile.GateUnverified, "limits.fetch_bytes")
	w.git("rm", "-q", "b")
	mended := w.pushed("a", "2")
	w.mustFetch(mended, first)
	w.sameTree(mended)
}
