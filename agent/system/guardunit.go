package system

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/infra-agent/infra-agent/reconcile"
)

func guardUnit(id string) string { return "infra-agent-guard-" + id + ".service" }

// StartGuard starts the deployment's guard from this agent's own program, which
// belongs to the old system, and waits until it has read its file.
func (n *Node) StartGuard(ctx context.Context, d reconcile.Deployment, stateDir string) error {
	self, err := Self()
	if err != nil {
		return fmt.Errorf("start guard: %w", err)
	}
	name := guardUnit(d.ID)
	if state, err := n.Unit(ctx, name); err == nil && state.Exists && !state.Running {
		if err := n.Stop(ctx, name); err != nil {
			return err
		}
	}
	err = n.Start(ctx, TransientUnit{
		Name: name, Description: "infra-agent: guard of " + string(d.Old.Toplevel), Guard: true,
		Args: []string{self, "guard", "--state-dir", stateDir, d.ID},
		Env:  []string{"PATH=" + os.Getenv("PATH")},
	})
	if err != nil {
		return err
	}
	for {
		state, err := n.Unit(ctx, name)
		if err != nil {
			return err
		}
		if state.Active {
			return nil
		}
		if !state.Running {
			return fmt.Errorf("start %s: it ended with result %s", name, state.Result)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// GuardAlive reports whether the deployment's guard runs.
func (n *Node) GuardAlive(ctx context.Context, id string) (bool, error) {
	s, err := n.Unit(ctx, guardUnit(id))
	return s.Running, err
}
