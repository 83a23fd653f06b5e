package guard

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/infra-agent/infra-agent/reconcile"
)

func TestAGuardThatWasKilledResumes(t *testing.T) {
	bubble(t, func(w *world) {
		w.arm(time.Minute, reconcile.LastResortReboot)
		claimed := time.Date(2000, 1, 1, 0, 0, 1, 0, time.UTC)
		if err := w.Place.Update(func(f *File) error { f.Claim.At = claimed; return nil }); err != nil {
			w.Fatal(err)
		}
		w.runs(0) // the claim stands, whatever the deadline is
		w.ran(back...)
		if f := w.file(); !f.Claim.At.Equal(claimed) || !f.Claim.Done {
			w.Errorf("the claim is %+v, want the first one, done", f.Claim)
		}
	})
}

// A guard that is told to end in the middle has not brought anything back.
func TestAGuardThatIsStoppedInTheMiddleIsNotDone(t *testing.T) {
	bubble(t, func(w *world) {
		w.program("old/bin/switch-to-configuration", `ln -sfn $R/old $R/current; : > $R/busy; exec sleep 1000`)
		w.arm(time.Minute, reconcile.LastResortReboot)
		ctx, cancel := context.WithCancel(w.Context())
		ended := make(chan error)
		go func() { ended <- w.guard.Run(ctx) }()
		time.Sleep(time.Minute)
		for _, err := os.Stat(w.root + "/busy"); err != nil; _, err = os.Stat(w.root + "/busy") {
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			w.Errorf("Run() = %v, want %v, so that it is started again", err, context.Canceled)
		}
		if f := w.file(); f.Claim.Done || f.Claim.At.IsZero() {
			w.Errorf("the claim is %+v, want it open", f.Claim)
		}
	})
}

func TestADamagedFileIsAnError(t *testing.T) {
	bubble(t, func(w *world) {
		if err := os.WriteFile(filepath.Join(w.dir, fileName), []byte("{"), 0o600); err != nil {
			w.Fatal(err)
		}
		if err := w.guard.Run(w.Context()); err == nil {
			w.Error("Run() = nil: systemd would not start the guard again")
		}
		w.ran()
	})
}

func TestAnOldSystemThatDoesNotComeBack(t *testing.T) {
	fails := "echo cannot >&2; exit 1"
	tests := []struct {
		name             string
		last             reconcile.LastResort
		reboot, activate string
		first            []string
		err              bool
		again            []string // what a second start adds
	}{
		{"reboots once", reconcile.LastResortReboot, "", fails, append(slices.Clone(back), "systemctl reboot"), false, back},
		{"the reboot fails", reconcile.LastResortReboot, `[ "$1" != reboot ]`, fails, append(slices.Clone(back), "systemctl reboot"), true, back},
		{"a person must act", reconcile.LastResortStuck, "", fails, back, false, nil},
		{"current, though units failed", reconcile.LastResortReboot, "", `ln -sfn "$R/old" "$R/current"; exit 4`, back, false, nil},
		{"exit 0, and yet not current", reconcile.LastResortReboot, "", "", append(slices.Clone(back), "systemctl reboot"), false, back},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(w *world) {
				w.program("old/bin/switch-to-configuration", tt.activate)
				w.program("old/sw/bin/systemctl", tt.reboot)
				w.arm(time.Minute, tt.last)
				time.Sleep(time.Minute)
				if err := w.guard.Run(w.Context()); (err != nil) != tt.err {
					w.Errorf("Run() = %v, want an error: %v", err, tt.err)
				}
				w.ran(tt.first...)
				wantNote := slices.Contains(tt.first, "systemctl reboot")
				if s, err := w.State(); s.Rebooted != wantNote || err != nil {
					w.Errorf("State() = %+v, %v, want the reboot noted: %v", s, err, wantNote)
				}
				w.runs(0)
				w.ran(append(slices.Clone(tt.first), tt.again...)...)
				if f := w.file(); !f.Claim.Done {
					w.Errorf("the file says %+v, want done", f)
				}
			})
		})
	}
}

// The disk is full: nobody can write that the trial is confirmed, and the guard
// not that it goes back. It goes back, once, and notes it when there is room.
func TestAFullDiskDoesNotKeepTheOldSystemAway(t *testing.T) {
	bubble(t, func(w *world) {
		w.arm(time.Minute, reconcile.LastResortReboot)
		lock := filepath.Join(w.dir, lockName)
		if err := errors.Join(os.Remove(lock), os.Mkdir(lock, 0o700)); err != nil { // nobody can lock, so nobody can write
			w.Fatal(err)
		}
		time.AfterFunc(5*time.Minute-time.Millisecond, func() {
			if err := os.Remove(lock); err != nil {
				w.Error(err)
			}
		})
		w.runs(5 * time.Minute)
		w.ran(back...)
		if f := w.file(); !f.Claim.Done || f.Mode != ModeOff {
			w.Errorf("the file says %+v, want done", f)
		}
	})
}

func TestAFullDiskDoesNotForbidTheReboot(t *testing.T) {
	bubble(t, func(w *world) {
		w.program("old/bin/switch-to-configuration", "exit 1")
		w.arm(time.Minute, reconcile.LastResortReboot)
		lock := filepath.Join(w.dir, lockName)
		if err := errors.Join(os.Remove(lock), os.Mkdir(lock, 0o700)); err != nil {
			w.Fatal(err)
		}
		w.runs(time.Minute)
		w.ran(append(slices.Clone(back), "systemctl reboot")...)
	})
}
