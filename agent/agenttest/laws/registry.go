package laws

import (
	"path/filepath"
	"testing"

	"github.com/infra-agent/infra-agent/agent"
	"github.com/infra-agent/infra-agent/reconcile"
)

// A Fleet is what the laws of [agent.Registry] need.
type Fleet struct {
	Registry agent.Registry
	Revision reconcile.Revision // its registry has the node
	Node     string
	Files    string // a directory with the revision's files
	Lose     func() // from now on the registry has it no more
}

// Registry are the laws of [agent.Registry].
var Registry = []Law[Fleet]{
	{"a node finds itself, each time the same", func(t testing.TB, f Fleet) {
		for range 2 {
			if got, err := f.Registry.Resolve(t.Context(), f.Revision); err != nil || got.Node != f.Node || got.Configuration == "" {
				t.Errorf("got %+v, %v", got, err)
			}
		}
	}},
	{"that the registry lacks the node is the commit's mistake", func(t testing.TB, f Fleet) {
		f.Lose()
		_, err := f.Registry.Resolve(t.Context(), f.Revision)
		if gate, rejected := reconcile.RejectedBy(err); !rejected || gate != reconcile.GateIdentity {
			t.Errorf("got %v", err)
		}
	}},
	{"what is kept of the files says the same, and is known again", func(t testing.TB, f Fleet) {
		dir, err := f.Registry.Keep(f.Files, filepath.Join(t.TempDir(), "kept"))
		if err != nil || !f.Registry.Kept(dir) || f.Registry.Kept(t.TempDir()) || f.Registry.Kept("") {
			t.Fatalf("kept in %q: %v", dir, err)
		}
		rev := f.Revision
		rev.Tree = dir
		if got, err := f.Registry.Resolve(t.Context(), rev); err != nil || got.Node != f.Node {
			t.Errorf("got %+v, %v", got, err)
		}
	}},
	{"what is found in another way is not known", func(t testing.TB, f Fleet) {
		_, known, err := f.Registry.ResolveAs(t.Context(), f.Revision, reconcile.Newcomer{HostName: f.Node, Identity: "another"})
		if known || err != nil {
			t.Errorf("got %v, %v", known, err)
		}
	}},
}
