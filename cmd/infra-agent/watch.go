package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

// A watcher tells what happened, one thing after the other.
type watcher struct {
	file    string           // settings
	trigger string           // touched by whoever knows of a new commit
	dirs    []string         // where links change when a person switches
	hup     <-chan os.Signal // SIGHUP: read the settings again, and poll
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
	for path := range settings {
		_ = files.Add(filepath.Dir(path)) // may not exist: SIGHUP does it then
	}
	for _, dir := range append(w.dirs, filepath.Dir(w.trigger)) {
		_ = files.Add(dir)
	}
	ready()
	const calm = 200 * time.Millisecond // a change is often several
	var later <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-w.hup:
			w.reload()
			w.poll()
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
