package system

import (
	"context"
	"fmt"
	"os"
)

// An agent that is taken off its node outlives the switch to the first system without it,
// by X-StopOnRemoval of nixos/modules/system/boot/systemd.nix: it judges that system, and
// brings the old one back if it must. Then it ends itself.

// Orphan reports whether this agent runs as a unit that the running system does not have.
// The error is that of the bus.
func (n *Node) Orphan(ctx context.Context) (bool, error) {
	if running := n.toplevel(currentSystem); !n.Apart || running == "" || n.AgentOf(running) != "" {
		return false, nil
	}
	var props map[string]any
	err := n.Bus.call(ctx, func(ctx context.Context, c connection) (err error) {
		props, err = c.GetAllPropertiesContext(ctx, AgentUnit)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("look at %s: %w", AgentUnit, err)
	}
	pid, _ := props["MainPID"].(uint32)
	return props["LoadState"] == "not-found" && int(pid) == os.Getpid(), nil
}

// Retire has systemd end this agent. It does not wait for the end, which is its own.
func (n *Node) Retire(ctx context.Context) error {
	err := n.Bus.call(ctx, func(ctx context.Context, c connection) error {
		_, err := c.StopUnitContext(ctx, AgentUnit, "replace", nil)
		return err
	})
	if err != nil {
		return fmt.Errorf("stop %s: %w", AgentUnit, err)
	}
	return nil
}
