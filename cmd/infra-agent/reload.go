package main

import (
	"log/slog"
	"reflect"

	"github.com/infra-agent/infra-agent/agent/config"
)

// A reloader keeps the settings in force the ones of a file. One goroutine owns it.
type reloader struct {
	path    string
	inForce config.Settings
	failed  bool // the file was refused last
	log     *slog.Logger
	apply   func(config.Settings)
	refuse  func(error)
}

// reload reads the file again.
func (r *reloader) reload() {
	next, err := config.Load(r.path)
	if err != nil {
		r.failed = true
		r.log.Error("the settings are not reloaded, the old ones stay in force", "err", err)
		r.refuse(err)
		return
	}
	if !r.failed && reflect.DeepEqual(next, r.inForce) { // a switch replaces the link, not what it says
		return
	}
	r.inForce, r.failed = next, false
	r.log.Info("settings reloaded", "file", r.path)
	r.apply(next)
}
