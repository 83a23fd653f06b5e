package laws

import (
	"context"
	"testing"

	"github.com/infra-agent/infra-agent/agent"
	"github.com/infra-agent/infra-agent/reconcile"
)

// A Builder is what the laws of [agent.Nix] need.
type Builder struct {
	Nix           agent.Nix
	Dir           string // a tree that can be added
	Configuration string

	Good, Unevaluable, Unbuildable reconcile.Revision

	Rooted func(path string) bool // it outlives a garbage collection
}

// Nix are the laws of [agent.Nix].
var Nix = []Law[Builder]{
	{"what is added has one place, and a root", func(t testing.TB, b Builder) {
		first, err := b.Nix.Add(t.Context(), b.Dir, "source")
		if err != nil || first == "" {
			t.Fatalf("got %q, %v", first, err)
		}
		if again, err := b.Nix.Add(t.Context(), b.Dir, "source"); err != nil || again != first {
			t.Errorf("once more: got %q, %v, want %q", again, err, first)
		}
		if gone := "/nix/store/0c0wiqhlf3l3sn8ms5rkclb0snfmvkq6-gone"; !b.Nix.Has(first) || b.Nix.Has(gone) || b.Nix.Has(b.Dir) || b.Nix.Has("") {
			t.Errorf("it has %s: %t, %s: %t, and %s: %t", first, b.Nix.Has(first), gone, b.Nix.Has(gone), b.Dir, b.Nix.Has(b.Dir))
		}
	}},
	{"an evaluation says each time the same, and builds nothing", func(t testing.TB, b Builder) {
		drv, top, err := b.Nix.Evaluate(t.Context(), b.Good, b.Configuration)
		if err != nil || drv == "" || top == "" {
			t.Fatalf("got %q, %q, %v", drv, top, err)
		}
		drv2, top2, err := b.Nix.Evaluate(t.Context(), b.Good, b.Configuration)
		if err != nil || drv2 != drv || top2 != top {
			t.Errorf("once more: got %q, %q, %v", drv2, top2, err)
		}
		if b.Rooted(string(top)) {
			t.Errorf("%s is there", top)
		}
	}},
	{"what the commit gets wrong in an evaluation is rejected", func(t testing.TB, b Builder) {
		_, _, err := b.Nix.Evaluate(t.Context(), b.Unevaluable, b.Configuration)
		if gate, _ := reconcile.RejectedBy(err); gate != reconcile.GateEvaluate {
			t.Errorf("got %v", err)
		}
	}},
	{"it is shown that builds work, and evaluations anew", func(t testing.TB, b Builder) {
		for _, anew := range []bool{false, true} {
			if err := b.Nix.Prove(t.Context(), b.Good, b.Configuration, anew); err != nil {
				t.Errorf("anew %t: %v", anew, err)
			}
		}
	}},
	{"what is built stays until its root is given up", func(t testing.TB, b Builder) {
		from := b.evaluated(t, b.Good)
		reports := 0
		if err := b.Nix.Build(t.Context(), from, "built", func(reconcile.Progress) { reports++ }); err != nil {
			t.Fatal(err)
		}
		if !b.Rooted(string(from.Toplevel)) || reports == 0 {
			t.Errorf("%s is rooted: %t; progress was reported %d times", from.Toplevel, b.Rooted(string(from.Toplevel)), reports)
		}
		if err := b.Nix.Unroot("source"); err != nil || b.Rooted(string(from.Toplevel)) {
			t.Errorf("given up: %v; %s is rooted: %t", err, from.Toplevel, b.Rooted(string(from.Toplevel)))
		}
	}},
	{"only what is kept has a root", func(t testing.TB, b Builder) {
		path, err := b.Nix.Add(t.Context(), b.Dir, "source")
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"a", "b"} {
			if err := b.Nix.Root(t.Context(), name, path); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.Nix.Unroot("a"); err != nil || !b.Rooted(path) {
			t.Errorf("kept: %v, rooted %t", err, b.Rooted(path))
		}
		if err := b.Nix.Unroot(); err != nil || b.Rooted(path) {
			t.Errorf("not kept: %v, rooted %t", err, b.Rooted(path))
		}
	}},
	{"a build that fails is an error", func(t testing.TB, b Builder) {
		from := b.evaluated(t, b.Unbuildable)
		if err := b.Nix.Build(t.Context(), from, "built", func(reconcile.Progress) {}); err == nil || b.Rooted(string(from.Toplevel)) {
			t.Errorf("got %v, rooted %t", err, b.Rooted(string(from.Toplevel)))
		}
	}},
	{"what no binary cache has is not copied, which is not held against the commit", func(t testing.TB, b Builder) {
		from := b.evaluated(t, b.Unbuildable)
		err := b.Nix.Copy(t.Context(), from.Toplevel, "built", func(reconcile.Progress) {})
		if _, rejected := reconcile.RejectedBy(err); err == nil || rejected || b.Rooted(string(from.Toplevel)) {
			t.Errorf("got %v, rooted %t", err, b.Rooted(string(from.Toplevel)))
		}
	}},
	{"a build ends with its context", func(t testing.TB, b Builder) {
		from := b.evaluated(t, b.Good)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := b.Nix.Build(ctx, from, "built", func(reconcile.Progress) {}); err == nil {
			t.Error("it was built")
		}
	}},
}

// evaluated returns what comes of an evaluation.
func (b Builder) evaluated(t testing.TB, rev reconcile.Revision) (e reconcile.Evaluated) {
	t.Helper()
	var err error
	e.Revision, e.Target.Configuration = rev, b.Configuration
	if e.Derivation, e.Toplevel, err = b.Nix.Evaluate(t.Context(), rev, b.Configuration); err != nil {
		t.Fatal(err)
	}
	return e
}
