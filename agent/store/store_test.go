package store

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/infra-agent/infra-agent/reconcile"
)

func mustOpen(t *testing.T, dir string, own version) (*Store, reconcile.Record) {
	t.Helper()
	s, rec, err := open(dir, own)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s, rec
}

func mustSave(t *testing.T, s *Store, rec reconcile.Record) {
	t.Helper()
	if wrote, err := s.Save(rec); err != nil || !wrote {
		t.Fatalf("Save() = %v, %v, want true, nil", wrote, err)
	}
}

func write(t *testing.T, dir string, data []byte) string {
	t.Helper()
	path := filepath.Join(dir, Name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestEveryPhaseSurvivesARestart(t *testing.T) {
	for _, p := range phases {
		t.Run(reconcile.Name(p), func(t *testing.T) {
			dir := t.TempDir()
			s, _ := mustOpen(t, dir, version{Schema, MinReader})
			want := full(p)
			mustSave(t, s, want)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			_, got := mustOpen(t, dir, version{Schema, MinReader})
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(reconcile.Watch{})); diff != "" {
				t.Errorf("after a restart the record differs (-want +got):\n%s", diff)
			}
			alone, err := Read(dir)
			if diff := cmp.Diff(want, alone, cmp.AllowUnexported(reconcile.Watch{})); err != nil || diff != "" {
				t.Errorf("Read() without the lock: %v (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestFirstStart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	_, got := mustOpen(t, dir, version{Schema, MinReader})
	if diff := cmp.Diff(reconcile.New(), got, cmp.AllowUnexported(reconcile.Watch{})); diff != "" {
		t.Errorf("without a file the record is not the empty one (-want +got):\n%s", diff)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("state directory: %v, %v, want mode 0700", info.Mode(), err)
	}
	if _, err := os.Stat(filepath.Join(dir, Name)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("opening wrote a record: %v", err)
	}
	if rec, err := Read(dir); err != nil || rec.Phase != (reconcile.Idle{}) {
		t.Errorf("Read() of no record = %v, %v, want the empty one", rec, err)
	}
}

func TestOneAgentAtATime(t *testing.T) {
	dir := t.TempDir()
	first, _ := mustOpen(t, dir, version{Schema, MinReader})
	if _, _, err := Open(dir); !errors.Is(err, ErrRunning) {
		t.Errorf("second Open: %v, want %v", err, ErrRunning)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	mustOpen(t, dir, version{Schema, MinReader})
}

func TestUnusableRecordsAreLeftAlone(t *testing.T) {
	good := read(t, "testdata/state-1.json")
	replace := func(old, by string) []byte {
		t.Helper()
		if bytes.Count(good, []byte(old)) != 1 {
			t.Fatalf("%q is not in the golden file exactly once", old)
		}
		return bytes.Replace(good, []byte(old), []byte(by), 1)
	}
	resealed := func(record string) []byte {
		data, err := encodeFile([]byte(record), version{1, 1})
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	tests := []struct {
		name string
		data []byte
		why  string
	}{
		{"empty", nil, "damaged: unexpected end of JSON input"},
		{"truncated", good[:100], "damaged: unexpected end of JSON input"},
		{"cut by one brace", good[:len(good)-2], "damaged: unexpected end of JSON input"},
		{"two files in one", append(bytes.Clone(good), good...), "damaged: invalid character '{' after top-level value"},
		{"a value changed", replace(`"approved": true`, `"approved": false`), "damaged: checksum is sha256:"},
		{"newer", replace(`"min_reader": 1`, `"min_reader": 3`), "written by a newer infra-agent: needs schema 3, this agent reads 2"},
		{"no checksum", replace(`"checksum": "sha256:`, `"checksum": "`), "damaged: checksum is sha256:"},
		{"no record", []byte(`{"schema":1,"min_reader":1}`), "damaged: checksum is none"},
		{"a later phase that cannot be read", resealed(`{"phase":{"name":"dreaming","data":[1]}}`), `damaged: phase "dreaming", which this agent does not know`},
		{"no phase", resealed(`{}`), "damaged: the phase has no name"},
		{"phase without data", resealed(`{"phase":{"name":"stuck"}}`), `damaged: phase "stuck": unexpected end of JSON input`},
		{"wrong type", resealed(`{"anchor":7,"phase":{"name":"idle"}}`), "damaged: json: cannot unmarshal number"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			path := write(t, dir, tt.data)
			s, rec := mustOpen(t, dir, version{2, 2})
			if !strings.HasPrefix(rec.Unreadable, path+": "+tt.why) {
				t.Errorf("Unreadable is %q, want %q", rec.Unreadable, path+": "+tt.why)
			}
			if rec.Phase != (reconcile.Idle{}) {
				t.Errorf("phase is %v, want idle", rec.Phase)
			}
			if wrote, err := s.Save(reconcile.New()); wrote || err == nil {
				t.Errorf("Save() = %v, %v, want a refusal", wrote, err)
			}
			if !bytes.Equal(read(t, path), tt.data) {
				t.Error("the file was changed")
			}
			if _, err := Read(dir); err == nil {
				t.Error("Read() without the lock accepts it")
			}
		})
	}
}

func TestOnlyWhatMattersIsWritten(t *testing.T) {
	dir := t.TempDir()
	s, _ := mustOpen(t, dir, version{Schema, MinReader})
	rec := full(reconcile.Idle{})
	mustSave(t, s, rec)
	before := read(t, s.path)
	rec.Tally.LastPollOK, rec.Tally.Consecutive = clock(59), 9
	if wrote, err := s.Save(rec); wrote || err != nil {
		t.Errorf("Save() of a changed tally = %v, %v, want no write", wrote, err)
	}
	if !bytes.Equal(read(t, s.path), before) {
		t.Error("the file changed with the tally")
	}
	rec.Suspended.Reason = "another reason"
	mustSave(t, s, rec)
	if got, err := Read(dir); err != nil || got.Tally.Consecutive != 9 {
		t.Errorf("the tally was not written with the next change: %v, %v", got.Tally, err)
	}

	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s, rec = mustOpen(t, dir, version{Schema, MinReader})
	if wrote, err := s.Save(rec); wrote || err != nil {
		t.Errorf("Save() of what was just read = %v, %v, want no write", wrote, err)
	}
}

func TestAFailedWriteIsTriedAgain(t *testing.T) {
	dir := t.TempDir()
	s, _ := mustOpen(t, dir, version{Schema, MinReader})
	mustSave(t, s, full(reconcile.Idle{}))
	path := s.path
	s.path = filepath.Join(dir, "gone", Name)
	next := full(phases[1])
	if wrote, err := s.Save(next); wrote || err == nil {
		t.Fatalf("Save() into a missing directory = %v, %v, want an error", wrote, err)
	}
	s.path = path
	mustSave(t, s, next)
}
