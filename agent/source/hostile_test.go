package source

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/infra-agent/infra-agent/reconcile"
)

// Deadlines, for the servers that only a deadline ends; the others have time, however
// busy the machine is.
const (
	hostileFetch  = 3 * time.Second
	hostileSilent = 500 * time.Millisecond
)

// A verdict says whom an error is held against.
type verdict string

const (
	passes   verdict = "nobody"
	suspects verdict = "the remote, perhaps"
	refuses  verdict = "the commit"
)

func verdictOf(err error) verdict {
	switch _, rejected := reconcile.RejectedBy(err); {
	case suspicious(err):
		return suspects
	case rejected:
		return refuses
	}
	return passes
}

func TestHostileServers(t *testing.T) {
	honest := with(entry{"100644", "a", random(5000)})
	whole := honest.pack()
	corrupt := bytes.Clone(whole)
	corrupt[100] ^= 0x40
	wrongSum := bytes.Clone(whole)
	wrongSum[len(wrongSum)-1] ^= 1
	zeros := strings.Repeat("\x00", 16<<20)
	elsewhere := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(elsewhere.Close)
	answers := func(parts ...string) hostile {
		return hostile{tip: honest.tip, serve: says(append([]string{preamble(honest.tip)}, parts...)...)}
	}
	for _, c := range []struct {
		name   string
		server http.Handler
		verdict
		want string
	}{
		{"silent", hostile{refs: silent}, passes, "the server said nothing for 500ms"},
		{"silent after the request", hostile{tip: honest.tip, serve: silent}, passes, "the server said nothing for 500ms"},
		{"slow", hostile{refs: drip(advert(honest.tip, ""))}, passes, "not done within 3s (hint: "},
		{"slow pack", hostile{tip: honest.tip, serve: drip(preamble(honest.tip) + band(whole))}, passes, "not done within 3s"},
		{"endless refs", hostile{refs: endless(pkt(honest.tip.String() + " refs/heads/x\x00shallow\n"))}, passes, "git server"},
		{"endless refs, well formed", hostile{refs: func(w io.Writer, done <-chan struct{}) {
			says(pkt(service), pkt(""), pkt(honest.tip.String()+" HEAD\x00shallow no-progress\n"))(w, done)
			endless(pkt(honest.tip.String()+" refs/heads/x\n"))(w, done)
		}}, passes, "the remote sends more than 8388608 bytes"},
		{"endless progress", hostile{tip: honest.tip, serve: func(w io.Writer, done <-chan struct{}) {
			says(preamble(honest.tip))(w, done)
			endless(pkt("\x02Counting objects: hold the line\n"))(w, done)
		}}, suspects, "the remote sends more than 8388608 bytes (hint: if that is right, raise limits.fetch_bytes)"},
		{"endless pack", hostile{tip: honest.tip, serve: func(w io.Writer, done <-chan struct{}) {
			says(preamble(honest.tip), pkt("\x01PACK\x00\x00\x00\x02\x00\x00\x40\x00"))(w, done)
			endless(pkt("\x01\x30\x78\x9c\x03\x00\x00\x00\x00\x01"))(w, done) // empty blobs
		}}, passes, "something follows it"},
		{"endless ACKs", hostile{tip: honest.tip, serve: func(w io.Writer, done <-chan struct{}) {
			says(pkt("shallow "+honest.tip.String()), pkt(""))(w, done)
			endless(pkt("ACK "+honest.tip.String()+"\n"))(w, done)
		}}, suspects, "the remote sends more than 8388608 bytes"},
		{"endless shallows", hostile{tip: honest.tip, serve: endless(pkt("shallow " + honest.tip.String()))}, suspects, "the remote sends more than 8388608 bytes"},
		{"truncated pack", answers(band(whole[:len(whole)/2])), passes, "no valid pack"},
		{"cut connection", answers(pkt("\x01" + string(whole[:50]))[:30]), passes, "ends early"},
		{"corrupt pack", answers(band(resum(corrupt[:len(corrupt)-20]))), passes, "no valid pack"},
		{"wrong checksum", answers(band(wrongSum)), passes, "checksum"},
		{"one object too few", answers(band(recount(whole, -1))), passes, "something follows it"},
		{"one object too many", answers(band(recount(whole, 1))), passes, "no valid pack"},
		{"4294967295 objects", answers(band(pack(1<<32 - 1))), suspects, "4294967295 objects, at most"},
		{"no objects", answers(band(pack(0))), passes, "does not hold the commit"},
		{"another commit", hostile{tip: plumbing.NewHash("1234567890123456789012345678901234567890"), serve: says(preamble(honest.tip), band(whole))}, passes, "does not hold the commit"},
		{"a commit without its tree", sends((&crafted{}).commit(plumbing.NewHash("1234567890123456789012345678901234567890"))), suspects, "tree of .: read the git store: tree 1234567890"},
		{"zip bomb", sends(with(entry{"100644", "zeros", zeros})), suspects, "limits.tree_bytes"},
		{"tree bomb", sends(bomb()), refuses, "more than 1000 files and directories"},
		{"200,000 objects", sends(wide(200_000)), suspects, "objects, at most 24384 are accepted"},
		{"2,000 objects", sends(wide(2000)), refuses, "more than 1000 files and directories"},
		{"parent", sends(with(entry{"100644", "..", "x"})), refuses, `the name ".."`},
		{"repository", sends(with(entry{"100644", ".git", "x"})), refuses, `the name ".git"`},
		{"hook", sends(with(entry{"100644", ".git/hooks/post-checkout", "x"})), refuses, `the name ".git/hooks/post-checkout"`},
		{"slash", sends(with(entry{"100644", "a/b", "x"})), refuses, `the name "a/b"`},
		{"twice", sends(with(entry{"120000", "a", "/etc"}, entry{"100644", "a", "x"})), refuses, `"a" is in the tree twice`},
		{"redirect", http.RedirectHandler(elsewhere.URL, http.StatusFound), passes, "redirected to " + elsewhere.URL},
		{"error", hostile{refs: says(pkt(service), pkt(""), pkt("ERR go \x1b[31maway\n"))}, passes, `the server says: "go \x1b[31maway"`},
		{"error in the answer", hostile{tip: honest.tip, serve: says(pkt("ERR not our ref"))}, passes, `not our ref`},
		{"error on the third band", answers(pkt("\x03out of memory\n")), passes, "out of memory"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(c.server)
			t.Cleanup(server.CloseClientConnections)
			tip := honest.tip
			if h, ok := c.server.(hostile); ok && !h.tip.IsZero() {
				tip = h.tip
			}
			wantHarmless(t, server.URL+"/x.git", tip, c.verdict, c.want)
		})
	}
}

