package guard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/infra-agent/infra-agent/agent/command"
	"github.com/infra-agent/infra-agent/reconcile"
)

// A Guard watches the deadline of one deployment.
type Guard struct {
	Dir     string // state directory
	ID      string // deployment
	Boot    reconcile.BootID
	Uptime  func() time.Duration // boot-time clock
	Current string               // /run/current-system
	Log     *slog.Logger
	Ready   func() // called once the file was read and is this guard's
}

// tick bounds how long a change of the file goes unseen.
const tick = time.Second

// errNotOurs says that the file speaks of another deployment, or of none.
var errNotOurs = errors.New("nothing to guard")

// Run waits for the deadline and then brings the old system back. It returns nil
// when there is nothing to guard any more, and may be started again at any time.
func (g *Guard) Run(ctx context.Context) error {
	ready := g.Ready
	for {
		f, err := Read(g.Dir)
		if err != nil {
			return err
		}
		if !g.ours(f) {
			g.Log.Info("nothing to guard", "deployment", g.ID)
			return nil
		}
		if ready != nil {
			ready()
			ready = nil
		}
		left := time.Duration(f.UntilNS) - g.Uptime()
		if left <= 0 || !f.Claim.At.IsZero() {
			if err := g.goBack(ctx); !errors.Is(err, errNotOurs) {
				return err
			}
			continue
		}
		select {
		case <-ctx.Done(): // the agent has no more need of it
			return nil
		case <-time.After(min(left, tick)):
		}
	}
}

func (g *Guard) ours(f File) bool {
	return f.ID == g.ID && f.Boot == g.Boot && f.Mode != ModeOff && !f.Claim.Done
}

// goBack claims the deployment and undoes it. After the claim nothing the agent
// does can confirm it.
func (g *Guard) goBack(ctx context.Context) error {
	var f File
	err := Update(g.Dir, func(now *File) error {
		if !g.ours(*now) || now.Claim.At.IsZero() && g.Uptime() < time.Duration(now.UntilNS) {
			return errNotOurs // moved or turned off at the last moment
		}
		if now.Claim.At.IsZero() {
			now.Claim.At = time.Now().UTC()
		}
		f = *now
		return nil
	})
	if err != nil {
		return err
	}
	g.Log.Warn("not confirmed in time, going back", "deployment", g.ID, "old", f.Old)
	systemctl := filepath.Join(string(f.Old), "sw/bin/systemctl")
	if _, err := os.Stat(systemctl); err != nil {
		systemctl = "systemctl"
	}
	if f.TrialUnit != "" {
		if err := g.run(ctx, systemctl, "stop", f.TrialUnit); err != nil {
			g.Log.Warn("stop the trial", "unit", f.TrialUnit, "err", err)
		}
	}
	err = g.run(ctx, filepath.Join(string(f.Old), "bin/switch-to-configuration"), "test")
	if current, _ := os.Readlink(g.Current); current != string(f.Old) {
		g.Log.Error("the old system did not become current", "old", f.Old, "current", current, "err", err)
		if f.Reboot && !f.Rebooted {
			return g.reboot(ctx, systemctl)
		}
	}
	return Update(g.Dir, func(now *File) error {
		now.Claim.Done, now.Mode = true, ModeOff
		return nil
	})
}

func (g *Guard) reboot(ctx context.Context, systemctl string) error {
	err := Update(g.Dir, func(f *File) error { f.Rebooted = true; return nil })
	if err != nil {
		return err
	}
	return g.run(ctx, systemctl, "reboot")
}

func (g *Guard) run(ctx context.Context, args ...string) error {
	g.Log.Info("running", "args", args)
	_, err := command.Run(ctx, command.Command{
		Args: args,
		Env:  []string{"NIXOS_NO_CHECK=1", "NIXOS_INSTALL_BOOTLOADER=0"},
		Stderr: func(line string) {
			g.Log.Info(line)
		},
	})
	if err != nil {
		return fmt.Errorf("%s: %w", args[0], err)
	}
	return nil
}
