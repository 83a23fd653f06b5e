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

	"github.com/infra-agent/infra-agent/agent/signature"
	"github.com/infra-agent/infra-agent/reconcile"
)

// A commit is verified by the files before it, never by its own.
func TestACommitAllowsNobodyForItself(t *testing.T) {
	w, ann, first := newAuthorizedWorld(t)
	eve := newPen(t, "eve")
	own := w.allow(&eve, ann, eve)
	w.push()
	_, err := w.fetch(own, first)
	wantRejected(t, err, reconcile.GateUnverified, own.Short(), "not allowed", signers+" of "+first.Short(), "hint:")
	wantVerdict(t, err, reconcile.VerdictUnknownKey)

	t.Log("nor is one that comes after it, and not its author's next either")
	tip := w.signed(&ann, "a", "2")
	w.push()
	_, err = w.fetch(tip, first)
	wantRejected(t, err, reconcile.GateUnverified, own.Short(), "not allowed")
	w.signed(&eve, "a", "3")
	w.push()
	_, err = w.fetch(w.head(), first)
	wantRejected(t, err, reconcile.GateUnverified, own.Short(), "not allowed")

	t.Log("and none that is not signed")
	w.git("reset", "-q", "--hard", string(first))
	unsigned := w.pushed("a", "4")
	_, err = w.fetch(unsigned, first)
	wantRejected(t, err, reconcile.GateUnverified, "not signed")
	wantVerdict(t, err, reconcile.VerdictUnsigned)
}

// A key that the branch has dropped signs nothing after that. On a branch that was begun
// before it counts still, and whoever merges that must be allowed by both sides.
func TestADroppedKey(t *testing.T) {
	w, ann, first := newAuthorizedWorld(t)
	bob := newPen(t, "bob")
	w.allow(&ann, ann, bob)
	dropped := w.allow(&bob, bob)
	w.push()
	w.mustFetch(dropped, first)
	w.signed(&ann, "a", "2")
	w.push()
	_, err := w.fetch(w.head(), dropped)
	wantRejected(t, err, reconcile.GateUnverified, "not allowed", dropped.Short())
	w.git("reset", "-q", "--hard", string(dropped))

	side := func(merger pen) reconcile.Commit {
		w.git("checkout", "-q", "-B", "side", string(dropped)+"^")
		w.signed(&ann, "side", "1")
		w.git("checkout", "-q", "main")
		w.git("reset", "-q", "--hard", string(dropped))
		w.git("merge", "-q", "--no-ff", "-m", "merge", "side")
		w.sign(merger)
		w.push()
		return w.head()
	}
	_, err = w.fetch(side(ann), dropped)
	wantRejected(t, err, reconcile.GateUnverified, "not allowed", dropped.Short())
	w.mustFetch(side(bob), dropped)
	w.lost()
	w.mustFetch(w.head(), dropped)
}

// A side branch may name whom it likes: neither that nor a merge by one side's signers
// gets anybody in.
func TestAMergeNeedsBothSides(t *testing.T) {
	w, ann, first := newAuthorizedWorld(t)
	eve := newPen(t, "eve")
	w.git("checkout", "-q", "-b", "side")
	named := w.allow(&ann, ann, eve)
	w.signed(&eve, "side", "1")
	merge := func(by pen) (Result, error) {
		w.git("checkout", "-q", "main")
		w.git("reset", "-q", "--hard", string(first))
		w.signed(&ann, "a", "2")
		w.git("merge", "-q", "--no-ff", "-m", "merge", "side")
		w.sign(by)
		w.push()
		return w.fetch(w.head(), first)
	}
	_, err := merge(eve)
	wantRejected(t, err, reconcile.GateUnverified, "not allowed", w.head().Short())
	if _, err := merge(ann); err != nil {
		t.Errorf("Fetch of a merge whose signer both sides allow: %v", err)
	}

	t.Log("the side lets nobody but eve merge it")
	w.git("checkout", "-q", "side")
	alone := w.allow(&eve, eve)
	_, err = merge(ann)
	wantRejected(t, err, reconcile.GateUnverified, "not allowed", alone.Short())
	w.git("checkout", "-q", "side")
	w.git("reset", "-q", "--hard", string(named))

	t.Log("an unsigned commit on it")
	unsigned := w.commit("side", "unsigned")
	_, err = merge(ann)
	wantRejected(t, err, reconcile.GateUnverified, "not signed", unsigned.Short())
}

