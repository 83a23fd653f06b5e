package source

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/infra-agent/infra-agent/reconcile"
)

// An lfsStore is a server of objects, git-lfs docs/api/batch.md: beside a repository,
// or at a place of its own.
type lfsStore struct {
	mu      sync.Mutex
	objects map[string]string // by name
	asked   []string          // what was asked, and with which token
	href    string            // of the objects; "" = this server
	header  map[string]string // that the server wants with them
	mangle  func(string) string
}

func (l *lfsStore) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, token, _ := r.BasicAuth()
	l.asked = append(l.asked, strings.TrimSpace(fmt.Sprint(r.Method, " ", filepath.Base(r.URL.Path)[:5], " ", token, r.Header.Get("X-Ticket"))))
	if oid, is := strings.CutPrefix(r.URL.Path, "/objects/"); is {
		content := l.objects[oid]
		if l.mangle != nil {
			content = l.mangle(content)
		}
		_, _ = io.WriteString(rw, content)
		return
	}
	var want struct {
		Operation string
		Objects   []pointer
	}
	if err := json.NewDecoder(r.Body).Decode(&want); err != nil || want.Operation != "download" ||
		r.Header.Get("Accept") != "application/vnd.git-lfs+json" || !strings.HasSuffix(r.URL.Path, ".git/info/lfs/objects/batch") {
		http.Error(rw, "no", http.StatusNotFound)
		return
	}
	rw.Header().Set("Content-Type", "application/vnd.git-lfs+json")
	var answers []map[string]any
	for _, o := range want.Objects {
		answer := map[string]any{"oid": o.OID, "size": o.Size}
		if _, there := l.objects[o.OID]; !there {
			answer["error"] = map[string]any{"code": 404, "message": "Object does not exist"}
		} else {
			href := l.href
			if href == "" {
				href = "http://" + r.Host
			}
			answer["actions"] = map[string]any{"download": map[string]any{"href": href + "/objects/" + o.OID, "header": l.header}}
		}
		answers = append(answers, answer)
	}
	_ = json.NewEncoder(rw).Encode(map[string]any{"transfer": "basic", "objects": answers})
}

// questions returns what was asked since the last call.
func (l *lfsStore) questions() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	asked := strings.Join(l.asked, ", ")
	l.asked = nil
	return asked
}

// newLFSWorld is a world that serves objects of Git LFS beside the repository.
func newLFSWorld(t *testing.T) (*world, *lfsStore) {
	t.Helper()
	w := newWorld(t)
	w.fetcher.opts.Checkout.LFS = true
	l := &lfsStore{objects: map[string]string{}}
	git := w.handler
	w.handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/objects/batch") || strings.HasPrefix(r.URL.Path, "/objects/") {
			l.ServeHTTP(rw, r)
			return
		}
		git.ServeHTTP(rw, r)
	})
	w.write(".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n")
	return w, l
}

// stow puts a file into the work tree as git-lfs would.
func (l *lfsStore) stow(w *world, name, content string) {
	w.t.Helper()
	sum := sha256.Sum256([]byte(content))
	oid := hex.EncodeToString(sum[:])
	l.mu.Lock()
	l.objects[oid] = content
	l.mu.Unlock()
	w.write(name, fmt.Sprintf("version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %d\n", oid, len(content)))
}

func (w *world) wantFiles(files map[string]string) {
	w.t.Helper()
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join(w.tree, name))
		if err != nil || string(got) != want {
			w.t.Errorf("%s: %.80q (%d bytes, %v), want %.80q", name, got, len(got), err, want)
		}
	}
}

