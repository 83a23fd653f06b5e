package laws

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/infra-agent/infra-agent/agent"
	"github.com/infra-agent/infra-agent/reconcile"
)

// A Disk is what the laws of [agent.Store] need.
type Disk struct {
	Store agent.Store
	Read  func() reconcile.Record // what the next agent finds
}

// Store are the laws of [agent.Store].
var Store = []Law[Disk]{
	{"what is written is what the next agent finds, in each phase", func(t testing.TB, d Disk) {
		for _, p := range reconcile.Phases {
			want := reconcile.New()
			want.Anchor, want.Phase = "c1", p
			if wrote, err := d.Store.Save(want); err != nil || !wrote {
				t.Fatalf("%s: got %v, %v", reconcile.Name(p), wrote, err)
			}
			if diff := cmp.Diff(want, d.Read(), cmpopts.IgnoreFields(reconcile.Record{}, "Work")); diff != "" {
				t.Errorf("%s (-want +got):\n%s", reconcile.Name(p), diff)
			}
		}
	}},
	{"counters alone are no reason to write, and are written with the next change", func(t testing.TB, d Disk) {
		rec := reconcile.New()
		rec.Anchor = "c1"
		save := func(want bool) {
			t.Helper()
			if wrote, err := d.Store.Save(rec); err != nil || wrote != want {
				t.Errorf("got %v, %v, want %v", wrote, err, want)
			}
		}
		save(true)
		save(false)
		rec.Tally.LastPollOK = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		save(false)
		rec.Work.Errors = 3
		save(false)
		rec.Anchor = "c2"
		save(true)
		if got := d.Read(); !got.Tally.LastPollOK.Equal(rec.Tally.LastPollOK) || got.Work.Errors != 0 {
			t.Errorf("got %+v", got)
		}
	}},
}
