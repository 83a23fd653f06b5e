package source

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hiddeco/sshsig"
	"golang.org/x/crypto/ssh"

	"github.com/infra-agent/infra-agent/agent/signature"
	"github.com/infra-agent/infra-agent/reconcile"
)

// A pen signs commits; its line allows it to.
type pen struct {
	signer ssh.Signer
	line   string
}

func newPen(t *testing.T, name string) pen {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pen{signer, name + " " + string(ssh.MarshalAuthorizedKey(signer.PublicKey()))}
}

// sign replaces the work tree's newest commit by the same one, signed.
func (w *world) sign(p pen) reconcile.Commit {
	w.t.Helper()
	raw := w.git("cat-file", "commit", "HEAD") + "\n"
	sig, err := sshsig.Sign(strings.NewReader(raw), p.signer, sshsig.HashSHA512, "git")
	if err != nil {
		w.t.Fatal(err)
	}
	armor := strings.TrimSpace(string(bytes.ReplaceAll(sshsig.Armor(sig), []byte("\n"), []byte("\n "))))
	head, message, _ := strings.Cut(raw, "\n\n")
	file := w.work + "/.git/signed"
	if err := os.WriteFile(file, []byte(head+"\ngpgsig "+armor+"\n\n"+message), 0o600); err != nil {
		w.t.Fatal(err)
	}
	w.git("reset", "-q", "--soft", w.git("hash-object", "-w", "-t", "commit", file))
	return w.head()
}

// trust makes the fetcher ask for signatures of these pens.
func (w *world) trust(policy reconcile.TrustPolicy, pens ...pen) {
	w.t.Helper()
	var lines strings.Builder
	for _, p := range pens {
		lines.WriteString(p.line)
	}
	file := w.store + ".signers"
	if err := os.MkdirAll(w.store, 0o700); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(lines.String()), 0o600); err != nil {
		w.t.Fatal(err)
	}
	w.fetcher.opts.Trust = Trust{Policy: policy, Files: signature.Files{AllowedSigners: file}}
}

func TestPolicyTip(t *testing.T) {
	w := newWorld(t)
	ann, eve := newPen(t, "ann"), newPen(t, "eve")
	w.trust(reconcile.TrustTip, ann)

	w.commit("a", "1")
	first := w.sign(ann)
	w.push()
	if got := w.mustFetch(first, ""); got.Signer != "ann" {
		t.Errorf("signed by %q, want ann", got.Signer)
	}
	unsigned := w.pushed("a", "2")
	_, err := w.fetch(unsigned, first)
	wantRejected(t, err, reconcile.GateUnverified, "not signed", "hint:")
	wantVerdict(t, err, reconcile.VerdictUnsigned)
	w.commit("a", "3")
	byEve := w.sign(eve)
	w.push()
	_, err = w.fetch(byEve, first)
	wantRejected(t, err, reconcile.GateUnverified, "not allowed")
	wantVerdict(t, err, reconcile.VerdictUnknownKey)
	w.commit("a", "4")
	last := w.sign(ann)
	w.push()
	if got := w.mustFetch(last, first); got.Signer != "ann" {
		t.Errorf("signed by %q, want ann: only the tip counts", got.Signer)
	}
}

// A commit is read whole, twice; git's own are a few hundred bytes.
func TestALargeCommitIsNotVerified(t *testing.T) {
	w := newWorld(t)
	ann := newPen(t, "ann")
	w.trust(reconcile.TrustTip, ann)
	fetch := func(message int) error {
		text := filepath.Join(t.TempDir(), "message")
		if err := os.WriteFile(text, bytes.Repeat([]byte("x"), message), 0o600); err != nil {
			t.Fatal(err)
		}
		w.git("commit", "-q", "--allow-empty", "-F", text)
		head := w.sign(ann)
		w.push()
		_, err := w.fetch(head, "")
		return err
	}
	if err := fetch(1<<20 - 1000); err != nil {
		t.Errorf("Fetch of a commit of nearly 1 MiB: %v", err)
	}
	wantRejected(t, fetch(1<<20), reconcile.GateUnverified, "is larger than 1048576 bytes")
}

