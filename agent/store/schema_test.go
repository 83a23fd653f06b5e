package store

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/infra-agent/infra-agent/reconcile"
)

// state-1.json was written by the first release, and must be read by every later one.
func TestSchemaOneIsReadForEver(t *testing.T) {
	const golden = "testdata/state-1.json"
	got, err := ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	want := full(phases[3])
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(reconcile.Watch{})); diff != "" {
		t.Errorf("%s reads differently (-want +got):\n%s", golden, diff)
	}
	record, err := encodeRecord(want, true, nil)
	if err != nil {
		t.Fatal(err)
	}
	data, err := encodeFile(record, version{1, 1})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(read(t, golden)), string(data)); diff != "" {
		t.Errorf("schema 1 is written differently; only new fields may come, and with them a new golden file (-want +got):\n%s", diff)
	}
}

func TestUnknownFieldsAreCarriedAlong(t *testing.T) {
	dir := t.TempDir()
	record, err := encodeRecord(full(reconcile.Idle{}), true, json.RawMessage(`{"wave_gate":{"open":[1,2],"html":"<b>"}}`))
	if err != nil {
		t.Fatal(err)
	}
	data, err := encodeFile(record, version{2, 1})
	if err != nil {
		t.Fatal(err)
	}
	path := write(t, dir, data)
	s, rec := mustOpen(t, dir, version{1, 1})
	if rec.Unreadable != "" {
		t.Fatalf("a record of schema 2 for readers of 1 was refused: %s", rec.Unreadable)
	}
	rec.Anchor = revA
	mustSave(t, s, rec)
	var f struct {
		Schema int `json:"schema"`
		Record struct {
			Anchor   reconcile.Commit `json:"anchor"`
			WaveGate struct {
				Open []int
				HTML string
			} `json:"wave_gate"`
		} `json:"record"`
	}
	if err := json.Unmarshal(read(t, path), &f); err != nil {
		t.Fatal(err)
	}
	if f.Record.Anchor != revA || f.Record.WaveGate.HTML != "<b>" || !cmp.Equal(f.Record.WaveGate.Open, []int{1, 2}) {
		t.Errorf("after a write by an older agent the record holds %+v, want the new anchor and the newer agent's field", f.Record)
	}
	if f.Schema != 1 {
		t.Errorf("schema is %d, want that of the writer, 1", f.Schema)
	}
	if _, err := ReadFile(path); err != nil {
		t.Errorf("reading it back: %v", err)
	}
}

func TestSchemaStaysUntilADeploymentEnds(t *testing.T) {
	tests := []struct {
		name    string
		on, own version
		phases  []reconcile.Phase
		want    []version // after each phase
	}{
		{
			"upgraded during a trial",
			version{1, 1},
			version{2, 2},
			[]reconcile.Phase{phases[3], phases[4], reconcile.Idle{}, phases[1]},
			[]version{{1, 1}, {1, 1}, {2, 2}, {2, 2}},
		},
		{
			"upgraded, then rolled back",
			version{1, 1},
			version{3, 2},
			[]reconcile.Phase{phases[3], phases[5], phases[6], phases[7], phases[8]},
			[]version{{1, 1}, {1, 1}, {1, 1}, {1, 1}, {1, 1}},
		},
		{"downgraded", version{3, 1}, version{2, 1}, []reconcile.Phase{phases[6], reconcile.Idle{}}, []version{{2, 1}, {2, 1}}},
		{"two schemas up", version{2, 1}, version{4, 3}, []reconcile.Phase{phases[2]}, []version{{2, 2}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			record, err := encodeRecord(full(phases[2]), true, nil)
			if err != nil {
				t.Fatal(err)
			}
			data, err := encodeFile(record, tt.on)
			if err != nil {
				t.Fatal(err)
			}
			path := write(t, dir, data)
			s, rec := mustOpen(t, dir, tt.own)
			for i, p := range tt.phases {
				rec.Phase, rec.Rewind = p, reconcile.Commit(strings.Repeat("0123456789abcdef"[i:i+1], 40)) // some change
				mustSave(t, s, rec)
				var f file
				if err := json.Unmarshal(read(t, path), &f); err != nil {
					t.Fatal(err)
				}
				if got := (version{f.Schema, f.MinReader}); got != tt.want[i] {
					t.Errorf("in %s it writes %v, want %v", reconcile.Name(p), got, tt.want[i])
				}
			}
		})
	}
}

