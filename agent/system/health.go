package system

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/dbus"
	godbus "github.com/godbus/dbus/v5"

	"github.com/infra-agent/infra-agent/reconcile"
)

// restartsAgain is how often a service must have restarted by itself, within
// [reconcile.RestartedWithin], to be one that keeps restarting.
const restartsAgain = 3

// Units looks at all units, at what became of the services in was, and at which of the
// failed ones deployment d cannot have broken. A service that nothing wants (started by
// a bus name, a socket or a session) may stop when it likes and is not listed as
// stopped, and neither is one that left by itself and whose socket listens.
func (n *Node) Units(ctx context.Context, d reconcile.Deployment, was []string) (reconcile.Units, error) {
	u := reconcile.Units{Restarts: map[string]uint32{}, Aliases: map[string][]string{}}
	err := n.Bus.call(ctx, func(ctx context.Context, c connection) error {
		all, err := c.ListUnitsContext(ctx)
		if err != nil {
			return err
		}
		state := map[string]string{}
		for _, s := range all {
			state[s.Name] = s.ActiveState
			service := strings.HasSuffix(s.Name, ".service")
			switch s.ActiveState {
			case "failed":
				u.Failed = append(u.Failed, s.Name)
				if err := aliases(ctx, c, s.Name, &u); err != nil {
					return err
				}
				if service && n.same(d, s.Name) && ofTimer(ctx, c, s.Name) {
					u.Outside = append(u.Outside, s.Name)
				}
				continue
			case "active":
				if service {
					u.Active = append(u.Active, s.Name)
				}
			case "activating", "reloading", "refreshing", "deactivating":
			default:
				continue
			}
			if service {
				if err := restarts(ctx, c, s, &u); err != nil {
					return err
				}
			}
		}
		return departed(ctx, c, was, state, &u)
	})
	if err != nil {
		return reconcile.Units{}, fmt.Errorf("look at the units: %w", err)
	}
	return u, nil
}

// restarts notes how often systemd restarted the service, and whether it keeps doing so: it
// is about to, or did it again and again and lately. One that waited for its database
// once after a boot does not.
func restarts(ctx context.Context, c connection, s dbus.UnitStatus, u *reconcile.Units) error {
	p, err := c.GetUnitTypePropertyContext(ctx, s.Name, "Service", "NRestarts")
	if err != nil {
		return unlessGone(err)
	}
	count, _ := p.Value.Value().(uint32)
	u.Restarts[s.Name] = count
	if count > 0 {
		if err := aliases(ctx, c, s.Name, u); err != nil {
			return err
		}
	}
	if s.SubState == "auto-restart" {
		u.Restarting = append(u.Restarting, s.Name)
	}
	if s.SubState == "auto-restart" || count < restartsAgain {
		return nil
	}
	since, err := c.GetUnitPropertyContext(ctx, s.Name, "StateChangeTimestamp") // microseconds since 1970
	if err != nil {
		return unlessGone(err)
	}
	changed, _ := since.Value.Value().(uint64)
	if time.Since(time.UnixMicro(int64(changed))) < reconcile.RestartedWithin {
		u.Restarting = append(u.Restarting, s.Name)
	}
	return nil
}

// aliases notes the other names of the unit.
func aliases(ctx context.Context, c connection, unit string, u *reconcile.Units) error {
	p, err := c.GetUnitPropertyContext(ctx, unit, "Names")
	if err != nil {
		return unlessGone(err)
	}
	names, _ := p.Value.Value().([]string)
	if others := slices.DeleteFunc(names, func(name string) bool { return name == unit }); len(others) > 0 {
		u.Aliases[unit] = others
	}
	return nil
}

// unlessGone drops the error of a question about a unit that went away meanwhile.
func unlessGone(err error) error {
	if e, is := errors.AsType[godbus.Error](err); is && (e.Name == "org.freedesktop.systemd1.NoSuchUnit" || strings.HasPrefix(e.Name, "org.freedesktop.DBus.Error.Unknown")) {
		return nil
	}
	return err
}

