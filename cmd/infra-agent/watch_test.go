package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// watching starts a watcher and returns what it tells, in order, and its trigger.
func watching(t *testing.T, file string, dirs ...string) (events <-chan string, trigger string) {
	t.Helper()
	trigger = filepath.Join(t.TempDir(), "sync")
	write(t, trigger, "")
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
	w := watcher{file: file, trigger: trigger, dirs: dirs, reload: tell("reload"), poll: tell("poll"), look: tell("look")}
	ended, ready := make(chan error), make(chan bool)
	go func() { ended <- w.run(ctx, func() { close(ready) }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("run() = %v, want nil when the context ends", err)
		}
	})
	<-ready
	return told, trigger
}

// touch is touch(1). What the watcher tells of it comes after all that happened before.
func touch(t *testing.T, file string) {
	t.Helper()
	now := time.Now()
	if err := os.Chtimes(file, now, now); err != nil {
		t.Fatal(err)
	}
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
	told, trigger := watching(t, file)
	write(t, file, "two")
	if err := os.Chmod(file, 0o640); err != nil { // one change, though in several steps
		t.Fatal(err)
	}
	expect(t, told, "reload")
	touch(t, trigger)
	expect(t, told, "poll") // and not one more for the second step
	write(t, filepath.Join(dir, "other"), "not ours")
	if err := os.Symlink("somewhere", filepath.Join(dir, "new")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, "new"), file); err != nil { // as NixOS does
		t.Fatal(err)
	}
	expect(t, told, "reload")
	touch(t, trigger)
	expect(t, told, "poll")
}

func TestARelativeFileIsWatched(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "config.toml", "one")
	told, _ := watching(t, "config.toml")
	write(t, "config.toml", "two")
	expect(t, told, "reload")
}

func TestASwitchByHandIsSeen(t *testing.T) {
	run, profiles := t.TempDir(), t.TempDir()
	told, _ := watching(t, "/no/such/directory/config.toml", run, profiles)
	for _, link := range []string{filepath.Join(run, "current-system"), filepath.Join(profiles, "system-42-link")} {
		write(t, filepath.Join(filepath.Dir(link), "unrelated"), "")
		if err := os.Symlink("/nix/store/x", link); err != nil {
			t.Fatal(err)
		}
		expect(t, told, "look")
	}
}

func TestTouchedTriggerPolls(t *testing.T) {
	told, trigger := watching(t, "/no/such/directory/config.toml")
	write(t, filepath.Join(filepath.Dir(trigger), "other"), "")
	touch(t, trigger)
	expect(t, told, "poll")
	if err := os.Remove(trigger); err != nil { // which asks for nothing
		t.Fatal(err)
	}
	write(t, trigger, "")
	expect(t, told, "poll")
}

// TestHangup: SIGHUP is heard whether or not files can be watched.
func TestHangup(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	hup, told := make(chan os.Signal, 1), make(chan string)
	ended := make(chan bool)
	go func() {
		onHangup(ctx, hup, func() { told <- "reload" }, func() { told <- "poll" })
		close(ended)
	}()
	for range 2 {
		hup <- syscall.SIGHUP
		expect(t, told, "reload", "poll")
	}
	cancel()
	<-ended
}

// TestADirectoryThatCannotBeWatched is told, and tried again; one that is not there has nothing to tell.
func TestADirectoryThatCannotBeWatched(t *testing.T) {
	long := filepath.Join(t.TempDir(), strings.Repeat("x", 300)) // ENAMETOOLONG
	w := watcher{file: "/no/such/directory/config.toml", trigger: filepath.Join(t.TempDir(), "sync"), dirs: []string{long}}
	err := w.run(t.Context(), func() { t.Error("it is ready") })
	if err == nil || !strings.HasPrefix(err.Error(), "watch "+long+": ") {
		t.Errorf("run() = %v, want an error that names the directory", err)
	}
}
