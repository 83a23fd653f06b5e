package guard

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/infra-agent/infra-agent/reconcile"
)

// The format is frozen for ever: a guard of the oldest release reads what the
// newest agent writes. testdata/guard.json must never change.
func TestFormatIsFrozen(t *testing.T) {
	golden, err := os.ReadFile("testdata/guard.json")
	if err != nil {
		t.Fatal(err)
	}
	want := File{
		ID: "20260329T010000", Boot: "7f1c1d3e-4a2b-4c5d-8e6f-0123456789ab", Mode: "trial", UntilNS: int64(690 * time.Second),
		Old:       "/nix/store/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-nixos-system-web-25.05",
		TrialUnit: "infra-agent-trial-20260329T010000-*.service", Reboot: true,
		Claim: Claim{At: time.Date(2026, 3, 29, 1, 11, 30, 0, time.UTC), Done: true}, Rebooted: true,
	}
	got, err := Dir("testdata").Read()
	if err != nil || got != want {
		t.Errorf("Read() = %+v, %v, want %+v", got, err, want)
	}
	dir := t.TempDir()
	if err := Dir(dir).Update(func(f *File) error { *f = want; return nil }); err != nil {
		t.Fatal(err)
	}
	written, err := os.ReadFile(filepath.Join(dir, "guard.json"))
	if err != nil || string(written) != string(golden) {
		t.Errorf("got %s (%v)\nwant %s", written, err, golden)
	}
	if ModeTrial != "trial" || ModeRollback != "rollback" || ModeOff != "off" {
		t.Errorf("got modes %s, %s, %s, want trial, rollback, off", ModeTrial, ModeRollback, ModeOff)
	}
}

func TestMissingFileGuardsNothing(t *testing.T) {
	if f, err := Dir(t.TempDir()).Read(); f != (File{}) || err != nil {
		t.Errorf("Read() = %+v, %v, want nothing", f, err)
	}
}

func TestARefusedOrEmptyChangeWritesNothing(t *testing.T) {
	dir := t.TempDir()
	no := errors.New("no")
	if err := Dir(dir).Update(func(f *File) error { f.ID = "x"; return no }); !errors.Is(err, no) {
		t.Errorf("Update() = %v, want %v", err, no)
	}
	if err := Dir(dir).Update(func(*File) error { return nil }); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dir, fileName)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file was written: %v", err)
	}
}

func TestADamagedFile(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, fileName), []byte(`{"id":"20260329T0`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Dir(dir).Read(); err == nil || !strings.HasPrefix(err.Error(), "read guard file: ") {
		t.Errorf("Read() = %v, want an error", err)
	}
	c := client(dir)
	if _, err := c.State(); err == nil {
		t.Error("State() of a damaged file is no error")
	}
	if err := c.Arm(deployment(""), time.Minute, reconcile.Recovery{LastResort: reconcile.LastResortReboot}); err != nil {
		t.Fatalf("Arm() over a damaged file: %v", err)
	}
	if s, err := c.State(); s.ID != id || s.Until != time.Minute || err != nil {
		t.Errorf("State() = %+v, %v, want the new deadline", s, err)
	}
}

