package agenttest

import (
	"context"
	"errors"
	"log/slog"
	"path"
	"time"

	"github.com/infra-agent/infra-agent/agent/guard"
	"github.com/infra-agent/infra-agent/reconcile"
)

// The guard of a simulated node is the real one, and so is the agent's side of it: only
// the file is in memory, and the programs that it runs are those of the node.

// trialUnits is the pattern of the units that activate a system.
func trialUnits(id string) string { return "[tb]*-" + id + "-*" }

// A guardFile is guard.json as a process sees it.
type guardFile struct {
	n     *Node
	write func(guard.File) error
}

// Read returns the file.
func (f guardFile) Read() (file guard.File, err error) {
	f.n.Do(func() { file = f.n.guard })
	return file, nil
}

// Update changes the file under its lock.
func (f guardFile) Update(change func(*guard.File) error) error {
	f.n.guardLock.Lock()
	defer f.n.guardLock.Unlock()
	before, _ := f.Read()
	now := before
	if err := change(&now); err != nil || now == before {
		return err
	}
	return f.write(now)
}

// guardClient is the agent's side.
func (p *Process) guardClient(boot reconcile.BootID) *guard.Client {
	write := func(file guard.File) error {
		return p.effect(context.Background(), "guard "+file.Mode, func() error {
			if p.n.DiskFull {
				return errFull
			}
			p.n.guard = file
			return nil
		})
	}
	return &guard.Client{Place: guardFile{p.n, write}, Boot: boot, TrialUnits: trialUnits}
}

// StartGuard starts the guard.
func (p *Process) StartGuard(ctx context.Context, d reconcile.Deployment, _ string) error {
	name := "guard-" + d.ID
	return p.effect(ctx, "start "+name, func() error {
		if u := p.n.units[name]; u == nil || u.killed.Err() != nil {
			boot := p.n.bootID()
			p.n.start(name, func(u *unit) int { return p.n.runGuard(u, d.ID, boot) })
		}
		return nil
	})
}

// GuardAlive reports whether the guard runs.
func (p *Process) GuardAlive(_ context.Context, id string) (alive bool, err error) {
	p.n.Do(func() {
		u := p.n.units["guard-"+id]
		alive = u != nil && u.killed.Err() == nil
	})
	return alive, nil
}

// runGuard is the life of a guard's unit, which systemd restarts on failure.
func (n *Node) runGuard(u *unit, id string, boot reconcile.BootID) int {
	write := func(file guard.File) (err error) {
		n.Do(func() {
			switch {
			case u.killed.Err() != nil:
				err = errDead
			case n.DiskFull:
				err = errFull
			default:
				n.guard = file
			}
			if err == nil && file.Claim.Done && n.slots.Running != file.Old {
				n.Diary.GaveUp = append(n.Diary.GaveUp, id)
			}
		})
		return err
	}
	g := guard.Guard{
		Place: guardFile{n, write}, ID: id, Boot: boot, Log: slog.New(slog.DiscardHandler), Ready: func() {},
		Uptime:  func() (up time.Duration) { n.Do(func() { up = n.uptime() }); return up },
		Current: func() string { return string(n.Slots().Running) },
		Program: func(ctx context.Context, args ...string) error { return n.program(ctx, id, args) },
	}
	for u.killed.Err() == nil && g.Run(u.killed) != nil {
		sleep(u.killed, time.Second)
	}
	return 0
}

// program runs one of the guard's programs, which ends with ctx.
func (n *Node) program(ctx context.Context, id string, args []string) error {
	switch what := path.Base(args[0]) + " " + args[1]; what {
	case "systemctl stop":
		n.stopUnits(args[2])
	case "systemctl reboot":
		n.Do(func() {
			if ctx.Err() == nil {
				n.Diary.Reboots[id]++
				n.cut()
			}
		})
	case "switch-to-configuration test":
		top := reconcile.Toplevel(path.Dir(path.Dir(args[0])))
		if n.unreturnable(top) || !n.activate(&unit{killed: ctx}, top, false, false) {
			return errors.New("exit status 1")
		}
	default:
		panic("no program " + what)
	}
	return nil
}

// stopUnits stops and forgets the units of a pattern.
func (n *Node) stopUnits(pattern string) {
	stopped := map[string]*unit{}
	n.Do(func() {
		for name, t := range n.units {
			if is, _ := path.Match(pattern, name); is {
				t.kill()
				stopped[name] = t
			}
		}
	})
	for name, t := range stopped {
		<-t.done
		n.Do(func() {
			if n.units[name] == t {
				delete(n.units, name)
			}
		})
	}
}