// departed sorts the services of a baseline that are not active: some are starting or
// stopping, and some stopped though they are wanted. A unit that was renamed goes on
// under the name that systemd gives it.
func departed(ctx context.Context, c connection, was []string, state map[string]string, u *reconcile.Units) error {
	for _, name := range was {
		if running(state[name]) {
			continue
		}
		props, err := c.GetUnitPropertiesContext(ctx, name)
		if err != nil {
			return err
		}
		if id, _ := props["Id"].(string); id != "" {
			name = id
		}
		switch active := state[name]; {
		case running(active):
		case active == "activating" || active == "deactivating" || active == "maintenance":
			u.Pending = append(u.Pending, name)
		case wanted(props) && !isDone(ctx, c, name) && !waitsForTrigger(ctx, c, name, props, state):
			u.Stopped = append(u.Stopped, name)
		}
	}
	return nil
}

// running reports whether a unit in that ActiveState did not stop; one that failed is
// listed as failed.
func running(active string) bool {
	return slices.Contains([]string{"active", "reloading", "refreshing", "failed"}, active)
}

// wanted reports whether the inactive unit exists and another one pulls it in.
func wanted(props map[string]any) bool {
	if props["LoadState"] != "loaded" {
		return false
	}
	for _, p := range []string{"WantedBy", "RequiredBy", "UpheldBy", "BoundBy"} {
		if by, _ := props[p].([]string); len(by) > 0 {
			return true
		}
	}
	return false
}

// isDone reports whether the service is a job that is over when its program has ended well:
// it may have been one that stays active before.
func isDone(ctx context.Context, c connection, name string) bool {
	want := map[string]any{"Type": "oneshot", "RemainAfterExit": false, "Result": "success"}
	for property, value := range want {
		p, err := c.GetUnitTypePropertyContext(ctx, name, "Service", property)
		if err != nil || p.Value.Value() != value {
			return false
		}
	}
	return true
}

// waitsForTrigger reports whether the service ended well and a unit that starts it again
// is active: a daemon that leaves when it is idle, while its socket listens.
func waitsForTrigger(ctx context.Context, c connection, name string, props map[string]any, state map[string]string) bool {
	triggers, _ := props["TriggeredBy"].([]string)
	if !slices.ContainsFunc(triggers, func(t string) bool { return state[t] == "active" }) {
		return false
	}
	p, err := c.GetUnitTypePropertyContext(ctx, name, "Service", "Result")
	return err == nil && p.Value.Value() == "success"
}

// ofTimer reports whether a timer starts the service.
func ofTimer(ctx context.Context, c connection, name string) bool {
	p, err := c.GetUnitPropertyContext(ctx, name, "TriggeredBy")
	if err != nil {
		return false
	}
	triggers, _ := p.Value.Value().([]string)
	return slices.ContainsFunc(triggers, func(t string) bool { return strings.HasSuffix(t, ".timer") })
}

// same reports whether both systems of d bring the same unit, drop-ins included.
func (n *Node) same(d reconcile.Deployment, unit string) bool {
	old, next := n.unitFiles(d.Old.Toplevel, unit), n.unitFiles(d.New.Toplevel, unit)
	return len(old) > 0 && slices.Equal(old, next)
}

// unitFiles returns where the unit's files of system t are in the Nix store: its own, or that of
// its template, and the drop-ins. A path in the store says what is in it.
func (n *Node) unitFiles(t reconcile.Toplevel, unit string) []string {
	dir := filepath.Join(n.Root, string(t), unitDir)
	paths := append([]string{filepath.Join(dir, unit)}, dropIns(dir, unit)...)
	if name, _, instance := strings.Cut(unit, "@"); instance {
		template := name + "@" + filepath.Ext(unit)
		if _, err := os.Lstat(paths[0]); err != nil {
			paths[0] = filepath.Join(dir, template)
		}
		more, _ := filepath.Glob(filepath.Join(dir, template+".d", "*.conf")) // the pattern is well-formed: a unit's name has no brackets
		paths = append(paths, more...)
	}
	var files []string
	for _, path := range paths {
		file, err := filepath.EvalSymlinks(path)
		if err != nil {
			return nil
		}
		files = append(files, file)
	}
	return files
}
