package guard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/infra-agent/infra-agent/reconcile"
)

// world is a node on trial: an old system whose programs write down what they
// are asked to do, and a guard. Its clock is the bubble's.
type world struct {
	*testing.T
	*Client
	guard *Guard
	root  string
	dir   string // the state directory
	ready int    // how often the guard said that it is
}

func newWorld(t *testing.T) *world {
	root := t.TempDir()
	w := &world{T: t, Client: client(filepath.Join(root, "state")), root: root, dir: filepath.Join(root, "state")}
	w.program("old/bin/switch-to-configuration", `ln -sfn "$R/old" "$R/current"`)
	w.program("old/sw/bin/systemctl", "")
	if err := errors.Join(os.Mkdir(w.dir, 0o700), os.Symlink(root+"/new", root+"/current")); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	w.guard = &Guard{
		Place: w.Place, ID: id, Boot: boot, Uptime: func() time.Duration { return time.Since(start) },
		Current: func() string { current, _ := os.Readlink(root + "/current"); return current },
		Program: Programs(slog.New(slog.DiscardHandler)), Log: slog.New(slog.DiscardHandler), Ready: func() { w.ready++ },
	}
	return w
}

// program writes a program of the old system, which logs its arguments and then
// does what the script says.
func (w *world) program(name, script string) {
	w.Helper()
	path := filepath.Join(w.root, name)
	text := fmt.Sprintf("#!/bin/sh\nR=%s\necho \"${0##*/} $* check=$NIXOS_NO_CHECK\" >> $R/log\n%s\n", w.root, script)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o700)); err != nil {
		w.Fatal(err)
	}
}

func (w *world) arm(until time.Duration, last reconcile.LastResort) {
	w.Helper()
	w.armFor(until, reconcile.Recovery{LastResort: last})
}

func (w *world) armFor(until time.Duration, by reconcile.Recovery) {
	w.Helper()
	if err := w.Arm(deployment(reconcile.Toplevel(w.root+"/old")), until, by); err != nil {
		w.Fatal(err)
	}
}

// ran fails unless exactly these programs were run, in order.
func (w *world) ran(want ...string) {
	w.Helper()
	log, err := os.ReadFile(w.root + "/log")
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		w.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(string(log)) {
		got = append(got, strings.TrimSuffix(strings.TrimSpace(line), " check=1"))
	}
	if !slices.Equal(got, want) {
		w.Errorf("ran %q, want %q", got, want)
	}
}

// runs runs the guard to its end, and fails unless that comes after took.
func (w *world) runs(took time.Duration) {
	w.Helper()
	start := time.Now()
	if err := w.guard.Run(w.Context()); err != nil {
		w.Errorf("Run() = %v, want nil", err)
	}
	if got := time.Since(start); got != took {
		w.Errorf("the guard ended after %v, want %v", got, took)
	}
}

func (w *world) file() File {
	w.Helper()
	f, err := w.Place.Read()
	if err != nil {
		w.Fatal(err)
	}
	return f
}

func bubble(t *testing.T, story func(*world)) {
	synctest.Test(t, func(t *testing.T) { story(newWorld(t)) })
}

var back = []string{"systemctl stop trial-" + id, "switch-to-configuration test"}

func TestTheDeadlineBringsTheOldSystemBackOnce(t *testing.T) {
	bubble(t, func(w *world) {
		w.arm(10*time.Minute, reconcile.LastResortReboot)
		w.runs(10 * time.Minute)
		w.ran(back...)
		f := w.file()
		if f.Mode != ModeOff || !f.Claim.Done || !f.Claim.At.Equal(time.Now()) || f.Rebooted {
			w.Errorf("the file says %+v, want off, done and claimed now", f)
		}
		if s, err := w.State(); s.Claimed || s.Until != 0 || err != nil {
			w.Errorf("State() = %+v, %v, want neither claimed nor armed", s, err)
		}
		if w.ready != 1 {
			w.Errorf("the guard was ready %d times, want once", w.ready)
		}
		w.runs(0) // started once more it has nothing to do
		w.ran(back...)
	})
}

func TestTheOldSystemIsBroughtBackEvenWhereTheTrialCannotBeStopped(t *testing.T) {
	bubble(t, func(w *world) {
		w.program("old/sw/bin/systemctl", "echo no bus >&2; exit 1")
		w.arm(time.Minute, reconcile.LastResortReboot)
		w.runs(time.Minute)
		w.ran(back...)
	})
}

func TestAnOldSystemWithoutSystemctlTakesThatOnPath(t *testing.T) {
	bubble(t, func(w *world) {
		w.program("path/systemctl", "")
		w.Setenv("PATH", w.root+"/path:"+os.Getenv("PATH"))
		if err := os.RemoveAll(w.root + "/old/sw"); err != nil {
			w.Fatal(err)
		}
		w.arm(time.Minute, reconcile.LastResortReboot)
		w.runs(time.Minute)
		w.ran(back...)
	})
}

