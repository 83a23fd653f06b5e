package source

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/infra-agent/infra-agent/reconcile"
)

// signers is where the repositories of these tests say who may sign.
const signers = "keys/fleet/allowed_signers"

// newAuthorizedWorld is a world whose first commit, the introduction, allows ann. It is
// the last accepted one, and in the store.
func newAuthorizedWorld(t *testing.T) (w *world, ann pen, first reconcile.Commit) {
	t.Helper()
	w = newWorld(t)
	ann = newPen(t, "ann")
	first = w.allow(nil, ann)
	w.push()
	w.authorize(first)
	w.mustFetch(first, "")
	return w, ann, first
}

func (w *world) authorize(introduction reconcile.Commit) {
	w.fetcher.opts.Trust = Trust{Policy: reconcile.TrustAll, Authorizations: signers, Introduction: introduction}
}

// allow commits who may sign from now on, signed by a pen.
func (w *world) allow(by *pen, pens ...pen) reconcile.Commit {
	w.t.Helper()
	var lines strings.Builder
	for _, p := range pens {
		lines.WriteString(p.line)
	}
	return w.signed(by, signers, lines.String())
}

// signed commits one change, signed by a pen.
func (w *world) signed(by *pen, name, content string) reconcile.Commit {
	w.t.Helper()
	c := w.commit(name, content)
	if by == nil {
		return c
	}
	return w.sign(*by)
}

// lost makes the next fetch begin with nothing.
func (w *world) lost() {
	w.t.Helper()
	if err := os.RemoveAll(filepath.Dir(w.store)); err != nil {
		w.t.Fatal(err)
	}
}

// rotated pushes a branch whose keys change twice: ann, bob, cid.
func (w *world) rotated(ann pen) reconcile.Commit {
	w.t.Helper()
	t := w.t.(*testing.T)
	bob, cid := newPen(t, "bob"), newPen(t, "cid")
	w.allow(&ann, ann, bob)
	w.signed(&bob, "a", "2")
	w.allow(&bob, bob)
	w.signed(&bob, "a", "3")
	w.allow(&bob, cid)
	w.signed(&cid, "b", "1")
	w.signed(&cid, "a", "4")
	w.signed(&cid, "a", "5")
	w.push()
	return w.head()
}

// Keys are followed step by step, whatever a node has missed; git itself agrees with each
// step. A store that was lost gets the files of old commits from every kind of server.
func TestKeysAreFollowedThroughTheirChanges(t *testing.T) {
	for _, server := range []string{"http", "http with filters", "http of version 0", "ssh", "git", "path"} {
		t.Run(server, func(t *testing.T) {
			w, ann, first := newAuthorizedWorld(t)
			w.run(w.bare, "git", "config", "uploadpack.allowFilter", fmt.Sprint(strings.Contains(server, "filters")))
			remote := w.fetcher.opts.Remotes[0]
			switch server {
			case "http of version 0":
				git := w.handler
				w.handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
					r.Header.Del("Git-Protocol")
					git.ServeHTTP(rw, r)
				})
			case "ssh":
				s, over := w.overSSH()
				s.v2.Store(true)
				remote = over
			case "git":
				remote = w.overGit()
			case "path":
				remote = Remote{Name: "origin", URL: w.bare, Timeout: time.Minute}
			}
			tip := w.rotated(ann)
			w.fetcher.opts.Remotes[0] = remote
			for _, store := range []string{"kept", "lost"} {
				if store == "lost" {
					w.lost()
				}
				w.packs.Store(0)
				if got := w.mustFetch(tip, first); got.Signer != "cid" || got.Commits != 8 {
					t.Errorf("with a store that was %s: %d commits signed by %q, want 8 and cid", store, got.Commits, got.Signer)
				}
				if n := w.packs.Load(); store == "kept" && n > 1 {
					t.Errorf("asked for %d packs, want the one of every policy", n)
				}
			}
			w.gitAgrees(first, tip)
		})
	}
}

