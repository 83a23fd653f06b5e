package laws

import (
	"context"
	"testing"

	"github.com/infra-agent/infra-agent/agent"
	"github.com/infra-agent/infra-agent/reconcile"
)

// A Publication is what the laws of [agent.Manifests] need: somebody evaluated the commit, and
// its manifest names the node's system.
type Publication struct {
	Manifests agent.Manifests
	Commit    reconcile.Fetched
	Node      string
	System    reconcile.Toplevel

	Withdraw, Restore func() // the manifest
	Audits            func() // from now on the node is to evaluate as well
	Lose              func() // from now on the registry has the node no more
}

func (p Publication) plan(ctx context.Context) (agent.Planned, error) {
	return p.Manifests.Plan(ctx, reconcile.Plan{From: p.Commit})
}

func (p Publication) named(t testing.TB) agent.Planned {
	t.Helper()
	got, err := p.plan(t.Context())
	if err != nil || got.Target.Node != p.Node || got.Target.Configuration == "" || got.Toplevel != p.System || got.Derivation == "" ||
		got.Manifest.Place == "" || got.Manifest.Signer == "" || !got.Manifest.Pinned.IsZero() {
		t.Errorf("got %+v, %v", got, err)
	}
	return got
}

// Manifests are the laws of [agent.Manifests].
var Manifests = []Law[Publication]{
	{"a manifest names the node's system and who says so, each time the same", func(t testing.TB, p Publication) {
		for range 2 {
			if got := p.named(t); got.Audit {
				t.Error("it is to be evaluated, too")
			}
		}
	}},
	{"that there is none may pass", func(t testing.TB, p Publication) {
		p.Withdraw()
		_, err := p.plan(t.Context())
		if _, rejected := reconcile.RejectedBy(err); err == nil || rejected {
			t.Errorf("got %v", err)
		}
		p.Restore()
		p.named(t)
	}},
	{"that the registry lacks the node is the commit's mistake", func(t testing.TB, p Publication) {
		p.Lose()
		_, err := p.plan(t.Context())
		if gate, rejected := reconcile.RejectedBy(err); !rejected || gate != reconcile.GateIdentity {
			t.Errorf("got %v", err)
		}
	}},
	{"a node that is to evaluate as well is told so", func(t testing.TB, p Publication) {
		p.Audits()
		if got := p.named(t); !got.Audit {
			t.Error("it is not to be evaluated")
		}
	}},
	{"what is asked when it is too late is not held against the commit", func(t testing.TB, p Publication) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := p.plan(ctx)
		if _, rejected := reconcile.RejectedBy(err); err == nil || rejected {
			t.Errorf("got %v", err)
		}
	}},
}