// A commit that nothing is before has nobody who could allow it.
func TestAnotherRepositoryIsNotMerged(t *testing.T) {
	w, ann, first := newAuthorizedWorld(t)
	w.git("checkout", "-q", "--orphan", "other")
	other := w.signed(&ann, "other", "1")
	w.git("checkout", "-q", "main")
	w.git("merge", "-q", "--allow-unrelated-histories", "--no-ff", "-m", "merge", "other")
	w.sign(ann)
	w.push()
	_, err := w.fetch(w.head(), first)
	wantRejected(t, err, reconcile.GateUnverified, other.Short(), "no commit is before it")

	t.Log("more of it is no better")
	w.git("checkout", "-q", "other")
	w.git("rm", "-q", "-r", "keys")
	w.git("commit", "-q", "--amend", "-m", "without keys")
	w.sign(ann)
	w.signed(&ann, "other", "2")
	w.git("checkout", "-q", "main")
	w.git("reset", "-q", "--hard", string(first))
	w.git("merge", "-q", "--allow-unrelated-histories", "--no-ff", "-m", "merge", "other")
	w.sign(ann)
	w.push()
	_, err = w.fetch(w.head(), first)
	wantRejected(t, err, reconcile.GateUnverified, "3 commits since", w.git("rev-parse", "other^")[:8], "no commit is before it")
}

// A rewind replaces the descent alone: the keys are those of the commit that was accepted
// last, though the store has lost it. It is no leave for a descendant.
func TestARewindIsVerifiedByTheAnchorsFile(t *testing.T) {
	w, ann, first := newAuthorizedWorld(t)
	bob := newPen(t, "bob")
	w.allow(&ann, ann, bob)
	before := w.head()
	anchor := w.allow(&bob, bob)
	w.push()
	w.mustFetch(anchor, first)
	rewind := func(tip reconcile.Commit) error {
		_, err := w.fetcher.Fetch(t.Context(), Request{Remote: "origin", Tip: tip, Anchor: anchor, AllowRewind: tip})
		return err
	}
	unsigned := w.commit("a", "2")
	w.signed(&bob, "a", "3")
	w.push()
	wantRejected(t, rewind(w.head()), reconcile.GateUnverified, unsigned.Short(), "not signed")

	for _, by := range []struct {
		pen  pen
		want string
	}{{ann, "not allowed"}, {bob, ""}} {
		w.git("reset", "-q", "--hard", string(before))
		tip := w.signed(&by.pen, "a", "4")
		w.push()
		w.git("push", "-q", "-f", "origin", string(anchor)+":refs/heads/before") // the server has it still
		for _, store := range []string{"kept", "lost"} {
			if store == "lost" {
				w.lost()
			}
			err := rewind(tip)
			if by.want != "" {
				wantRejected(t, err, reconcile.GateUnverified, by.want, anchor.Short())
			} else if err != nil {
				t.Errorf("store %s, signed by a key of the anchor: %v", store, err)
			}
		}
	}
}

// A server that keeps the file of a parent back makes nothing accepted, and proves
// nothing against the commit.
func TestServerThatHidesTheSigners(t *testing.T) {
	w, ann, first := newAuthorizedWorld(t)
	tip := w.rotated(ann)
	w.lost()
	git := w.handler
	w.handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		if bytes.Contains(body, []byte("command=fetch")) {
			rw.Header().Set("Content-Type", "application/x-git-upload-pack-result")
			_, _ = io.WriteString(rw, "000dpackfile\n0025\x01PACK\x00\x00\x00\x02\x00\x00\x00\x00"+emptySum+"0000")
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		git.ServeHTTP(rw, r)
	})
	_, err := w.fetch(tip, first)
	wantSuspected(t, err, signers, "does not give object")
}