func TestPolicyAllReachesBehindMerges(t *testing.T) {
	w, ann, first := newSignedWorld(t)

	t.Log("an unsigned commit comes in through a signed merge")
	w.git("checkout", "-q", "-b", "side")
	side := w.commit("b", "1")
	w.git("checkout", "-q", "main")
	w.commit("a", "2")
	w.sign(ann)
	w.git("merge", "-q", "--no-ff", "-m", "merge", "side")
	merge := w.sign(ann)
	w.push()
	_, err := w.fetch(merge, first)
	wantRejected(t, err, reconcile.GateUnverified, side.Short(), "not signed")

	t.Log("a signed commit on top of it does not heal it")
	w.commit("a", "3")
	top := w.sign(ann)
	w.push()
	_, err = w.fetch(top, first)
	wantRejected(t, err, reconcile.GateUnverified, side.Short())
}

func TestUnreadableKeysAllowNobodyButAreNotTheCommitsFault(t *testing.T) {
	w := newWorld(t)
	ann := newPen(t, "ann")
	w.trust(reconcile.TrustTip, ann)
	w.fetcher.opts.Trust.Files.AllowedSigners = "/nonexistent/allowed_signers"
	w.commit("a", "1")
	head := w.sign(ann)
	w.push()
	_, err := w.fetch(head, "")
	_, noKeys := errors.AsType[*reconcile.KeysError](err)
	if _, rejected := reconcile.RejectedBy(err); !noKeys || rejected || !strings.Contains(err.Error(), "/nonexistent/allowed_signers") {
		t.Errorf("Fetch: %v, want a passing error that names the file, and says that the keys are lacking", err)
	}
	t.Log("a file with a mistake, which the child reads")
	w.trust(reconcile.TrustTip, pen{line: "ann of no key\n"})
	_, err = w.fetch(head, "")
	if _, noKeys := errors.AsType[*reconcile.KeysError](err); !noKeys {
		t.Errorf("Fetch: %v, want an error that says that the keys are lacking", err)
	}
}

func TestKeyRotation(t *testing.T) {
	w := newWorld(t)
	old, next := newPen(t, "old"), newPen(t, "next")
	w.trust(reconcile.TrustAll, old)
	w.commit("a", "1")
	first := w.sign(old)
	w.push()
	w.mustFetch(first, "")
	t.Log("the commit that brings the next key in is verified by the keys in force before")
	w.commit("a", "2")
	second := w.sign(next)
	w.push()
	_, err := w.fetch(second, first)
	wantRejected(t, err, reconcile.GateUnverified, "not allowed")
	w.trust(reconcile.TrustAll, old, next)
	w.mustFetch(second, first)
}

// Whatever order a walk has, the commit that is named is the one to begin with, and
// all are counted: the tip as well.
func TestPolicyAllNamesTheOldest(t *testing.T) {
	w, ann, first := newSignedWorld(t)
	w.commit("a", "1")
	w.sign(ann)
	oldest := w.commit("a", "2")
	w.commit("a", "3")
	w.sign(ann)
	for i := range 8 {
		w.commit("b", strings.Repeat("x", i))
	}
	tip := w.pushed("a", "4")
	_, err := w.fetch(tip, first)
	wantRejected(t, err, reconcile.GateUnverified, "10 commits since "+first.Short()+" are not accepted, the oldest is commit "+oldest.Short()+": ",
		"not signed", "push the branch again without it", `trust.policy = "tip"`)
	wantVerdict(t, err, reconcile.VerdictUnsigned)
	w.trust(reconcile.TrustTip, ann)
	w.commit("a", "5")
	w.sign(ann)
	w.push()
	w.mustFetch(w.head(), first) // what the hint names
}