// wantHarmless fetches, and wants a clear error and nothing left behind.
func wantHarmless(t *testing.T, url string, tip plumbing.Hash, against verdict, want string) {
	t.Helper()
	dir := t.TempDir()
	fetch, silence := 5*time.Minute, 5*time.Minute
	switch {
	case strings.Contains(want, "said nothing"):
		silence = hostileSilent
	case strings.Contains(want, "not done within"):
		fetch = hostileFetch
	}
	f := NewFetcher(Options{
		Remotes: []Remote{{Name: "origin", URL: url, Timeout: silence}}, Branches: onMain, Dir: dir, Child: []string{"/proc/self/exe"},
		Limits: Limits{TreeBytes: 1 << 20, TreeEntries: 1000, FetchBytes: 8 << 20, Fetch: fetch},
		Trust:  Trust{Policy: reconcile.TrustNone},
	})
	_, err := f.Fetch(t.Context(), Request{Remote: "origin", Tip: reconcile.Commit(tip.String())})
	switch gate, rejected := reconcile.RejectedBy(err); {
	case err == nil || !strings.Contains(err.Error(), want) || strings.ContainsAny(err.Error(), "\x1b\n"):
		t.Errorf("Fetch: %v, want an error of one clean line that says %q", err, want)
	case verdictOf(err) != against || rejected && gate != reconcile.GateUnverified:
		t.Errorf("Fetch: %v (%s): held against %s, want %s", err, gate, verdictOf(err), against)
	}
	walk := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(dir, path)
		if name := d.Name(); strings.HasPrefix(name, "tmp_") || strings.HasPrefix(name, "incoming-") ||
			rel != "." && rel != "git" && rel != "lock" && !strings.HasPrefix(rel, "git/") {
			t.Errorf("left behind: %s", rel)
		}
		return err
	})
	if walk != nil {
		t.Error(walk)
	}
}