// Every change starts from what the one before it wrote.
func TestChangesAreOneAfterTheOther(t *testing.T) {
	dir := t.TempDir()
	const writers, changes = 8, 5
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for range changes {
				if err := Dir(dir).Update(func(f *File) error { f.UntilNS++; return nil }); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if f, err := Dir(dir).Read(); f.UntilNS != writers*changes || err != nil {
		t.Errorf("after %d changes the file counts %d (%v)", writers*changes, f.UntilNS, err)
	}
}

func TestClient(t *testing.T) {
	dir := t.TempDir()
	c, d := client(dir), deployment("/nix/store/old")
	other := &Client{Place: Dir(dir), Boot: "another boot", TrialUnits: c.TrialUnits}
	claim := func(done bool) {
		t.Helper()
		if err := Dir(dir).Update(func(f *File) error { f.Claim = Claim{At: time.Unix(1, 0).UTC(), Done: done}; return nil }); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(what string, err, want error) {
		t.Helper()
		if !errors.Is(err, want) {
			t.Errorf("%s = %v, want %v", what, err, want)
		}
	}
	state := func(want reconcile.GuardState) {
		t.Helper()
		if got, err := c.State(); got != want || err != nil {
			t.Errorf("State() = %+v, %v, want %+v", got, err, want)
		}
	}
	file := func(want File) {
		t.Helper()
		if got, err := Dir(dir).Read(); got != want || err != nil {
			t.Errorf("the file is %+v, %v, want %+v", got, err, want)
		}
	}

	state(reconcile.GuardState{})
	expect("Disarm() of nothing", c.Disarm(id), nil)
	if err := c.Move(id, time.Minute); err == nil || err.Error() != "the guard of deployment "+id+" is not armed" {
		t.Errorf("Move() of nothing = %v, want that it is not armed", err)
	}

	expect("Arm()", c.Arm(d, time.Minute, reconcile.Recovery{LastResort: reconcile.LastResortStuck}), nil)
	file(File{ID: id, Boot: boot, Mode: "trial", UntilNS: 60e9, Old: "/nix/store/old", TrialUnit: "trial-" + id})
	expect("Bound()", c.Bound(d, time.Hour, reconcile.Recovery{LastResort: reconcile.LastResortReboot}), nil)
	file(File{ID: id, Boot: boot, Mode: "rollback", UntilNS: 3600e9, Old: "/nix/store/old", TrialUnit: "trial-" + id, Reboot: true})
	expect("Move()", c.Move(id, 2*time.Hour), nil)
	state(reconcile.GuardState{ID: id, Until: 2 * time.Hour})
	if s, err := other.State(); s != (reconcile.GuardState{}) || err != nil {
		t.Errorf("State() in another boot = %+v, %v, want nothing", s, err)
	}
	expect("Bound() again", c.Bound(d, 3*time.Hour, reconcile.Recovery{LastResort: reconcile.LastResortReboot}), nil)
	state(reconcile.GuardState{ID: id, Until: 2 * time.Hour}) // an agent that dies again and again does not put it off
	expect("Disarm() of another deployment", c.Disarm("20200101T000000"), nil)
	state(reconcile.GuardState{ID: id, Until: 2 * time.Hour})

	claim(false)
	state(reconcile.GuardState{ID: id, Until: 2 * time.Hour, Claimed: true})
	expect("Disarm() after a claim", c.Disarm(id), ErrClaimed)
	expect("Move() after a claim", c.Move(id, 3*time.Hour), ErrClaimed)
	expect("Arm() after a claim", c.Arm(d, 3*time.Hour, reconcile.Recovery{LastResort: reconcile.LastResortReboot}), ErrClaimed)
	expect("Bound() after a claim", c.Bound(d, 3*time.Hour, reconcile.Recovery{LastResort: reconcile.LastResortReboot}), ErrClaimed)
	claim(true)
	expect("Disarm() after the end", c.Disarm(id), ErrClaimed) // it was not confirmed, whatever the agent thought
	expect("Bound() after the end", c.Bound(d, 3*time.Hour, reconcile.Recovery{LastResort: reconcile.LastResortReboot}), nil)

	expect("NoteReboot()", c.NoteReboot(id), nil)
	state(reconcile.GuardState{ID: id, Rebooted: true})
	expect("Bound() after a reboot", c.Bound(d, time.Minute, reconcile.Recovery{LastResort: reconcile.LastResortReboot}), nil)
	state(reconcile.GuardState{ID: id, Until: time.Minute, Rebooted: true})

	claim(false)
	expect("Arm() in another boot", other.Arm(d, time.Second, reconcile.Recovery{LastResort: reconcile.LastResortReboot}), nil)
	next := d
	next.ID = "20260330T010000"
	expect("Arm() of the next deployment", c.Arm(next, time.Second, reconcile.Recovery{LastResort: reconcile.LastResortReboot}), nil)
	state(reconcile.GuardState{ID: next.ID, Until: time.Second})
}

// An activation begins only where its guard can still stop it.
func TestBegin(t *testing.T) {
	tests := []struct {
		name   string
		change func(*File)
		uptime time.Duration
		begins bool
		err    string
	}{
		{"armed", func(*File) {}, time.Minute - 1, true, ""},
		{"past its deadline", func(*File) {}, time.Minute, false, ErrClaimed.Error()},
		{"claimed", func(f *File) { f.Claim.At = time.Unix(1, 0).UTC() }, 0, false, ErrClaimed.Error()},
		{"off", func(f *File) { f.Mode = ModeOff }, 0, false, "the guard of deployment " + id + " is not armed"},
		{"of another deployment", func(f *File) { f.ID = "20200101T000000" }, 0, false, "the guard of deployment " + id + " is not armed"},
		{"of another boot", func(f *File) { f.Boot = "another boot" }, 0, false, "the guard of deployment " + id + " is not armed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := client(t.TempDir())
			if err := errors.Join(c.Arm(deployment("/nix/store/old"), time.Minute, reconcile.Recovery{LastResort: reconcile.LastResortStuck}),
				c.Place.Update(func(f *File) error { tt.change(f); return nil })); err != nil {
				t.Fatal(err)
			}
			begun, why := false, ""
			if err := c.Begin(id, func() time.Duration { return tt.uptime }, func() error { begun = true; return nil }); err != nil {
				why = err.Error()
			}
			if begun != tt.begins || why != tt.err {
				t.Errorf("Begin() = %q, begun: %v, want %q, %v", why, begun, tt.err, tt.begins)
			}
		})
	}
}

// The guard cannot claim a deployment while an activation of it begins.
func TestBeginKeepsTheLock(t *testing.T) {
	c := client(t.TempDir())
	if err := c.Arm(deployment("/nix/store/old"), time.Minute, reconcile.Recovery{LastResort: reconcile.LastResortStuck}); err != nil {
		t.Fatal(err)
	}
	var free bool
	err := c.Begin(id, func() time.Duration { return 0 }, func() error {
		lock, err := os.Open(filepath.Join(string(c.Place.(Dir)), lockName))
		if err != nil {
			return err
		}
		defer lock.Close()
		free = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil
		return nil
	})
	if err != nil || free {
		t.Errorf("Begin() = %v, the lock is free: %v, want it taken", err, free)
	}
}

// The note must be found again, even where the file was lost.
func TestARebootIsNotedWithoutAFile(t *testing.T) {
	c := client(t.TempDir())
	if err := c.NoteReboot(id); err != nil {
		t.Fatal(err)
	}
	if s, err := c.State(); err != nil || !s.Rebooted || s.ID != id {
		t.Errorf("State() = %+v, %v, want the noted reboot", s, err)
	}
}

const (
	id   = "20260329T010000"
	boot = reconcile.BootID("7f1c1d3e")
)

func client(dir string) *Client {
	return &Client{Place: Dir(dir), Boot: boot, TrialUnits: func(id string) string { return "trial-" + id }}
}

func deployment(old reconcile.Toplevel) reconcile.Deployment {
	return reconcile.Deployment{ID: id, Old: reconcile.System{Toplevel: old}}
}