func TestLFS(t *testing.T) {
	w, l := newLFSWorld(t)
	large := random(300_000)
	l.stow(w, "art/a.bin", "first")
	l.stow(w, "art/same.bin", "first")
	l.stow(w, "large.bin", large)
	if err := os.Chmod(filepath.Join(w.work, "art/same.bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	w.write("notes.bin", "version https://git-lfs.github.com/spec/v1\nand a text\n")
	anchor := w.pushed("a", "1")
	got, err := w.fetch(anchor, "")
	if err != nil {
		t.Fatal(err)
	}
	w.wantFiles(map[string]string{"art/a.bin": "first", "art/same.bin": "first", "large.bin": large})
	for name, mode := range map[string]os.FileMode{"art/a.bin": 0o644, "art/same.bin": 0o755, "art": 0o755 | os.ModeDir} {
		if info, err := os.Stat(filepath.Join(w.tree, name)); err != nil || info.Mode() != mode {
			t.Errorf("%s: %v (%v), want %v", name, info.Mode(), err, mode)
		}
	}
	if len(got.Warnings) != 1 || !strings.Contains(got.Warnings[0], `Git LFS pointers are not the files that they stand for, as for Nix: "notes.bin"`) {
		t.Errorf("Warnings = %q, want one about what is no pointer", got.Warnings)
	}
	if _, err := exec.LookPath("git-lfs"); err == nil { // it reads a file that is no pointer as a file
		checkout := filepath.Join(t.TempDir(), "checkout")
		w.run("/", "git", "-c", "filter.lfs.process=git-lfs filter-process", "-c", "filter.lfs.required=true", "clone", "-q", w.url, checkout)
		if out, err := exec.CommandContext(t.Context(), "diff", "-r", "--exclude=.git", checkout, w.tree).CombinedOutput(); err != nil {
			t.Errorf("diff of git-lfs's checkout and the tree: %s", out)
		}
		l.questions()
	}

	t.Log("what is there is not fetched again, what is not is, and what is gone is deleted")
	l.questions()
	l.stow(w, "art/a.bin", "second")
	w.git("rm", "-q", "-f", "large.bin")
	tip := w.pushed("a", "2")
	if _, err := w.fetch(tip, anchor); err != nil {
		t.Fatal(err)
	}
	w.wantFiles(map[string]string{"art/a.bin": "second", "art/same.bin": "first"})
	if got, want := l.questions(), "POST batch, GET 16367"; got != want {
		t.Errorf("asked %q, want %q", got, want)
	}
	kept, err := os.ReadDir(filepath.Join(filepath.Dir(w.store), "lfs"))
	if err != nil || len(kept) != 2 {
		t.Errorf("kept: %v (%v), want two objects", kept, err)
	}

	t.Log("an object that is damaged on this disk is fetched again")
	if err := os.WriteFile(filepath.Join(filepath.Dir(w.store), "lfs", kept[0].Name()), []byte("FIRST"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := w.fetch(tip, anchor); err != nil {
		t.Fatal(err)
	}
	w.wantFiles(map[string]string{"art/a.bin": "second", "art/same.bin": "first"})
}

// Many objects are asked for at once.
func TestManyObjectsOfLFS(t *testing.T) {
	w, l := newLFSWorld(t)
	for i := range 150 {
		l.stow(w, fmt.Sprintf("%03d.bin", i), fmt.Sprint("content ", i))
	}
	tip := w.pushed("a", "1")
	if _, err := w.fetch(tip, ""); err != nil {
		t.Fatal(err)
	}
	w.wantFiles(map[string]string{"000.bin": "content 0", "149.bin": "content 149"})
	if n := strings.Count(l.questions(), "POST batch"); n != 2 {
		t.Errorf("%d questions for 150 objects, want 2", n)
	}
}

func TestObjectsOfLFSElsewhere(t *testing.T) {
	w, l := newLFSWorld(t)
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("ours"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.fetcher.opts.Remotes[0].TokenFile = token
	l.stow(w, "a.bin", "content")
	tip := w.pushed("a", "1")
	fetch := func(want string) {
		t.Helper()
		_ = os.RemoveAll(filepath.Dir(w.store))
		if _, err := w.fetch(tip, ""); err != nil {
			t.Fatal(err)
		}
		w.wantFiles(map[string]string{"a.bin": "content"})
		if got := l.questions(); got != want {
			t.Errorf("asked %q, want %q", got, want)
		}
	}
	fetch("POST batch ours, GET ed700 ours")

	t.Log("the server hands out tickets")
	l.header = map[string]string{"X-Ticket": "once"}
	fetch("POST batch ours, GET ed700 once")

	t.Log("the objects are on another host, which gets no token")
	bucket := httptest.NewServer(l)
	t.Cleanup(bucket.Close)
	l.href, l.header = bucket.URL, nil
	fetch("POST batch ours, GET ed700")

	t.Log("the server redirects there")
	redirect := http.RedirectHandler(bucket.URL+"/objects/ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73", http.StatusFound)
	git := w.handler
	w.handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/objects/") {
			redirect.ServeHTTP(rw, r)
			return
		}
		git.ServeHTTP(rw, r)
	})
	l.href = ""
	fetch("POST batch ours, GET ed700")

	t.Log("the commit names another server")
	w.handler = w.backend()
	l.href = bucket.URL
	w.write(".lfsconfig", "[lfs]\n\turl = "+bucket.URL+"/x.git/info/lfs\n")
	tip = w.pushed("a", "2")
	fetch("POST batch, GET ed700")
}

func TestURLsOfLFS(t *testing.T) {
	for at, want := range map[string]bool{
		"https://lfs.example.org": true, "http://192.0.2.1:8080/": true, "https://git.example.org/fleet.git/info/lfs": true,
		"https://": false, "http:///x": false, "ssh://git@h/x": false, "file:///etc": false, "/etc": false, "https://h/x\n": false, "": false,
	} {
		if got := isLFSURL(at); got != want {
			t.Errorf("%q: %t, want %t", at, got, want)
		}
	}
}

func TestLFSRefuses(t *testing.T) {
	for _, c := range []struct {
		name string
		make func(w *world, l *lfsStore)
		gate reconcile.Gate // "" = it may pass
		want string
	}{
		{"an object that is not there", func(_ *world, l *lfsStore) { clear(l.objects) }, "", `object ed7002b439e9: the server says: "Object does not exist" (hint: git lfs push --all)`},
		{"another content", func(_ *world, l *lfsStore) { l.mangle = strings.ToUpper }, "", "object ed7002b439e9: what the server sends is not what the pointer says"},
		{"less", func(_ *world, l *lfsStore) { l.mangle = func(s string) string { return s[1:] } }, "", "is not what the pointer says"},
		{"more", func(_ *world, l *lfsStore) { l.mangle = func(s string) string { return s + random(100_000) } }, "", "is not what the pointer says"},
		{"no server", func(w *world, _ *lfsStore) { w.handler = w.backend() }, "", "fetch from Git LFS at http://"},
		{"files of more than the tree may have", func(w *world, _ *lfsStore) {
			w.write("b.bin", "version https://git-lfs.github.com/spec/v1\noid sha256:"+strings.Repeat("a", 64)+"\nsize 1048577\n")
		}, reconcile.GateUnverified, "limits.tree_bytes"},
		{"more than a fetch may bring", func(w *world, l *lfsStore) {
			w.fetcher.opts.Limits.FetchBytes = 100_000
			l.stow(w, "b.bin", random(200_000))
		}, reconcile.GateUnverified, "limits.fetch_bytes"},
		{"a directory of the node", func(w *world, _ *lfsStore) { w.write(".lfsconfig", "[lfs]\nurl = file:///etc\n") }, reconcile.GateUnverified, ".lfsconfig: lfs.url is not a URL with https:// or http://"},
		{"a program", func(w *world, _ *lfsStore) { w.write(".lfsconfig", "[lfs]\nurl = ssh://h/x\n") }, reconcile.GateUnverified, ".lfsconfig: lfs.url is not a URL with https:// or http://"},
		{"objects in a directory of the node", func(_ *world, l *lfsStore) { l.href = "file:///etc" }, "", "the server sends to a place that has no https URL"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, l := newLFSWorld(t)
			l.stow(w, "a.bin", "content")
			c.make(w, l)
			_, err := w.fetch(w.pushed("a", "1"), "")
			if gate, _ := reconcile.RejectedBy(err); err == nil || gate != c.gate || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Fetch: %v (gate %q), want gate %q and %q", err, gate, c.gate, c.want)
			}
			if files, err := os.ReadDir(filepath.Join(filepath.Dir(w.store), "lfs")); err == nil {
				for _, f := range files {
					if strings.HasPrefix(f.Name(), "tmp_") {
						t.Errorf("left behind: %s", f.Name())
					}
				}
			}
		})
	}
}

