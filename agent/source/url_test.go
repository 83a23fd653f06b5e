package source

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// URLs as people write them lead to the same host, port, user and path as for git.
func TestURLsAsGitReadsThem(t *testing.T) {
	t.Parallel()
	for _, url := range []string{
		"ssh://git@h/a.git", "ssh://git@h/a", "ssh://git@h:2222/a.git/", "ssh://git@h:2222/~u/a.git", "ssh://git@h/~/a.git", "ssh://h/a.git", "ssh://git@h//srv/a.git",
		"ssh://git@[::1]:2222/a.git", "ssh://git@[2001:db8::1]/a.git", "ssh://git@h/%7Eu/a%20b.git", "ssh://user%40dom@h/a.git",
		"git@h:a.git", "git@h:/srv/a.git", "git@h:~u/a.git", "git@h:~/a.git", "git@h:2222/a.git", "git@h:a:b.git", "git@h:a b.git", "git@h:ä.git", "git@h:a/b/c",
		"git@[::1]:a.git", "git@[::1]:/srv/a.git", "git@[h:2222]:a.git", "git@h:22:a.git", "user@dom@h:a.git",
		"git://h/a.git", "git://h:9/~u/a.git", "git://[::1]/a.git", "git://[::1]:9/a.git",
	} {
		out, err := exec.CommandContext(t.Context(), "git", "fetch-pack", "--diag-url", url).Output()
		if err != nil {
			t.Fatalf("git fetch-pack --diag-url %s: %v", url, err)
		}
		git := map[string]string{}
		for line := range strings.Lines(string(out)) {
			name, value, _ := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(line, "Diag: "), "\n"), "=")
			git[name] = value
		}
		e, err := (Remote{URL: url}).endpoint()
		if err != nil {
			t.Errorf("endpoint of %s: %v", url, err)
			continue
		}
		ours := map[string]string{"url": url, "protocol": e.Protocol, "path": repositoryPath(e.Path)}
		host := strings.Trim(e.Host, "[]")
		switch e.Protocol {
		case "git":
			ours["hostandport"] = e.Host
			if e.Port != 0 {
				ours["hostandport"] += fmt.Sprint(":", e.Port)
			}
		default:
			ours["userandhost"], ours["port"] = host, "NONE"
			if e.User != "" {
				ours["userandhost"] = e.User + "@" + host
			}
			if p := portOf(e); p != 22 {
				ours["port"] = fmt.Sprint(p)
			}
		}
		for name, want := range git {
			if ours[name] != want {
				t.Errorf("%s: %s is %q, and for git %q", url, name, ours[name], want)
			}
		}
	}
}

// A web server that has the files of a repository is not one that git is served by.
func TestDumbServersAreRefusedByName(t *testing.T) {
	w := newWorld(t)
	commit := w.pushed("a", "1")
	w.run(w.bare, "git", "update-server-info")
	server := httptest.NewServer(http.FileServer(http.Dir(filepath.Dir(w.bare))))
	t.Cleanup(server.Close)
	w.run("/", "git", "ls-remote", server.URL+"/fleet.git") // git itself takes it
	remote := Remote{Name: "origin", URL: server.URL + "/fleet.git", Timeout: time.Minute}
	w.follow(remote, w.fetcher.opts.Limits)
	const want = "serves the files of the repository (git's dumb protocol), which is not supported (hint: have git http-backend serve it)"
	if _, err := w.fetch(commit, ""); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("Fetch: %v, want %q", err, want)
	}
	o := w.fetcher.opts
	if got := NewPoller(o).ask(t.Context(), remote); got.Err == nil || !strings.Contains(got.Err.Error(), want) {
		t.Errorf("a poll: %v, want %q", got.Err, want)
	}
}

// Web URLs with and without .git, with a slash at the end, and as people copy them.
func TestWebURLs(t *testing.T) {
	w := newWorld(t)
	tip := w.pushed("a", "1")
	git := w.handler
	w.handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { // as forges do
		if !strings.Contains(r.URL.Path, ".git/") {
			r.URL.Path = strings.Replace(r.URL.Path, "/fleet/", "/fleet.git/", 1)
		}
		git.ServeHTTP(rw, r)
	})
	base := strings.TrimSuffix(w.url, "/fleet.git")
	for _, url := range []string{base + "/fleet.git", base + "/fleet", base + "/fleet.git/", base + "/fleet/", base + "/%66leet.git", strings.Replace(base, "127.0.0.1", "localhost", 1) + "/fleet.git"} {
		w.follow(Remote{Name: "origin", URL: url, Timeout: time.Minute}, w.fetcher.opts.Limits)
		if got := NewPoller(w.fetcher.opts).ask(t.Context(), w.fetcher.opts.Remotes[0]); got.Err != nil || got.Commit != tip {
			t.Errorf("a poll of %s: %v, %v", url, got.Commit, got.Err)
		}
		w.mustFetch(tip, "")
	}
}