func TestAMovedDeadlineHolds(t *testing.T) {
	for _, until := range []time.Duration{5 * time.Minute, time.Hour} { // sooner, later
		bubble(t, func(w *world) {
			w.arm(10*time.Minute, reconcile.LastResortReboot)
			time.AfterFunc(4*time.Minute, func() {
				if err := w.Move(id, until); err != nil {
					w.Error(err)
				}
			})
			w.runs(until)
			w.ran(back...)
		})
	}
}

func TestAConfirmedTrialNeedsNoGuard(t *testing.T) {
	bubble(t, func(w *world) {
		w.arm(10*time.Minute, reconcile.LastResortReboot)
		time.AfterFunc(4*time.Minute+500*time.Millisecond, func() {
			if err := w.Disarm(id); err != nil {
				w.Error(err)
			}
		})
		w.runs(4*time.Minute + time.Second) // it looks once a second
		w.ran()
	})
}

// Between the guard's look at the clock and its claim the agent may still win.
func TestTheLastMoment(t *testing.T) {
	tests := []struct {
		name string
		act  func(*world) error
		ends time.Duration
		ran  []string
	}{
		{"disarmed", func(w *world) error { return w.Disarm(id) }, time.Minute, nil},
		{"moved", func(w *world) error { return w.Move(id, 2*time.Minute) }, 2 * time.Minute, back},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(w *world) {
				w.arm(time.Minute, reconcile.LastResortReboot)
				uptime, acted := w.guard.Uptime, false
				w.guard.Uptime = func() time.Duration {
					now := uptime()
					if now >= time.Minute && !acted {
						acted = true
						if err := tt.act(w); err != nil {
							w.Error(err)
						}
					}
					return now
				}
				w.runs(tt.ends)
				w.ran(tt.ran...)
			})
		})
	}
}

func TestAfterTheClaimItIsTooLate(t *testing.T) {
	bubble(t, func(w *world) {
		// The old system is slow to come back: meanwhile the agent asks.
		w.program("old/bin/switch-to-configuration", `: > $R/busy; while [ -e $R/busy ]; do sleep 0.01; done; ln -sfn $R/old $R/current`)
		w.arm(time.Minute, reconcile.LastResortReboot)
		ended := make(chan error)
		go func() { ended <- w.guard.Run(w.Context()) }()
		time.Sleep(time.Minute)
		for w.file().Claim.At.IsZero() { // the guard is working, outside the bubble's time
		}
		if err := w.Disarm(id); !errors.Is(err, ErrClaimed) {
			w.Errorf("Disarm() = %v, want %v", err, ErrClaimed)
		}
		if err := w.Move(id, time.Hour); !errors.Is(err, ErrClaimed) {
			w.Errorf("Move() = %v, want %v", err, ErrClaimed)
		}
		if s, err := w.State(); !s.Claimed || err != nil {
			w.Errorf("State() = %+v, %v, want claimed", s, err)
		}
		for os.Remove(w.root+"/busy") != nil {
		}
		if err := <-ended; err != nil {
			w.Error(err)
		}
		w.ran(back...)
	})
}

func TestAStrayGuardEnds(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(*world)
	}{
		{"another deployment", func(w *world) { w.guard.ID = "20200101T000000" }},
		{"another boot", func(w *world) { w.guard.Boot = "another" }},
		{"off", func(w *world) {
			if err := w.Disarm(id); err != nil {
				w.Error(err)
			}
		}},
		{"undone by another one", func(w *world) {
			if err := w.Place.Update(func(f *File) error { f.Claim = Claim{At: time.Now(), Done: true}; return nil }); err != nil {
				w.Error(err)
			}
		}},
		{"no file", func(w *world) {
			if err := os.Remove(filepath.Join(w.dir, fileName)); err != nil {
				w.Error(err)
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(w *world) {
				w.arm(-time.Minute, reconcile.LastResortReboot) // long past
				tt.spoil(w)
				w.runs(0)
				w.ran()
				if w.ready != 0 {
					w.Error("it said that it guards")
				}
			})
		})
	}
}

// A switch may take as long as the settings say, and without a word ten minutes.
func TestASwitchHasTheTimeOfTheSettings(t *testing.T) {
	for limit, want := range map[time.Duration]time.Duration{0: 10 * time.Minute, 30 * time.Minute: 30 * time.Minute} {
		bubble(t, func(w *world) {
			w.guard.Program = func(ctx context.Context, args ...string) error {
				deadline, _ := ctx.Deadline()
				if got := time.Until(deadline); strings.HasSuffix(args[0], "/switch-to-configuration") && got != want {
					w.Errorf("with a limit of %v the switch has %v, want %v", limit, got, want)
				}
				return nil
			}
			w.armFor(time.Minute, reconcile.Recovery{Switch: limit})
			w.runs(time.Minute)
		})
	}
}