func TestFirstRecordHasTheAgentsOwnSchema(t *testing.T) {
	s, _ := mustOpen(t, t.TempDir(), version{2, 1})
	mustSave(t, s, full(phases[1]))
	var f file
	if err := json.Unmarshal(read(t, s.path), &f); err != nil {
		t.Fatal(err)
	}
	if f.Schema != 2 || f.MinReader != 1 {
		t.Errorf("got schema %d for readers of %d, want 2 and 1", f.Schema, f.MinReader)
	}
}

// What a newer agent added at any depth is there still when an older one has written, as
// long as what it was added to is.
func TestUnknownFieldsAreCarriedAlongAtAnyDepth(t *testing.T) {
	rec := full(phases[3])
	plain, err := encodeRecord(rec, true, nil)
	if err != nil {
		t.Fatal(err)
	}
	newer := string(plain)
	for _, change := range [][2]string{
		{`"good":{`, `"good":{"signed_by":"alice",`},
		{`"suspended":{`, `"suspended":{"by":"alice",`},
		{`"blocked":{"` + string(topB) + `":{`, `"blocked":{"` + string(topB) + `":{"manifest":"m",`},
		{`"data":{`, `"data":{"reboots":2,`},
		{`"baseline":{`, `"baseline":{"load":[1,2],`},
		{`"history":[{`, `"history":[{"approved":"bob",`},
		{`"owed":[{`, `"owed":[{"asked_by":"carol",`},
	} {
		if !strings.Contains(newer, change[0]) {
			t.Fatalf("no %s in %s", change[0], newer)
		}
		newer = strings.Replace(newer, change[0], change[1], 1)
	}
	dir := t.TempDir()
	data, err := encodeFile([]byte(newer), version{2, 1})
	if err != nil {
		t.Fatal(err)
	}
	path := write(t, dir, data)
	s, got := mustOpen(t, dir, version{1, 1})
	got.Rewind = revB
	mustSave(t, s, got)
	text := string(read(t, path))
	for _, want := range []string{`"signed_by": "alice"`, `"by": "alice"`, `"manifest": "m"`, `"reboots": 2`, `"load": [`, `"approved": "bob"`, `"asked_by": "carol"`} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is gone:\n%s", want, text)
		}
	}
	got.Blocked, got.Phase, got.History[0].Subject = nil, reconcile.Idle{}, "another"
	mustSave(t, s, got)
	text = string(read(t, path))
	for _, gone := range []string{`"manifest"`, `"reboots"`, `"load"`, `"approved"`} {
		if strings.Contains(text, gone) {
			t.Errorf("%s outlived what it was added to", gone)
		}
	}
	if !strings.Contains(text, `"signed_by": "alice"`) {
		t.Errorf("the second write lost what the first one carried:\n%s", text)
	}
}

// A phase of a newer agent is left in the direction of the old system.
func TestAPhaseOfANewerAgent(t *testing.T) {
	plain, err := encodeRecord(full(phases[3]), true, nil)
	if err != nil {
		t.Fatal(err)
	}
	data, err := encodeFile([]byte(strings.Replace(string(plain), `"name":"confirming"`, `"name":"rebooting_on_trial"`, 1)), version{2, 1})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write(t, dir, data)
	_, rec := mustOpen(t, dir, version{1, 1})
	p, back := rec.Phase.(reconcile.RollingBack)
	if rec.Unreadable != "" || !back || p.Deployment.ID != deployment.ID || !p.Promoted || p.Cause.Reason != reconcile.ReasonAgent {
		t.Fatalf("unreadable: %q, phase %+v, want the way back of %s", rec.Unreadable, rec.Phase, deployment.ID)
	}
	if b, is := rec.Blocked[topB]; !is || !strings.Contains(b.Why, "rebooting_on_trial") {
		t.Errorf("the new system is blocked for %+v", rec.Blocked)
	}
}