// The protocols with one connection have the same limits.
func TestHostileStreams(t *testing.T) {
	t.Parallel()
	tip := plumbing.NewHash("1234567890123456789012345678901234567890")
	line := pkt(tip.String() + " refs/heads/x\n")
	for _, c := range []struct {
		name  string
		serve func(io.Writer, <-chan struct{})
		want  string
	}{
		{"silent", silent, "the server said nothing for 500ms"},
		{"slow", drip(strings.Repeat(line, 10)), "not done within 3s"},
		{"endless refs", endless(line), "the remote sends more than 8388608 bytes"},
		{"nothing", says(), "unexpected EOF"},
		{"not git", says("HTTP/1.0 400 Bad Request\r\n\r\n"), "invalid pkt-len"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			wantHarmless(t, "git://"+serveEach(t, c.serve)+"/x.git", tip, passes, c.want)
		})
	}
	for _, c := range []struct {
		name  string
		serve func(io.Writer, <-chan struct{})
		want  string
	}{
		{"endless refs", endless(line), "the remote sends more than 8388608 bytes"},
		{"endless capabilities", func(w io.Writer, done <-chan struct{}) {
			says(v2Greeting)(w, done)
			endless(pkt("fetch=shallow\n"))(w, done)
		}, "the remote sends more than 8388608 bytes"},
		{"two bytes", says("00"), "EOF"},
		{"version 2, then nothing", says(v2Greeting), "its answer ends early"},
	} {
		t.Run("poll: "+c.name, func(t *testing.T) {
			t.Parallel()
			remote := Remote{Name: "origin", URL: "git://" + serveEach(t, c.serve) + "/x.git", Timeout: time.Minute}
			_, err := newAsker(t, remote, onMain).tips(t.Context(), onMain)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("tip: %v, want an error that says %q", err, c.want)
			}
		})
	}
}

// Any number of refs is read, one is kept: in the child for servers that tell all
// they have, and nothing of it in the agent's own process.
func TestManyRefs(t *testing.T) {
	t.Parallel()
	honest := with(entry{"100644", "a", "x"})
	const refs = 200_000
	server := httptest.NewServer(hostile{tip: honest.tip, serve: says(preamble(honest.tip), string(honest.pack())), refs: func(w io.Writer, _ <-chan struct{}) {
		var list bytes.Buffer
		list.WriteString(pkt(service) + pkt("") + pkt(honest.tip.String()+" HEAD\x00shallow no-progress\n"))
		for i := range refs {
			fmt.Fprintf(&list, "0047%s refs/heads/feature-%06d\n", honest.tip, i)
		}
		list.WriteString(pkt(honest.tip.String()+" refs/heads/main\n") + pkt(""))
		_, _ = list.WriteTo(w)
	}})
	t.Cleanup(server.Close)
	remote := Remote{Name: "origin", URL: server.URL + "/x.git", Timeout: time.Minute}
	a := newAsker(t, remote, onMain)
	a.older = 1
	if _, err := a.tips(t.Context(), onMain); err == nil || !strings.Contains(err.Error(), "more than 8388608 bytes") {
		t.Errorf("tip within 8 MiB: %v, want a refusal", err)
	}
	limits := Limits{TreeBytes: 1 << 20, TreeEntries: 1000, FetchBytes: 64 << 20, Fetch: time.Minute}
	answer, err := Options{Child: []string{"/proc/self/exe"}}.run(t.Context(), job{Ask: true, Remote: remote, Branches: onMain, Dir: t.TempDir(), Limits: limits})
	if err != nil || string(answer.Commit) != honest.tip.String() {
		t.Errorf("ask: %s, %v, want %s", answer.Commit, err, honest.tip)
	}
	dir := t.TempDir()
	f := NewFetcher(Options{Remotes: []Remote{remote}, Branches: onMain, Dir: dir, Child: []string{"/proc/self/exe"}, Limits: limits, Trust: Trust{Policy: reconcile.TrustNone}})
	if _, err := f.Fetch(t.Context(), Request{Remote: "origin", Tip: answer.Commit}); err != nil {
		t.Errorf("Fetch beside %d refs: %v", refs, err)
	}
}

// What a remote sends never reaches the agent's own memory.
func TestParentStaysSmall(t *testing.T) {
	server := httptest.NewServer(hostile{refs: endless(pkt("1234567890123456789012345678901234567890 refs/heads/x\n"))})
	t.Cleanup(server.CloseClientConnections)
	f := NewFetcher(Options{
		Remotes: []Remote{{Name: "origin", URL: server.URL + "/x.git", Timeout: time.Minute}}, Branches: onMain, Dir: t.TempDir(), Child: []string{"/proc/self/exe"},
		Limits: Limits{TreeBytes: 1 << 30, TreeEntries: 1000, FetchBytes: 64 << 20, Fetch: time.Minute},
	})
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for range 3 {
		if _, err := f.Fetch(t.Context(), Request{Remote: "origin", Tip: somewhere}); err == nil {
			t.Error("Fetch of an endless list succeeds")
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 2<<20 {
		t.Errorf("the parent has grown by %d bytes, want at most 2 MiB", grown)
	}
}