// A submodule's objects are at its own server.
func TestLFSOfASubmodule(t *testing.T) {
	w, l := newLFSWorld(t)
	w.fetcher.opts.Checkout.Submodules = SubmodulesFetch
	lib := w.beside("lib")
	l.stow(lib, "b.bin", "of the library")
	l.stow(w, "a.bin", "of the fleet")
	w.commit("a", "1")
	if _, err := w.fetch(w.pinned("lib", "../lib.git", lib.pushed("f", "1")), ""); err != nil {
		t.Fatal(err)
	}
	w.wantFiles(map[string]string{"a.bin": "of the fleet", "lib/b.bin": "of the library"})
	if got := strings.Count(l.questions(), "POST batch"); got != 2 {
		t.Errorf("%d questions, want one for each repository", got)
	}
}

// The server of a repository that is fetched by ssh says where the objects are, and hands out
// a ticket for them: no other credentials are needed, and none are sent.
func TestLFSBySSH(t *testing.T) {
	w, l := newLFSWorld(t)
	server, remote := w.overSSH()
	w.follow(remote, w.fetcher.opts.Limits)
	w.fetcher.opts.Checkout.LFS = true
	l.stow(w, "a.bin", "first")
	anchor := w.pushed("a", "1")

	t.Log("a server without that program: the objects are looked for where git-lfs does")
	_, err := w.fetch(anchor, "")
	if err == nil || !strings.Contains(err.Error(), "fetch from Git LFS at https://127.0.0.1/") {
		t.Errorf("got %v", err)
	}

	server.programs = t.TempDir()
	answer := func(text string) {
		t.Helper()
		script := "#!/bin/sh\necho \"$*\" >" + server.programs + "/asked\nprintf '%s' '" + text + "'\n"
		if err := os.WriteFile(filepath.Join(server.programs, "git-lfs-authenticate"), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	answer(`{"href": "` + w.url + `/info/lfs", "header": {"X-Ticket": "one"}, "expires_in": 600}`)
	if _, err := w.fetch(anchor, ""); err != nil {
		t.Fatal(err)
	}
	w.wantFiles(map[string]string{"a.bin": "first"})
	if got := l.questions(); got != "POST batch one, GET a7937" {
		t.Errorf("asked: %s", got)
	}
	if asked, err := os.ReadFile(filepath.Join(server.programs, "asked")); err != nil || string(asked) != w.bare+" download\n" {
		t.Errorf("the server was asked %q, %v", asked, err)
	}

	for text, want := range map[string]string{
		"no JSON":                                  "git-lfs-authenticate: the server's answer: ",
		`{"href": "file:///etc/passwd"}`:           "git-lfs-authenticate: the server's objects are at no URL with https:// or http://",
		`{"href": "` + strings.Repeat("x", 100000): "git-lfs-authenticate: the server's answer: ",
	} {
		answer(text)
		l.stow(w, "a.bin", text)
		if _, err := w.fetch(w.pushed("a", text), anchor); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40s: got %v, want %q", text, err, want)
		}
	}
}

// Where "git-lfs env" 3.3.0 says that it looks, but for a second / in one of them.
func TestLFSURL(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ remote, want string }{
		{"https://h/a/fleet.git", "https://h/a/fleet.git/info/lfs"},
		{"https://h/a/fleet", "https://h/a/fleet.git/info/lfs"},
		{"https://h:8443/a/fleet/", "https://h:8443/a/fleet.git/info/lfs"},
		{"http://h/fleet.git", "http://h/fleet.git/info/lfs"},
		{"git@h:a/fleet.git", "https://h/a/fleet.git/info/lfs"},
		{"git@h:/a/fleet", "https://h/a/fleet.git/info/lfs"},
		{"ssh://git@h:2222/a/fleet.git", "https://h/a/fleet.git/info/lfs"},
		{"git://h/a/fleet.git", "https://h/a/fleet.git/info/lfs"},
		{"/srv/fleet.git", ""},
	} {
		if got, err := lfsURL(Remote{URL: c.remote}); got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("lfsURL(%q) = %q, %v, want %q", c.remote, got, err, c.want)
		}
	}
}

func TestParsePointer(t *testing.T) {
	t.Parallel()
	const oid = "4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393"
	good := "version https://git-lfs.github.com/spec/v1\noid sha256:" + oid + "\nsize 12345\n"
	if p, is := parsePointer([]byte(good)); !is || p != (pointer{oid, 12345}) {
		t.Errorf("parsePointer = %v, %v", p, is)
	}
	for _, bad := range []string{
		"", good + "x", strings.ToUpper(good), strings.Replace(good, "sha256", "sha1", 1), strings.Replace(good, "12345", "-1", 1),
		strings.Replace(good, "12345", "99999999999999999999", 1), strings.Replace(good, oid, "../../../../etc/passwd", 1), strings.ReplaceAll(good, "\n", "\r\n"),
		strings.Replace(good, oid, oid[1:], 1), strings.Replace(good, oid, oid+"0", 1), strings.Replace(good, "12345", "1000000000000000", 1),
	} {
		if p, is := parsePointer([]byte(bad)); is {
			t.Errorf("parsePointer(%q) = %v, want none", bad, p)
		}
	}
}