// A node may refuse a key whatever the repository says.
func TestARevokedKeyInTheRepository(t *testing.T) {
	w, ann, first := newAuthorizedWorld(t)
	revoked := filepath.Join(t.TempDir(), "revoked")
	_, key, _ := strings.Cut(ann.line, " ")
	if err := os.WriteFile(revoked, []byte(key), 0o600); err != nil {
		t.Fatal(err)
	}
	w.fetcher.opts.Trust.Files = signature.Files{Revocation: revoked}
	tip := w.signed(&ann, "a", "2")
	w.push()
	_, err := w.fetch(tip, first)
	wantRejected(t, err, reconcile.GateUnverified, "is revoked")
	if err := os.WriteFile(revoked, []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = w.fetch(tip, first)
	if _, rejected := reconcile.RejectedBy(err); err == nil || rejected || !strings.Contains(err.Error(), revoked) {
		t.Errorf("Fetch: %v, want a passing error that names the node's own file", err)
	}
}

// A branch that was begun before the store was is verified by the file where it began.
func TestAuthorizationsOfAnOldBranch(t *testing.T) {
	for _, filter := range []string{"false", "true"} {
		t.Run("filter "+filter, func(t *testing.T) {
			w := newWorld(t)
			w.run(w.bare, "git", "config", "uploadpack.allowFilter", filter)
			ann, bob := newPen(t, "ann"), newPen(t, "bob")
			introduction := w.allow(nil, ann)
			var fork reconcile.Commit
			for i := range 60 {
				if w.signed(&ann, "a", fmt.Sprint(i)); i == 5 {
					fork = w.head()
				}
			}
			w.allow(&ann, ann, bob)
			anchor := w.allow(&ann, bob)
			w.authorize(introduction)
			w.push()
			w.mustFetch(anchor, "")
			got := func() error { // by a node that has the anchor alone, of this history
				tip := w.head()
				w.git("push", "-q", "-f", "origin", string(anchor)+":main")
				w.lost()
				w.mustFetch(anchor, anchor)
				w.push()
				w.packs.Store(0)
				_, err := w.fetch(tip, anchor)
				return err
			}
			side := func(by pen) reconcile.Commit {
				w.git("checkout", "-q", "-B", "side", string(fork))
				first := w.signed(&by, "side", "1")
				w.allow(&by, ann, bob)
				w.git("checkout", "-q", "main")
				w.git("reset", "-q", "--hard", string(anchor))
				w.git("merge", "-q", "-s", "ours", "--no-ff", "-m", "merge", "side")
				w.sign(bob)
				return first
			}
			first := side(bob) // who was not allowed there yet
			wantRejected(t, got(), reconcile.GateUnverified, first.Short(), "not allowed", fork.Short())
			side(ann)
			if err := got(); err != nil {
				t.Errorf("Fetch of a side branch by who could sign there: %v", err)
			}
			if n, most := w.packs.Load(), map[string]int64{"false": 3, "true": 6}[filter]; n > most {
				t.Errorf("asked for %d packs, want %d: what is new, history twice, and the way to one file, step by step with filters", n, most)
			}

			t.Log("a merge of what is in the history already")
			w.git("reset", "-q", "--hard", string(anchor))
			w.git("reset", "-q", "--soft", w.git("commit-tree", "-m", "merge", "-p", string(anchor), "-p", string(fork), "HEAD^{tree}"))
			w.sign(bob) // whom the fork does not know
			wantRejected(t, got(), reconcile.GateUnverified, w.head().Short(), "not allowed", fork.Short())
		})
	}
}

// The testing branch is verified alike.
func TestAuthorizationsOfTheTestingBranch(t *testing.T) {
	w, ann, first := newAuthorizedWorld(t)
	w.fetcher.opts.Testing = "testing"
	bob := newPen(t, "bob")
	w.allow(&ann, bob)
	w.signed(&bob, "a", "2")
	for _, by := range []pen{bob, ann} {
		tip := w.signed(&by, "a", "3")
		w.git("push", "-q", "-f", "origin", "HEAD:testing")
		_, err := w.fetcher.Fetch(t.Context(), Request{Remote: "origin", Testing: true, Tip: tip, Anchor: first})
		if by.line == bob.line {
			if err != nil {
				t.Errorf("Fetch of a commit that bob signed: %v", err)
			}
			continue
		}
		wantRejected(t, err, reconcile.GateUnverified, "not allowed")
	}
}

// A thief of a key, who has the server too, can show a node that was off another branch
// from before the key was dropped. A newer introduction, or a revocation, is what helps.
func TestAStolenKeyAndANodeThatWasOff(t *testing.T) {
	w, ann, first := newAuthorizedWorld(t)
	bob := newPen(t, "bob")
	w.allow(&ann, ann, bob)
	dropped := w.allow(&bob, bob)
	w.git("checkout", "-q", "--detach", string(first))
	stolen := w.signed(&ann, "a", "evil")
	w.push()
	w.mustFetch(stolen, first)
	_, err := w.fetch(stolen, dropped)
	wantRejected(t, err, reconcile.GateUnverified, "diverged")
	w.lost()
	w.authorize(dropped)
	_, err = w.fetch(stolen, "")
	wantRejected(t, err, reconcile.GateUnverified, "diverged")
}

// As in the node's own files, the date is the commit's own.
func TestAuthorizationsExpire(t *testing.T) {
	w := newWorld(t)
	ann := newPen(t, "ann")
	key := strings.TrimPrefix(ann.line, "ann ")
	first := w.signed(nil, signers, `ann valid-before="20240101000030Z" `+key) // the world's clock begins at 2024-01-01 00:00:00
	w.authorize(first)
	w.push()
	w.mustFetch(first, "")
	w.clock = 20
	tip := w.signed(&ann, "a", "1")
	w.push()
	w.mustFetch(tip, first)
	w.clock = 40
	late := w.signed(&ann, "a", "2")
	w.push()
	_, err := w.fetch(late, first)
	wantRejected(t, err, reconcile.GateUnverified, "was not allowed any more", late.Short())
}