// gitAgrees has git verify each commit by its parent's file.
func (w *world) gitAgrees(after, tip reconcile.Commit) {
	w.t.Helper()
	for commit := range strings.FieldsSeq(w.git("rev-list", string(after)+".."+string(tip))) {
		file := filepath.Join(w.t.TempDir(), "signers")
		if err := os.WriteFile(file, []byte(w.raw(commit+"^:"+signers)), 0o600); err != nil {
			w.t.Fatal(err)
		}
		w.git("-c", "gpg.format=ssh", "-c", "gpg.ssh.allowedSignersFile="+file, "verify-commit", commit)
	}
}

// What is asked of old commits is the way to one file. What else they have costs nothing
// and breaks no limit.
func TestOldCommitsGiveTheirSignersAlone(t *testing.T) {
	w, ann, first := newAuthorizedWorld(t)
	w.run(w.bare, "git", "config", "uploadpack.allowFilter", "true")
	w.fetcher.opts.Limits.FetchBytes = 256 << 10
	w.signed(&ann, "keys/large", random(2<<20))
	w.git("rm", "-q", "keys/large")
	w.git("commit", "-q", "-m", "too large")
	w.sign(ann)
	tip := w.rotated(ann)
	ssh, overSSH := w.overSSH()
	ssh.v2.Store(true)
	for _, remote := range []Remote{w.fetcher.opts.Remotes[0], overSSH, w.overGit(), {Name: "origin", URL: w.bare, Timeout: time.Minute}} {
		w.fetcher.opts.Remotes[0] = remote
		w.lost()
		w.served.Store(0)
		w.mustFetch(tip, first)
		if n := w.served.Load(); n > 32<<10 {
			t.Errorf("served %d bytes, want at most 32 KiB", n)
		}
	}
}

// A server may know version 2, and give no object by its name; and what servers without
// filters send is bounded as every answer is.
func TestServersThatGiveMoreThanTheSigners(t *testing.T) {
	w, ann, first := newAuthorizedWorld(t)
	w.signed(&ann, "large", random(2<<20))
	w.git("rm", "-q", "large")
	w.signed(&ann, "a", "2")
	tip := w.rotated(ann)
	w.lost()
	w.mustFetch(tip, first)

	git, refused := w.handler, 0
	w.handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		if bytes.Contains(body, []byte("command=fetch")) {
			refused++
			rw.Header().Set("Content-Type", "application/x-git-upload-pack-result")
			_, _ = io.WriteString(rw, "0021ERR upload-pack: not our ref x")
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		git.ServeHTTP(rw, r)
	})
	w.lost()
	if w.mustFetch(tip, first); refused != 1 {
		t.Errorf("asked %d times for objects by name, want once", refused)
	}

	w.fetcher.opts.Limits.FetchBytes = 1 << 20
	for _, handler := range []http.Handler{git, w.handler} {
		w.handler = handler
		w.lost()
		_, err := w.fetch(tip, first)
		wantSuspected(t, err, signers, "the remote sends more than 1048576 bytes", "limits.fetch_bytes")
	}
}

// A node without an anchor believes what descends from the introduction, as one with an
// anchor does; what was before the introduction does not count.
func TestIntroduction(t *testing.T) {
	w := newWorld(t)
	ann, eve := newPen(t, "ann"), newPen(t, "eve")
	w.allow(nil, eve)
	introduction := w.allow(nil, ann)
	w.authorize(introduction)
	w.push()
	if got := w.mustFetch(introduction, ""); got.Signer != "" || got.Commits != 0 {
		t.Errorf("Fetch of the introduction = signed by %q, %d commits, want nobody and none", got.Signer, got.Commits)
	}
	tip := w.rotated(ann)
	w.lost()
	if got := w.mustFetch(tip, ""); got.Signer != "cid" || got.Commits != 0 {
		t.Errorf("Fetch without an anchor = signed by %q, %d commits, want cid and none", got.Signer, got.Commits)
	}
	w.signed(&eve, "a", "6")
	w.push()
	_, err := w.fetch(w.head(), "")
	wantRejected(t, err, reconcile.GateUnverified, "not allowed")

	t.Log("another branch, though its keys are those of the introduction")
	w.git("reset", "-q", "--hard", string(introduction)+"^")
	w.signed(&ann, "a", "7")
	w.push()
	_, err = w.fetch(w.head(), "")
	wantRejected(t, err, reconcile.GateUnverified, "diverged", introduction.Short()+", which trust.introduction names")
	wantVerdict(t, err, reconcile.VerdictNotDescendant)
	if strings.Contains(err.Error(), "allow-rewind") {
		t.Errorf("error %q tells to allow a rewind, of nothing", err)
	}
}

