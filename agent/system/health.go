package system

import (
	"context"
	"fmt"
	"strings"

	"github.com/coreos/go-systemd/v22/dbus"

	"github.com/infra-agent/infra-agent/reconcile"
)

// Units looks at all units, and at what became of those in was. A service that
// nothing wants (started by a bus name, a socket or a session) may stop when it
// likes and is not listed as stopped.
func (n *Node) Units(ctx context.Context, was []string) (reconcile.Units, error) {
	u := reconcile.Units{Restarts: map[string]uint32{}}
	err := n.Bus.call(ctx, func(ctx context.Context, c *dbus.Conn) error {
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
				continue
			case "active":
				if service {
					u.Active = append(u.Active, s.Name)
				}
			case "activating":
			default:
				continue
			}
			if !service {
				continue
			}
			p, err := c.GetUnitTypePropertyContext(ctx, s.Name, "Service", "NRestarts")
			if err != nil {
				continue // it went away between the two questions
			}
			if restarts, _ := p.Value.Value().(uint32); restarts > 0 {
				u.Restarts[s.Name] = restarts
			}
		}
		for _, name := range was {
			switch state[name] {
			case "active", "reloading", "refreshing", "failed":
				continue
			case "activating", "deactivating", "maintenance":
				u.Pending = append(u.Pending, name)
				continue
			}
			wanted, err := wanted(ctx, c, name)
			if err != nil {
				return err
			}
			if wanted {
				u.Stopped = append(u.Stopped, name)
			}
		}
		return nil
	})
	if err != nil {
		return reconcile.Units{}, fmt.Errorf("look at the units: %w", err)
	}
	return u, nil
}

// wanted reports whether the inactive unit exists and another one pulls it in.
func wanted(ctx context.Context, c *dbus.Conn, name string) (bool, error) {
	props, err := c.GetUnitPropertiesContext(ctx, name)
	if err != nil {
		return false, err
	}
	if props["LoadState"] != "loaded" {
		return false, nil
	}
	for _, p := range []string{"WantedBy", "RequiredBy", "UpheldBy", "BoundBy"} {
		if by, _ := props[p].([]string); len(by) > 0 {
			return true, nil
		}
	}
	return false, nil
}
