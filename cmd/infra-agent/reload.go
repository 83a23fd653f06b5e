package main

import (
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/infra-agent/infra-agent/agent/config"
)

// A reloader keeps the settings in force the ones of a file.
type reloader struct {
	path   string
	log    *slog.Logger
	apply  func(before, next config.Settings) // one call at a time
	refuse func(error)

	mu      sync.Mutex
	inForce config.Settings // guarded by mu
	name    string          // guarded by mu: the node's, with which they came into force
	failed  bool            // guarded by mu: the file was refused last
}

// inPlace returns next with what only counts at the next start: directories that hold the
// record, the guard's file and the socket do not move under a deployment.
func inPlace(next, started config.Settings) config.Settings {
	next.StateDir, next.RunDir = started.StateDir, started.RunDir
	next.Metrics, next.Log, next.Control = started.Metrics, started.Log, started.Control
	return next
}

// restartNeeded names the settings of next that only count at the next start; "": none.
func restartNeeded(started, next config.Settings) string {
	var names []string
	for name, differs := range map[string]bool{
		"state_dir": next.StateDir != started.StateDir, "run_dir": next.RunDir != started.RunDir,
		"metrics": next.Metrics != started.Metrics, "log": next.Log != started.Log, "control": next.Control != started.Control,
	} {
		if differs {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return ""
	}
	slices.Sort(names)
	return fmt.Sprintf("%s will count at the next start (hint: systemctl restart infra-agent)", strings.Join(names, ", "))
}

// reload reads the file again. What it says may also be another thing since the node has
// another name: branches are called after it.
func (r *reloader) reload() {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer func() { // the file is part of what a commit brings
		if bug := recover(); bug != nil {
			r.refused(fmt.Errorf("a bug in infra-agent: %v", bug))
		}
	}()
	next, err := config.Load(r.path)
	if err != nil {
		r.refused(err)
		return
	}
	name := nodeName(next)
	if !r.failed && reflect.DeepEqual(next, r.inForce) && name == r.name { // a switch replaces the link, not what it says
		return
	}
	before := r.inForce
	r.inForce, r.name, r.failed = next, name, false
	r.log.Info("settings reloaded", "file", r.path)
	r.apply(before, next)
}

func (r *reloader) refused(err error) {
	r.failed = true
	r.log.Error("the settings are not reloaded, the old ones stay in force", "err", err)
	r.refuse(err)
}
