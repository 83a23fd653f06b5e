package source

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/infra-agent/infra-agent/reconcile"
)

// noise is text that does not compress.
func noise(seed byte, size int) string {
	data := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(data)
	return string(data)
}

// A change of a large file costs the change: the server sends it as a delta to the file
// that the store has.
func TestCostOfAChangeInALargeFile(t *testing.T) {
	w := newWorld(t)
	large := noise(1, 400_000)
	w.write("dir/other", noise(2, 1000))
	anchor := w.pushed("dir/large", large)
	w.mustFetch(anchor, "")
	for i := range 3 {
		tip := w.pushed("dir/large", fmt.Sprint(large[:200_000], "a line ", i, large[200_000:]))
		before := w.served.Load()
		if got := w.mustFetch(tip, anchor); got.Commits != 1 {
			t.Errorf("Commits = %d, want 1", got.Commits)
		}
		if cost := w.served.Load() - before; cost > 3000 {
			t.Errorf("push %d costs %d bytes, want at most 3000 of 400000", i, cost)
		}
		w.wholeTip()
		anchor = tip
	}
}

// A server may take the store for a whole repository, and send a delta to what it has not.
// Then it is asked once more, for a pack that needs nothing.
func TestADeltaToWhatTheStoreLacks(t *testing.T) {
	w := newWorld(t)
	large := noise(3, 100_000)
	before := w.commit("large", large)
	w.git("rm", "-q", "large")
	anchor := w.pushed("a", "1")
	w.mustFetch(anchor, "")
	tip := w.pushed("large", large+"one more line")
	git, asked := w.handler, []bool{}
	w.handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		if r.Method != http.MethodPost {
			git.ServeHTTP(rw, r)
			return
		}
		thin := bytes.Contains(body, []byte("thin-pack"))
		asked = append(asked, thin)
		if !thin {
			git.ServeHTTP(rw, r)
			return
		}
		rw.Header().Set("Content-Type", "application/x-git-upload-pack-result")
		_, _ = io.WriteString(rw, "0008NAK\n")
		pack := w.thinPack(string(tip), "^"+string(before))
		_, _ = fmt.Fprintf(rw, "%04x\x01%s0000", len(pack)+5, pack)
	})
	w.mustFetch(tip, anchor)
	if fmt.Sprint(asked) != "[true false]" {
		t.Errorf("asked for thin packs: %v, want once, and then for another", asked)
	}
	w.wholeTip()
}

// thinPack returns a thin pack that git makes of revisions.
func (w *world) thinPack(revisions ...string) []byte {
	w.t.Helper()
	cmd := exec.CommandContext(w.t.Context(), "git", "pack-objects", "--quiet", "--revs", "--stdout", "--delta-base-offset", "--thin")
	cmd.Dir, cmd.Stdin = w.bare, strings.NewReader(strings.Join(revisions, "\n")+"\n")
	out, err := cmd.Output()
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

// What is completed is what git itself takes, and no more than the limits allow.
func TestCompletingAPack(t *testing.T) {
	w := newWorld(t)
	large := noise(4, 100_000)
	anchor := w.pushed("large", large)
	w.mustFetch(anchor, "")
	thin := w.thinPack(string(w.pushed("large", large+"one more line")), "^"+string(anchor))
	s, err := openStore(w.store)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	spooled := func(pack []byte) (*os.File, map[plumbing.Hash]bool) {
		t.Helper()
		f, bases, err := spool(bytes.NewReader(pack), t.TempDir(), roomy)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f, bases
	}
	f, bases := spooled(thin)
	if len(bases) != 1 {
		t.Fatalf("%d bases, want the file alone", len(bases))
	}
	if err := complete(f, bases, s, roomy); err != nil {
		t.Fatal(err)
	}
	index := exec.CommandContext(t.Context(), "git", "index-pack", "--stdin")
	index.Dir, index.Stdin = w.run(t.TempDir(), "sh", "-c", "git init -q --bare . && pwd"), f
	if out, err := index.CombinedOutput(); err != nil {
		t.Errorf("git does not take it: %v: %s", err, out)
	}

	f, bases = spooled(thin)
	small := roomy
	small.TreeBytes = 10
	wantRejected(t, complete(f, bases, s, small), reconcile.GateUnverified, "deltas to more than 80 bytes", "raise limits.tree_bytes")

	thin[len(thin)-1] ^= 1
	f, bases = spooled(thin)
	if err := complete(f, bases, s, roomy); !errors.Is(err, errPack) {
		t.Errorf("with another sum: got %v", err)
	}
}
