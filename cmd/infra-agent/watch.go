package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

// A watcher tells what happened, one thing after the other.
type watcher struct {
	file    string   // settings
	trigger string   // touched by whoever knows of a new commit
	dirs    []string // where links change when a person switches
	reload  func()
	poll    func()
	look    func()
}

// run watches until ctx ends, and says when it does.
func (w watcher) run(ctx context.Context, ready func()) error {
	files, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watch files: %w", err)
	}
	defer files.Close()
	// On NixOS /etc/infra-agent/config.toml is a link through /etc/static, which
	// is what a switch replaces.
	settings := map[string]bool{filepath.Clean(w.file): true, "/etc/static": true}
	dirs := append([]string{filepath.Dir(w.trigger)}, w.dirs...)
	for path := range settings {
		dirs = append(dirs, filepath.Dir(path))
	}
	for _, dir := range dirs {
		// What is not there changes nothing; SIGHUP does it where the settings are made later.
		if err := files.Add(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("watch %s: %w", dir, err)
		}
	}
	ready()
	const calm = 200 * time.Millisecond // a change is often several
	var later <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return nil
		case e := <-files.Events:
			name := filepath.Clean(e.Name)
			switch {
			case settings[name]:
				later = time.After(calm)
			case name == w.trigger && !e.Has(fsnotify.Remove):
				w.poll()
			case strings.HasSuffix(name, "-system") || strings.HasPrefix(filepath.Base(name), "system"):
				w.look()
			}
		case <-later:
			later = nil
			w.reload()
		case _, ok := <-files.Errors: // events were lost: anything may have changed
			if !ok {
				return nil
			}
			later = time.After(calm)
			w.look()
		}
	}
}

// onHangup reads the settings again and polls at each SIGHUP, until ctx ends: whether or not files can be watched.
func onHangup(ctx context.Context, hup <-chan os.Signal, reload, poll func()) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-hup:
			reload()
			poll()
		}
	}
}
