package main

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// watching starts a watcher and returns what it tells, in order. The watcher's own
// goroutine tells it, so that two reloads cannot meet.
func watching(t *testing.T, file, trigger string, dirs ...string) (events <-chan string, hup chan<- os.Signal) {
	t.Helper()
	told := make(chan string)
	ctx, cancel := context.WithCancel(t.Context())
	tell := func(what string) func() {
		return func() {
			select {
			case told <- what:
			case <-ctx.Done():
			}
		}
	}
	signals := make(chan os.Signal)
	w := watcher{file: file, trigger: trigger, dirs: dirs, hup: signals, reload: tell("reload"), poll: tell("poll"), look: tell("look")}
	ended := make(chan error)
	go func() { ended <- w.run(ctx, func() {}) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("run() = %v, want nil when the context ends", err)
		}
	})
	signals <- syscall.SIGHUP // it listens when it has set up its watches
	expect(t, told, "reload", "poll")
	return told, signals
}

func expect(t *testing.T, told <-chan string, want ...string) {
	t.Helper()
	for _, w := range want {
		if got := <-told; got != w {
			t.Fatalf("the watcher tells %q, want %q", got, w)
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestAChangedFileIsReadOnce(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "config.toml")
	write(t, file, "one")
	told, hup := watching(t, file, "")
	write(t, file, "two")
	if err := os.Chmod(file, 0o640); err != nil { // one change, though in several steps
		t.Fatal(err)
	}
	expect(t, told, "reload")
	hup <- syscall.SIGHUP
	expect(t, told, "reload", "poll") // and not one more for the second step
	write(t, filepath.Join(dir, "other"), "not ours")
	if err := os.Symlink("somewhere", filepath.Join(dir, "new")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, "new"), file); err != nil { // as NixOS does
		t.Fatal(err)
	}
	expect(t, told, "reload")
	hup <- syscall.SIGHUP
	expect(t, told, "reload", "poll")
}

func TestARelativeFileIsWatched(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "config.toml", "one")
	told, _ := watching(t, "config.toml", "")
	write(t, "config.toml", "two")
	expect(t, told, "reload")
}

func TestASwitchByHandIsSeen(t *testing.T) {
	run, profiles := t.TempDir(), t.TempDir()
	told, _ := watching(t, "/no/such/directory/config.toml", "", run, profiles)
	for _, link := range []string{filepath.Join(run, "current-system"), filepath.Join(profiles, "system-42-link")} {
		write(t, filepath.Join(filepath.Dir(link), "unrelated"), "")
		if err := os.Symlink("/nix/store/x", link); err != nil {
			t.Fatal(err)
		}
		expect(t, told, "look")
	}
}

func TestTouchedTriggerPolls(t *testing.T) {
	trigger := filepath.Join(t.TempDir(), "sync")
	told, hup := watching(t, "/no/such/directory/config.toml", trigger)
	write(t, filepath.Join(filepath.Dir(trigger), "other"), "")
	write(t, trigger, "")
	expect(t, told, "poll")
	now := time.Now()
	if err := os.Chtimes(trigger, now, now); err != nil { // touch(1)
		t.Fatal(err)
	}
	expect(t, told, "poll")
	if err := os.Remove(trigger); err != nil { // which asks for nothing
		t.Fatal(err)
	}
	hup <- syscall.SIGHUP
	expect(t, told, "reload", "poll")
}
