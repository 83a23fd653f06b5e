package source

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/infra-agent/infra-agent/reconcile"
)

// newModuleWorld is a world that fetches submodules.
func newModuleWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.fetcher.opts.Checkout.Submodules = SubmodulesFetch
	return w
}

// beside is another repository of the world's server.
func (w *world) beside(name string) *world {
	w.t.Helper()
	dir := filepath.Dir(w.bare)
	b := &world{t: w.t, bare: filepath.Join(dir, name+".git"), work: filepath.Join(dir, name), clock: w.clock}
	b.run(dir, "git", "init", "-q", "--bare", "-b", "main", b.bare)
	b.run(dir, "git", "init", "-q", "-b", "main", b.work)
	b.git("remote", "add", "origin", b.bare)
	return b
}

// pin makes the commit of another repository what the world's tree has at a path.
func (w *world) pin(path, url string, commit reconcile.Commit) {
	w.t.Helper()
	w.git("config", "-f", ".gitmodules", "submodule."+path+".path", path)
	w.git("config", "-f", ".gitmodules", "submodule."+path+".url", url)
	w.git("add", ".gitmodules")
	if err := os.MkdirAll(filepath.Join(w.work, path), 0o755); err != nil { // else "git add -A" would take it out again
		w.t.Fatal(err)
	}
	w.git("update-index", "--add", "--cacheinfo", "160000,"+string(commit)+","+path)
	w.git("commit", "-q", "--allow-empty", "-m", "pin "+path)
}

// pinned pins and pushes.
func (w *world) pinned(path, url string, commit reconcile.Commit) reconcile.Commit {
	w.t.Helper()
	w.pin(path, url, commit)
	w.push()
	return w.head()
}

// sameCheckout compares the tree with what git itself checks out, submodules included.
func (w *world) sameCheckout() {
	w.t.Helper()
	checkout := filepath.Join(w.t.TempDir(), "checkout")
	w.run("/", "git", "clone", "-q", "--recurse-submodules", w.url, checkout)
	if out, err := exec.CommandContext(w.t.Context(), "diff", "-r", "--no-dereference", "--exclude=.git", checkout, w.tree).CombinedOutput(); err != nil {
		w.t.Errorf("diff of git's checkout and the tree: %s", out)
	}
}

func (w *world) refetch(tip, anchor reconcile.Commit) Result {
	w.t.Helper()
	got, err := w.fetch(tip, anchor)
	if err != nil {
		w.t.Fatalf("Fetch: %v", err)
	}
	w.sameCheckout()
	return got
}

func TestSubmodules(t *testing.T) {
	w := newModuleWorld(t)
	inner, lib := w.beside("inner"), w.beside("lib")
	lib.pin("deep/inner", "../inner.git", inner.pushed("f", "inner"))
	first := lib.pushed("dir/f", "1")
	w.write("modules/plain", "no submodule")
	w.pin("modules/lib", "../lib.git", first)
	anchor := w.pinned("inner too", w.url[:strings.LastIndex(w.url, "/")]+"/inner.git", inner.head())
	if got := w.refetch(anchor, ""); len(got.Warnings) > 0 {
		t.Errorf("Warnings = %q, want none", got.Warnings)
	}
	for _, name := range []string{"modules/lib/deep/inner/f", "inner too/f"} {
		if content, err := os.ReadFile(filepath.Join(w.tree, name)); err != nil || string(content) != "inner" {
			t.Errorf("%s: %q (%v), want inner", name, content, err)
		}
	}

	t.Log("what is there is not fetched again, and a commit is pinned that is on no branch's tip")
	packs := w.packs.Load()
	tip := w.pushed("a", "2")
	if _, err := w.fetch(tip, anchor); err != nil {
		t.Fatal(err)
	}
	if got := w.packs.Load() - packs; got != 1 {
		t.Errorf("%d packs were fetched, want that of the tip alone", got)
	}
	w.sameCheckout()
	lib.commit("dir/f", "2")
	second := lib.head()
	lib.pushed("dir/f", "3")
	anchor, tip = tip, w.pinned("modules/lib", "../lib.git", second)
	w.refetch(tip, anchor)

	t.Log("and back to an older one")
	anchor, tip = tip, w.pinned("modules/lib", "../lib.git", first)
	w.refetch(tip, anchor)

	t.Log("stores of submodules that are gone are deleted")
	w.git("rm", "-q", "-r", "modules/lib", "inner too", ".gitmodules")
	w.git("commit", "-q", "-m", "none")
	w.push()
	w.refetch(w.head(), tip)
	if stores, err := os.ReadDir(filepath.Join(filepath.Dir(w.store), "modules")); err != nil || len(stores) != 0 {
		t.Errorf("stores of submodules: %v (%v), want none", stores, err)
	}
}

