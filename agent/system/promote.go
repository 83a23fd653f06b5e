package system

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/infra-agent/infra-agent/agent/command"
	"github.com/infra-agent/infra-agent/reconcile"
)

// Promote makes the new system permanent: first the profile, then the boot
// default, since "boot" for a system in no generation of the profile leaves the
// default of systemd-boot as it was, and exits 0. It reads both back. A boot loader
// that refuses the system is a [reconcile.RejectedError].
func (n *Node) Promote(ctx context.Context, d reconcile.Deployment, try int) error {
	if err := n.stopTrials(ctx, d, 2); err != nil { // one that is kept though it never ended has the switch lock
		return err
	}
	name := fmt.Sprintf("promote-%s-%d", d.ID, try)
	if err := n.stopDefaults(ctx, name); err != nil {
		return err
	}
	return n.makeDefault(ctx, d.New.Toplevel, name)
}

// Restore makes the system that runs the default again, as [Node.Promote] does, from
// the start at each call.
func (n *Node) Restore(ctx context.Context, t reconcile.Toplevel) error {
	if err := n.stopDefaults(ctx, ""); err != nil {
		return err
	}
	hash, _, _ := strings.Cut(filepath.Base(string(t)), "-")
	return n.makeDefault(ctx, t, "restore-"+hash)
}

// makeDefault sets profile and boot loader, each in a unit of its own.
func (n *Node) makeDefault(ctx context.Context, t reconcile.Toplevel, name string) error {
	n.awaitLock(ctx)
	nixEnv, err := command.Path("nix-env")
	if err != nil {
		return fmt.Errorf("set the system profile: %w", err)
	}
	steps := []struct {
		what string
		args []string
	}{
		{"profile", []string{nixEnv, "--profile", systemProfile, "--set", string(t)}},
		{"boot", []string{switchProgram(t), "boot"}},
	}
	for _, step := range steps {
		unit := TransientUnit{
			Name:        "infra-agent-" + name + "-" + step.what + ".service",
			Description: "infra-agent: make " + string(t) + " the default: " + step.what,
			Args:        step.args, Env: switchEnv(),
		}
		state, err := n.attach(ctx, unit, func(start func() error) error { return start() })
		if err != nil {
			return err
		}
		if state.Exit == 0 {
			continue
		}
		out := n.output(ctx, unit.Name)
		err = fmt.Errorf("%s: %s exited %d: %s", step.what, filepath.Base(step.args[0]), state.Exit, lastLine(out))
		if step.what == "boot" && state.Exit > 0 && !slices.ContainsFunc(out, reconcile.OfDisk) && obstacle(state.Exit, out) == "" {
			return reconcile.Rejected(reconcile.GatePreflight, err)
		}
		return err
	}
	return n.isDefault(t)
}

// isDefault reads back what was set, and brings it to the disk.
func (n *Node) isDefault(t reconcile.Toplevel) error {
	if profile := n.toplevel(systemProfile); profile != t {
		return fmt.Errorf("the system profile is %s after it was set to %s", profile, t)
	}
	if now := n.bootDefault(); now != "" && now != t {
		return fmt.Errorf("the boot default is %s after %s was installed", now, t)
	}
	return n.SyncBoot()
}

// stopDefaults stops every unit that sets a default, but for those of this name ("":
// all): a boot loader that hung may wake up, and change what was set after it.
func (n *Node) stopDefaults(ctx context.Context, but string) error {
	units, err := n.Leftovers(ctx)
	if err != nil {
		return err
	}
	var all error
	for _, u := range units {
		sets := strings.HasPrefix(u, "infra-agent-promote-") || strings.HasPrefix(u, "infra-agent-restore-")
		if sets && (but == "" || !strings.HasPrefix(u, "infra-agent-"+but+"-")) {
			all = errors.Join(all, n.Stop(ctx, u))
		}
	}
	return all
}

// awaitLock waits a while for the end of another switch: two that were begun at once are
// no reason to reboot.
func (n *Node) awaitLock(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, reconcile.LockWithin)
	defer cancel()
	for n.lockFree() != nil {
		select {
		case <-ctx.Done():
			return
		case <-time.After(500 * time.Millisecond):
		}
	}
}
