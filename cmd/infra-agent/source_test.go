package main

import (
	"log/slog"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/infra-agent/infra-agent/agent/agenttest/laws"
	"github.com/infra-agent/infra-agent/agent/config"
	"github.com/infra-agent/infra-agent/agent/source"
	"github.com/infra-agent/infra-agent/reconcile"
)

// TestSourceObeysItsLaws holds fetches from a real git server against what the simulated
// source does.
func TestSourceObeysItsLaws(t *testing.T) {
	dir := t.TempDir()
	git := func(args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "git", args...)
		cmd.Dir = filepath.Join(dir, "fleet.git")
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.org", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.org")
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("git %v: %v", args, err)
		}
		return strings.TrimSpace(string(out))
	}
	if err := os.Mkdir(filepath.Join(dir, "fleet.git"), 0o755); err != nil {
		t.Fatal(err)
	}
	git("init", "--quiet", "--bare", "--initial-branch=main")
	tree := git("mktree")
	first := git("commit-tree", "-m", "first", tree)
	second := git("commit-tree", "-m", "second", "-p", first, tree)
	aside := git("commit-tree", "-m", "aside", "-p", first, tree)
	server := httptest.NewServer(&cgi.Handler{
		Path: filepath.Join(git("--exec-path"), "git-http-backend"), Env: []string{"GIT_PROJECT_ROOT=" + dir, "GIT_HTTP_EXPORT_ALL=1"},
	})
	defer server.Close()
	silence := httptest.NewServer(nil)
	silence.Close()
	for _, law := range laws.Source {
		t.Run(law.Name, func(t *testing.T) {
			move := func(to reconcile.Commit) { git("update-ref", "refs/heads/main", string(to)) }
			move(reconcile.Commit(second))
			s := config.Default()
			s.StateDir, s.Trust.Policy = t.TempDir(), reconcile.TrustNone
			s.Source.Remotes = []config.Remote{{Name: "origin", URL: server.URL + "/fleet.git"}, {Name: "mirror", URL: silence.URL + "/fleet.git"}}
			law.Holds(t, laws.Repository{
				Source: sourcePort{source.NewFetcher(sourceOptions(s)), slog.New(slog.DiscardHandler), new(logged)},
				First:  reconcile.Commit(first), Second: reconcile.Commit(second), Aside: reconcile.Commit(aside), Remote: "origin", Silent: "mirror", Move: move,
			})
		})
	}
}

// A submodule is told of once, and not with every fetch of a tree that has it.
func TestWarningsAreLoggedOnce(t *testing.T) {
	needs(t, "git")
	dir := t.TempDir()
	ran(t, dir, "git", "init", "-q", "-b", "main")
	ran(t, dir, "git", "commit", "-q", "--allow-empty", "-m", "a module")
	write(t, filepath.Join(dir, ".gitmodules"), "[submodule \"words\"]\n\tpath = words\n\turl = https://git.example.org/words\n")
	ran(t, dir, "git", "add", ".")
	ran(t, dir, "git", "update-index", "--add", "--cacheinfo", "160000,"+ran(t, dir, "git", "rev-parse", "HEAD")+",words")
	ran(t, dir, "git", "commit", "-q", "-m", "with a submodule")
	s := config.Default()
	s.StateDir, s.Trust.Policy, s.Source.Remotes = t.TempDir(), reconcile.TrustNone, []config.Remote{{Name: "origin", URL: dir}}
	var log strings.Builder
	port := sourcePort{source.NewFetcher(sourceOptions(s)), slog.New(slog.NewTextHandler(&log, nil)), new(logged)}
	for range 2 {
		tip := reconcile.Commit(ran(t, dir, "git", "rev-parse", "HEAD"))
		if _, err := port.Fetch(t.Context(), reconcile.Fetch{Tip: reconcile.Tip{Commit: tip, Remote: "origin"}, Purpose: reconcile.PurposeBranch}); err != nil {
			t.Fatal(err)
		}
		ran(t, dir, "git", "commit", "-q", "--allow-empty", "-m", "another")
	}
	if n := strings.Count(log.String(), "words"); n != 1 {
		t.Errorf("the submodule is named %d times, want once:\n%s", n, log.String())
	}
}

// What is kept of the log is as large as what one fetch says, however long the agent runs.
func TestTheLinesOfTheLastFetchAreKept(t *testing.T) {
	l := new(logged)
	for _, c := range []struct{ lines, news []string }{
		{[]string{"a", "b"}, []string{"a", "b"}},
		{[]string{"b", "c"}, []string{"c"}},
		{[]string{"a"}, []string{"a"}},
		{nil, nil},
	} {
		if got := l.news(c.lines); !slices.Equal(got, c.news) || len(l.lines) != len(c.lines) {
			t.Errorf("of %q it says %q, want %q, and keeps %q", c.lines, got, c.news, l.lines)
		}
	}
}