// A superproject may be pushed before its submodule: the node tries again.
func TestASubmoduleIsPushedLater(t *testing.T) {
	for _, setting := range []string{"false", "true"} { // may be asked for commits on no tip
		t.Run(setting, func(t *testing.T) {
			w := newModuleWorld(t)
			lib := w.beside("lib")
			lib.run(lib.bare, "git", "config", "uploadpack.allowAnySHA1InWant", setting)
			lib.pushed("f", "1")
			later := lib.commit("f", "2")
			tip := w.pinned("lib", "../lib.git", later)
			for range 2 {
				_, err := w.fetch(tip, "")
				if gate, rejected := reconcile.RejectedBy(err); err == nil || rejected || !strings.Contains(err.Error(), `submodule "lib" at http://`) ||
					!strings.Contains(err.Error(), "the repository does not have the commit, or on no branch (hint: push it there)") {
					t.Fatalf("Fetch: %v (gate %q), want an error that may pass", err, gate)
				}
			}
			lib.push()
			w.refetch(tip, "")
			lib.pushed("f", "3")
			w.refetch(w.pinned("lib", "../lib.git", lib.head()), tip)
		})
	}
}

func TestHostileSubmodules(t *testing.T) {
	const absent = reconcile.Commit("1111111111111111111111111111111111111111")
	for _, c := range []struct {
		name  string
		write func(w *world)
		want  string
	}{
		{"not in .gitmodules", func(w *world) {
			w.git("update-index", "--add", "--cacheinfo", "160000,"+string(absent)+",lib")
			w.git("commit", "-q", "-m", "x")
		}, `submodule "lib" is not in .gitmodules`},
		{"another program", func(w *world) { w.pin("lib", "ext::sh -c id", absent) }, `submodule "lib": its url "ext::sh -c id" is not that of a server`},
		{"a directory of the node", func(w *world) { w.pin("lib", "file:///etc", absent) }, `submodule "lib": its url "file:///etc"`},
		{"an argument", func(w *world) { w.pin("lib", "-u/bin/sh", absent) }, `submodule "lib": its url "-u/bin/sh"`},
		{"out of the server", func(w *world) { w.pin("lib", "../../../x", absent) }, `submodule "lib": its url "../../../x" leads out of the server`},
		{"a path out of the tree", func(w *world) {
			w.git("config", "-f", ".gitmodules", "submodule.x.path", "../x")
			w.pin("lib", "../lib.git", absent)
		}, `.gitmodules: submodule "x"`},
		{".gitmodules is a link", func(w *world) {
			w.pin("lib", "../lib.git", absent)
			tree := w.run(w.work, "sh", "-c", `git ls-tree HEAD | sed '/gitmodules/s/^100644/120000/' | git mktree`)
			w.git("reset", "-q", "--soft", w.git("commit-tree", "-m", "x", tree))
		}, `".gitmodules" is not a file`},
		{"too many", func(w *world) {
			lib := w.beside("lib")
			pinned := lib.pushed("f", "1")
			var modules strings.Builder
			for i := range maxModules + 1 {
				fmt.Fprintf(&modules, "[submodule \"%d\"]\npath = m%d\nurl = ../lib.git\n", i, i)
				w.git("update-index", "--add", "--cacheinfo", fmt.Sprintf("160000,%s,m%d", pinned, i))
			}
			w.commitOnly(".gitmodules", modules.String())
		}, "more than 100 submodules"},
		{"too deep", func(w *world) {
			last := w.beside("m0").pushed("f", "1")
			for i := range maxModulesDeep {
				next := w.beside(fmt.Sprint("m", i+1))
				last = next.pinned("m", fmt.Sprintf("../m%d.git", i), last)
			}
			w.pin("m", fmt.Sprintf("../m%d.git", maxModulesDeep), last)
		}, "more than 8 in each other"},
		{"files beyond the limit of the whole", func(w *world) {
			lib := w.beside("lib")
			for i := range 600 {
				lib.write(fmt.Sprint("f", i), "x")
				w.write(fmt.Sprint("f", i), "x")
			}
			w.git("add", "-A")
			w.pin("lib", "../lib.git", lib.pushed("f", "1"))
		}, "limits.tree_entries"},
		{"a bad tree", func(w *world) {
			lib := w.beside("lib")
			lib.pushed("f", "1")
			tree := lib.run(lib.bare, "sh", "-c", `printf '100644 blob '$(git hash-object -w --stdin </dev/null)'\t.git\n' | git mktree`)
			commit := lib.run(lib.bare, "git", "commit-tree", "-m", "x", tree)
			lib.run(lib.bare, "git", "update-ref", "refs/heads/bad", commit)
			w.pin("lib", "../lib.git", reconcile.Commit(commit))
		}, `a file in "lib" has the name ".git"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newModuleWorld(t)
			c.write(w)
			w.push()
			_, err := w.fetch(w.head(), "")
			wantRejected(t, err, reconcile.GateUnverified, c.want)
			if suspicious(err) {
				t.Errorf("Fetch: %v: held against the remote", err)
			}
			if _, err := os.Stat(w.tree); err == nil {
				t.Error("a tree is left")
			}
		})
	}
}

// commitOnly commits a file beside what the index has.
func (w *world) commitOnly(name, content string) {
	w.t.Helper()
	w.write(name, content)
	w.git("add", name)
	w.git("commit", "-q", "-m", "write "+name)
}

func TestSubmodulesAreRefused(t *testing.T) {
	w := newWorld(t)
	w.fetcher.opts.Checkout.Submodules = SubmodulesRefuse
	first := w.pushed("a", "1")
	w.mustFetch(first, "")
	_, err := w.fetch(w.pinned("lib", "../lib.git", first), first)
	wantRejected(t, err, reconcile.GateUnverified, `submodules are empty directories: "lib" (hint: `, "change source.submodules on the nodes")
}

// A token goes to its own server, and to no other one.
func TestCredentialsOfSubmodules(t *testing.T) {
	w := newModuleWorld(t)
	lib := w.beside("lib")
	git, asked := w.handler, make(chan string, 100)
	record := func(name string) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			_, token, _ := r.BasicAuth()
			asked <- name + " " + filepath.Base(strings.SplitN(r.URL.Path, ".git", 2)[0]) + " " + token
			git.ServeHTTP(rw, r)
		})
	}
	w.handler = record("own")
	other := httptest.NewTLSServer(record("other"))
	t.Cleanup(other.Close)
	plain := httptest.NewServer(record("plain"))
	t.Cleanup(plain.Close)
	secret := func(name string) string {
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	opts := &w.fetcher.opts
	opts.Remotes[0].TokenFile = secret("ours")
	for _, s := range []*httptest.Server{other, plain} {
		opts.Checkout.Hosts = append(opts.Checkout.Hosts, Remote{
			Name: s.Listener.Addr().String(), TokenFile: secret("theirs"), CAFile: authority(t, other.Certificate().Raw),
		})
	}
	pinned := lib.pushed("f", "1")
	w.pin("same", "../lib.git", pinned)
	w.pin("other", strings.Replace(other.URL, "https://", "https://someone@", 1)+"/lib.git", pinned)
	tip := w.pinned("plain", plain.URL+"/lib.git", pinned)
	if _, err := w.fetch(tip, ""); err != nil {
		t.Fatal(err)
	}
	close(asked)
	got := map[string]bool{}
	for question := range asked {
		got[question] = true
	}
	for _, want := range []string{"own fleet ours", "own lib ours", "other lib theirs", "plain lib "} {
		if !got[want] {
			t.Errorf("nobody asked %q", want)
		}
		delete(got, want)
	}
	if len(got) > 0 {
		t.Errorf("somebody asked %v", got)
	}
}

// Who may ask is found for ssh as well, and said where nobody may.
func TestRemoteAt(t *testing.T) {
	t.Parallel()
	fleet := Remote{Name: "origin", URL: "git@h:fleet.git", SSHKeyFile: "/k", KnownHostsFile: "/h"}
	c := Checkout{Hosts: []Remote{{Name: "x", Username: "bot", SSHKeyFile: "/x", KnownHostsFile: "/xh", TokenFile: "/xt"}, {Name: "y:2222", SSHKeyFile: "/y", KnownHostsFile: "/yh"}}}
	for _, s := range []struct {
		at   string
		want Remote
		err  string
	}{
		{at: "git@h:lib.git", want: Remote{SSHKeyFile: "/k", KnownHostsFile: "/h"}},
		{at: "ssh://git@H/lib.git", want: Remote{SSHKeyFile: "/k", KnownHostsFile: "/h"}},
		{at: "https://h/lib.git"},
		{at: "git@x:lib.git", want: Remote{Username: "bot", SSHKeyFile: "/x", KnownHostsFile: "/xh"}},
		{at: "https://x/lib.git", want: Remote{Username: "bot", TokenFile: "/xt"}},
		{at: "http://x/lib.git", want: Remote{Username: "bot"}},
		{at: "ssh://git@y:2222/lib.git", want: Remote{SSHKeyFile: "/y", KnownHostsFile: "/yh"}},
		{at: "ssh://git@y/lib.git", err: `there is no key for its host (hint: add [[source.hosts]] with host = "y"`},
		{at: "ssh://git@h:2222/lib.git", err: "there is no key for its host"},
	} {
		got, err := c.remoteAt(s.at, fleet)
		s.want.Name, s.want.URL = "origin", s.at
		if s.err != "" {
			if err == nil || !strings.Contains(err.Error(), s.err) {
				t.Errorf("remoteAt(%q): %v, want %q", s.at, err, s.err)
			}
			continue
		}
		if err != nil || got != s.want {
			t.Errorf("remoteAt(%q) = %+v, %v, want %+v", s.at, got, err, s.want)
		}
	}
	web := Remote{URL: "https://h:8443/fleet.git", TokenFile: "/t"}
	if got, err := c.remoteAt("http://h:8443/lib.git", web); err != nil || got.TokenFile != "" {
		t.Errorf("remoteAt = %+v, %v: the token goes over http", got, err)
	}
}

// What all submodules send counts together.
func TestSubmodulesShareTheLimitOfAFetch(t *testing.T) {
	w := newModuleWorld(t)
	for _, name := range []string{"x", "y", "z"} {
		w.pin(name, "../"+name+".git", w.beside(name).pushed("f", random(150_000)))
	}
	w.push()
	w.fetcher.opts.Limits.FetchBytes = 400_000
	_, err := w.fetch(w.head(), "")
	wantRejected(t, err, reconcile.GateUnverified, `submodule "z"`, "limits.fetch_bytes")
	w.fetcher.opts.Limits.FetchBytes = 500_000
	if _, err := w.fetcher.Fetch(context.Background(), Request{Remote: "origin", Tip: w.head()}); err != nil {
		t.Error(err)
	}
}
