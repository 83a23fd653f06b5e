package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

// watch calls reload when the settings file changes and look when something in
// dirs does that tells of a switch. It returns when ctx ends.
func watch(ctx context.Context, file string, dirs []string, reload, look func()) error {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watch files: %w", err)
	}
	defer w.Close()
	// On NixOS /etc/infra-agent/config.toml is a link through /etc/static, which
	// is what a switch replaces.
	settings := map[string]bool{filepath.Clean(file): true, "/etc/static": true}
	for path := range settings {
		_ = w.Add(filepath.Dir(path)) // may not exist: SIGHUP does it then
	}
	for _, dir := range dirs {
		_ = w.Add(dir)
	}
	const calm = 200 * time.Millisecond // a change is often several
	var later <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return nil
		case e, ok := <-w.Events:
			switch {
			case !ok:
				return nil
			case settings[e.Name]:
				later = time.After(calm)
			case strings.HasSuffix(e.Name, "-system") || strings.HasPrefix(filepath.Base(e.Name), "system"):
				look()
			}
		case <-later:
			later = nil
			reload()
		case err := <-w.Errors:
			return fmt.Errorf("watch files: %w", err)
		}
	}
}
