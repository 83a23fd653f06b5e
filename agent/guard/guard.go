package guard

import (
	"cmp"
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
	Place   Place
	ID      string // deployment
	Boot    reconcile.BootID
	Uptime  func() time.Duration // boot-time clock
	Current func() string        // the running system; "": it cannot be seen
	Program func(ctx context.Context, args ...string) error
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
		f, err := g.Place.Read()
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
			if err := g.goBack(ctx, f); !errors.Is(err, errNotOurs) {
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

// goBack claims the deployment of f and undoes it. After the claim nothing the
// agent does can confirm it. On a full disk it goes back without: the agent, too,
// must write before it can confirm.
func (g *Guard) goBack(ctx context.Context, f File) error {
	err := g.Place.Update(func(now *File) error {
		if !g.ours(*now) || now.Claim.At.IsZero() && g.Uptime() < time.Duration(now.UntilNS) {
			return errNotOurs // moved or turned off at the last moment
		}
		if now.Claim.At.IsZero() {
			now.Claim.At = time.Now().UTC()
		}
		f = *now
		return nil
	})
	if errors.Is(err, errNotOurs) {
		return err
	}
	if err != nil {
		g.Log.Error("going back without a claim", "err", err)
	}
	g.Log.Warn("not confirmed in time, going back", "deployment", g.ID, "old", f.Old)
	systemctl := filepath.Join(string(f.Old), "sw/bin/systemctl")
	if _, err := os.Stat(systemctl); err != nil {
		systemctl = "systemctl"
	}
	if f.TrialUnit != "" {
		if err := g.run(ctx, reconcile.GuardWithin, systemctl, "stop", f.TrialUnit); err != nil {
			g.Log.Warn("stop the trial", "unit", f.TrialUnit, "err", err)
		}
	}
	err = g.run(ctx, cmp.Or(time.Duration(f.SwitchNS), reconcile.GuardWithin), filepath.Join(string(f.Old), "bin/switch-to-configuration"), "test")
	if ctx.Err() != nil { // stopped in the middle; whoever starts it again resumes
		return context.Cause(ctx)
	}
	if current := g.Current(); current != string(f.Old) {
		g.Log.Error("the old system did not become current", "old", f.Old, "current", current, "err", err)
		if f.Reboot && !f.Rebooted {
			return g.reboot(ctx, systemctl)
		}
	}
	return g.done(ctx)
}

// done writes down that the old system is back, and does not give up: a guard that
// is started again would bring it back once more.
func (g *Guard) done(ctx context.Context) error {
	for {
		err := g.Place.Update(func(f *File) error {
			if f.ID == g.ID && f.Boot == g.Boot {
				f.Claim.Done, f.Mode = true, ModeOff
			}
			return nil
		})
		if err == nil {
			return nil
		}
		g.Log.Error("the old system is back, but that could not be written", "err", err)
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(tick):
		}
	}
}

// reboot asks for a reboot and notes it first, so that it is never asked for twice.
// Where the note cannot be written the next boot's own name says as much.
func (g *Guard) reboot(ctx context.Context, systemctl string) error {
	err := g.Place.Update(func(f *File) error { f.Rebooted = true; return nil })
	if err != nil {
		g.Log.Error("rebooting without a note", "err", err)
	}
	return g.run(ctx, reconcile.GuardWithin, systemctl, "reboot")
}

func (g *Guard) run(ctx context.Context, limit time.Duration, args ...string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("not done within %v", limit))
	defer cancel()
	g.Log.Info("running", "args", args)
	if err := g.Program(ctx, args...); err != nil {
		return fmt.Errorf("%s: %w", args[0], err)
	}
	return nil
}

// Programs returns how a guard runs programs, with the environment of a switch that goes
// back. What they say goes to the log.
func Programs(log *slog.Logger) func(ctx context.Context, args ...string) error {
	return func(ctx context.Context, args ...string) error {
		_, err := command.Run(ctx, command.Command{
			Args: args,
			Env:  []string{"NIXOS_NO_CHECK=1", "NIXOS_INSTALL_BOOTLOADER=0"},
			Stderr: func(line string) {
				log.Info(line)
			},
		})
		return err
	}
}
