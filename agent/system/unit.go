package system

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/coreos/go-systemd/v22/dbus"
	godbus "github.com/godbus/dbus/v5"
)

// A TransientUnit is work that must outlive the agent: whatever changes the
// system, since a switch may restart the agent in the middle of it.
type TransientUnit struct {
	Name        string // with .service
	Description string
	Args        []string // program and arguments
	Env         []string // KEY=VALUE
	Guard       bool     // restarted on failure, and the last one the kernel kills
}

// exitCodes are those of switch-to-configuration that say something: with them
// the unit ends well, since a failed unit would itself be counted as failed.
var exitCodes = []int32{1, 2, 3, 4, 11, 100}

func (u TransientUnit) properties() []dbus.Property {
	all := []property{
		{"Description", u.Description},
		{"ExecStartEx", execStart(u.Args)},
		{"Environment", append([]string{"HOME=/root"}, u.Env...)},
	}
	if u.Guard {
		return values(append(all,
			property{"Type", "notify"},
			property{"Restart", "on-failure"},
			property{"RestartUSec", uint64(time.Second / time.Microsecond)},
			property{"StartLimitIntervalUSec", uint64(0)}, // for ever: nobody else would start it
			property{"OOMScoreAdjust", int32(-900)},
		))
	}
	return values(append(all,
		property{"Type", "exec"}, // the job is done when the program runs: a failure to start it is seen at once
		property{"RemainAfterExit", true},
		property{"SuccessExitStatus", statusSet{exitCodes, []int32{}}},
		property{"TimeoutStartUSec", ^uint64(0)}, // the agent and the guard bound it
	))
}

// A UnitState says how far a unit is.
type UnitState struct {
	Known   bool // systemd has it in memory
	Exists  bool
	Running bool // or about to
	Active  bool
	Started bool // its program was executed
	Exit    int  // exit status of its last program; -1: a signal ended it, or it did not run
	Result  string
}

// Start starts u, unless a unit of that name exists: then there is nothing to do.
func (n *Node) Start(ctx context.Context, u TransientUnit) error {
	err := n.Bus.call(ctx, func(ctx context.Context, c connection) error {
		_, err := c.StartTransientUnitContext(ctx, u.Name, "fail", u.properties(), nil)
		return err
	})
	if e, ok := errors.AsType[godbus.Error](err); ok && e.Name == "org.freedesktop.systemd1.UnitExists" {
		return nil
	}
	if err != nil {
		return fmt.Errorf("start %s: %w", u.Name, err)
	}
	return nil
}

// Unit returns the state of the named unit.
func (n *Node) Unit(ctx context.Context, name string) (UnitState, error) {
	var props map[string]any
	err := n.Bus.call(ctx, func(ctx context.Context, c connection) (err error) {
		props, err = c.GetAllPropertiesContext(ctx, name)
		return err
	})
	if err != nil {
		return UnitState{}, fmt.Errorf("look at %s: %w", name, err)
	}
	s := UnitState{Exit: -1}
	load, _ := props["LoadState"].(string)
	active, _ := props["ActiveState"].(string)
	sub, _ := props["SubState"].(string)
	s.Result, _ = props["Result"].(string)
	queued := false // systemd has yet to begin with it
	if job, ok := props["Job"].([]any); ok && len(job) > 0 {
		id, _ := job[0].(uint32)
		queued = id != 0
	}
	since, _ := props["ActiveEnterTimestampMonotonic"].(uint64)
	s.Known, s.Started = load == "loaded", since != 0
	s.Active = active == "active"
	s.Running = queued || active == "activating" || active == "deactivating" || active == "reloading" || s.Active && sub != "exited"
	s.Exists = s.Known && (s.Running || active != "inactive")
	const exited = 1 // CLD_EXITED, waitid(2)
	if code, _ := props["ExecMainCode"].(int32); code == exited {
		status, _ := props["ExecMainStatus"].(int32)
		s.Exit = int(status)
	}
	return s, nil
}

// Wait waits until the named unit no longer runs. It asks again and again, since
// a signal is lost when PID 1 re-executes itself during the job.
func (n *Node) Wait(ctx context.Context, name string) (UnitState, error) {
	pause := 20 * time.Millisecond
	for {
		s, err := n.Unit(ctx, name)
		if err != nil || !s.Running {
			return s, err
		}
		select {
		case <-ctx.Done():
			return s, context.Cause(ctx)
		case <-time.After(pause):
		}
		pause = min(pause*3/2, 500*time.Millisecond)
	}
}

// Stop stops the named unit, waits for its end and forgets its result. A unit
// that does not exist is stopped already.
func (n *Node) Stop(ctx context.Context, name string) error {
	err := n.Bus.call(ctx, func(ctx context.Context, c connection) error {
		_, err := c.StopUnitContext(ctx, name, "replace", nil)
		return err
	})
	if e, ok := errors.AsType[godbus.Error](err); ok && e.Name == "org.freedesktop.systemd1.NoSuchUnit" {
		return nil
	}
	if err != nil {
		return fmt.Errorf("stop %s: %w", name, err)
	}
	if _, err := n.Wait(ctx, name); err != nil {
		return err
	}
	// A failed unit stays in memory; there may be none.
	_ = n.Bus.call(ctx, func(ctx context.Context, c connection) error { return c.ResetFailedUnitContext(ctx, name) })
	return nil
}

// Leftovers lists the agent's transient units that are in memory.
func (n *Node) Leftovers(ctx context.Context) ([]string, error) {
	var units []dbus.UnitStatus
	err := n.Bus.call(ctx, func(ctx context.Context, c connection) (err error) {
		units, err = c.ListUnitsByPatternsContext(ctx, nil, []string{
			"infra-agent-trial-*.service", "infra-agent-back-*.service",
			"infra-agent-promote-*.service", "infra-agent-restore-*.service", "infra-agent-guard-*.service", aside + "*.service",
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list units: %w", err)
	}
	var names []string
	for _, u := range units {
		names = append(names, u.Name)
	}
	return names, nil
}

// Reboot asks systemd to reboot the machine in the ordinary way.
func (n *Node) Reboot(ctx context.Context) error {
	err := n.Bus.call(ctx, func(ctx context.Context, c connection) error {
		_, err := c.StartUnitContext(ctx, "reboot.target", "replace-irreversibly", nil)
		return err
	})
	if err != nil {
		return fmt.Errorf("reboot: %w", err)
	}
	return nil
}

// ActiveState returns the unit's ActiveState, org.freedesktop.systemd1(5).
func (n *Node) ActiveState(ctx context.Context, name string) (string, error) {
	var state string
	err := n.Bus.call(ctx, func(ctx context.Context, c connection) error {
		p, err := c.GetUnitPropertyContext(ctx, name, "ActiveState")
		if err != nil {
			return err
		}
		state, _ = p.Value.Value().(string)
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("look at %s: %w", name, err)
	}
	return state, nil
}