// When all keys are lost, root on the node names a newer introduction.
func TestIntroductionAfterTheAnchor(t *testing.T) {
	w, ann, first := newAuthorizedWorld(t)
	bob := newPen(t, "bob")
	w.signed(&ann, "a", "2")
	lost := w.commit("a", "not signed")
	again := w.allow(nil, bob)
	w.push()
	w.authorize(again)
	w.mustFetch(again, first)
	w.lost()
	w.mustFetch(again, first)
	w.lost()
	w.authorize(first)
	tip := w.signed(&bob, "a", "3")
	w.push()
	_, err := w.fetch(tip, first)
	wantRejected(t, err, reconcile.GateUnverified, lost.Short(), "2 commits since")
	w.authorize(again)
	w.mustFetch(tip, first)
	w.lost()
	w.mustFetch(tip, first)

	t.Log("it is no leave for what comes after it")
	w.signed(&ann, "a", "4")
	w.push()
	_, err = w.fetch(w.head(), first)
	wantRejected(t, err, reconcile.GateUnverified, "not allowed", w.head().Short())
}

// What was before the introduction is accepted on every way, though the store has to be
// deepened to show it: here a short way leads to the anchor, and a long one from the introduction.
func TestIntroductionThatIsFarFromTheAnchor(t *testing.T) {
	w, ann, first := newAuthorizedWorld(t)
	before := w.commit("a", "not signed")
	for i := range 30 {
		w.commit("a", fmt.Sprint(i))
	}
	w.authorize(w.head())
	_, merge := w.signedFork(ann, before, 1, false)
	w.lost()
	w.mustFetch(merge, first)
}

// A branch from before the introduction, where nothing said who may sign, is verified by what
// the node knows now; the way back to the first commit is not walked for that.
func TestABranchFromBeforeTheIntroduction(t *testing.T) {
	w := newWorld(t)
	w.run(w.bare, "git", "config", "uploadpack.allowFilter", "true")
	ann, bob := newPen(t, "ann"), newPen(t, "bob")
	w.imported(200)
	w.git("fetch", "-q", "origin")
	w.git("reset", "-q", "--hard", "origin/main")
	fork := w.head()
	introduction := w.allow(nil, ann)
	anchor := w.allow(&ann, bob)
	w.push()
	w.authorize(introduction)
	w.mustFetch(anchor, introduction)
	w.packs.Store(0)
	for _, by := range []pen{ann, bob} {
		w.git("checkout", "-q", "-B", "side", string(fork))
		side := w.signed(&by, "side", "1")
		w.git("checkout", "-q", "-B", "main", string(anchor))
		w.git("merge", "-q", "--no-ff", "-m", "merge", "side")
		w.sign(bob)
		w.push()
		if _, err := w.fetch(w.head(), anchor); by.line == bob.line && err != nil {
			t.Errorf("Fetch: %v", err)
		} else if by.line == ann.line {
			wantRejected(t, err, reconcile.GateUnverified, side.Short(), "not allowed", anchor.Short())
		}
	}
	if n := w.packs.Load(); n > 8 {
		t.Errorf("asked for %d packs, want at most 8 for both", n)
	}
}

// An anchor of another time, without the file, allows nobody; what was before it never counts.
func TestAnAnchorWithoutTheFile(t *testing.T) {
	w, ann, _ := newAuthorizedWorld(t)
	w.git("rm", "-q", signers)
	anchor := w.signed(&ann, "a", "2")
	w.push()
	_, err := w.fetch(anchor, anchor)
	wantRejected(t, err, reconcile.GateUnverified, "nobody could sign the next one", "is not there")
	file := w.allow(&ann, ann)
	tip := w.signed(&ann, "a", "3")
	w.push()
	_, err = w.fetch(tip, anchor)
	wantRejected(t, err, reconcile.GateUnverified, file.Short(), "nobody may sign it", "is not there", "trust.introduction")
	w.authorize(file)
	w.mustFetch(tip, anchor)
}
