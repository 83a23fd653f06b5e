package agenttest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/infra-agent/infra-agent/agent"
	"github.com/infra-agent/infra-agent/reconcile"
)

// A Process is one run of the agent, and the ports through which it sees the
// node. Once it is dead nothing that it still does has an effect.
type Process struct {
	n                 *Node
	agent             *agent.Agent // guarded by the node's mu; nil: it is starting
	notes             []string     // what it told systemd; guarded by the node's mu
	program, settings string
	dies              bool               // after a moment
	end               context.CancelFunc // as SIGTERM does
	dead              bool               // guarded by the node's mu
	done              chan struct{}
}

var errDead = errors.New("the process is dead")

// PollInterval is how often each remote is asked.
const PollInterval = 30 * time.Second

// spawn starts the agent of s. The caller holds mu.
func (n *Node) spawn(boot context.Context, s *System) *Process {
	ctx, end := context.WithCancel(boot)
	p := &Process{n: n, program: s.Agent, settings: s.Settings, dies: s.AgentDies, end: end, done: make(chan struct{})}
	record, told, id, bootedAt := decode(n.disk), n.told, n.bootID(), n.bootedAt
	wake, anew := make(chan struct{}, 1), make(chan struct{}, 1)
	n.life.Go(func() {
		defer close(p.done)
		defer end()
		a := agent.New(agent.Options{
			Ports:  p.ports(id),
			Policy: n.Policy, Record: record, StateDir: "/var/lib/infra-agent", Boot: id, Self: s.Agent,
			Uptime: func() time.Duration {
				n.mu.Lock()
				defer n.mu.Unlock()
				return time.Since(bootedAt) + n.skew
			},
			Asleep:   func() (slept time.Duration) { n.Do(func() { slept = n.skew }); return slept },
			Spread:   func() float64 { return 1 },
			PollNow:  func() { ring(wake) },
			PollAnew: func() { ring(anew) },
			Notify:   func(state string) { n.Do(func() { p.notes = append(p.notes, state) }) },
			Watchdog: 10 * time.Second, Log: slog.New(slog.DiscardHandler), Told: told, Receivers: p,
		})
		n.Do(func() { p.agent = a })
		n.life.Go(func() { p.poll(ctx, a, wake, anew) })
		if p.dies {
			n.life.Go(func() {
				sleep(ctx, 5*time.Second)
				n.Do(p.kill)
			})
		}
		_ = a.Run(ctx)
	})
	return p
}

func ring(bell chan struct{}) {
	select {
	case bell <- struct{}{}:
	default:
	}
}

func (p *Process) ports(boot reconcile.BootID) agent.Ports {
	return agent.Ports{Source: p, Registry: p, Manifests: p, Nix: nix{p}, Links: p, Units: p, Switch: p, Programs: p, Guard: p.guardClient(boot), Health: p, Store: p, Follower: p}
}

// Ports returns the ports of a process that does nothing by itself, on a node that is on.
func (n *Node) Ports() (ports agent.Ports) {
	n.Do(func() { ports = (&Process{n: n, end: func() {}}).ports(n.bootID()) })
	return ports
}

// runs reports whether p is the agent of s: a switch restarts a unit that changes.
func (p *Process) runs(s *System) bool {
	return s.retires || s.Agent == p.program && s.Settings == p.settings && s.AgentDies == p.dies
}

// kill ends the process at once. The caller holds mu.
func (p *Process) kill() {
	p.dead = true
	p.end()
}

// effect does something to the node, between two numbered points. It ends with ctx.
func (p *Process) effect(ctx context.Context, name string, do func() error) error {
	p.n.mu.Lock()
	defer p.n.mu.Unlock()
	if p.dead {
		return errDead
	}
	if p.hot() {
		p.n.Diary.Hot = name
		p.kill() // or its instant would never end
		return errDead
	}
	if stalled := p.n.pass("before " + name); stalled && ctx.Done() != nil {
		p.n.mu.Unlock()
		<-ctx.Done()
		p.n.mu.Lock()
	}
	if p.dead {
		return errDead
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	err := do()
	if p.n.pass("after " + name); p.dead {
		return errDead
	}
	return err
}

// hot reports whether there were more effects at this instant than an agent that
// pauses between its tries can have.
func (p *Process) hot() bool {
	if now := time.Now(); !now.Equal(p.n.instant) {
		p.n.instant, p.n.effects = now, 0
	}
	p.n.effects++
	return p.n.effects > 500
}

// Slots returns the links.
func (p *Process) Slots() reconcile.Slots { return p.n.Slots() }

// Booted returns the booted system.
func (p *Process) Booted() reconcile.Toplevel { return p.n.Booted() }

// AgentOf returns the agent's program of a system.
func (p *Process) AgentOf(t reconcile.Toplevel) (program string) {
	p.n.Do(func() {
		if s := p.n.Systems[t]; s != nil {
			program = s.Agent
		}
	})
	return program
}

// RebootRequired finds nothing: no system brings another kernel.
func (p *Process) RebootRequired() []string { return nil }

// Generations does not number them.
func (p *Process) Generations() map[reconcile.Toplevel]int { return nil }

// Units looks at the units of the system that is loaded.
func (p *Process) Units(_ context.Context, _ reconcile.Deployment, was []string) (reconcile.Units, error) {
	p.n.mu.Lock()
	defer p.n.mu.Unlock()
	u := reconcile.Units{Active: []string{"app.service"}}
	if p.n.halfway {
		u.Active = nil
		if slices.Contains(was, "app.service") {
			u.Stopped = []string{"app.service"}
		}
	}
	if f := p.n.Systems[p.n.loaded].Failing; f != "" {
		u.Failed = []string{f}
	}
	return u, nil
}

// Preflight finds the switch lock taken, as often as the system says, or a change
// that only a reboot can bring.
func (p *Process) Preflight(ctx context.Context, next reconcile.Toplevel, retire bool, _ string) (reconcile.Newcomer, error) {
	newcomer := reconcile.Newcomer{Checks: checks}
	p.n.Do(func() { newcomer.Observes = p.n.Systems[next].Observes })
	err := p.effect(ctx, "preflight", func() error {
		s := p.n.Systems[next]
		s.retires = retire && s.Agent == ""
		newcomer.Retires = s.retires
		if s.Reboot {
			return reconcile.Rejected(reconcile.GateReboot, errors.New("the init system changes"))
		}
		if s.Locked > 0 {
			s.Locked--
			return reconcile.Rejected(reconcile.GateLock, errors.New("another switch is running"))
		}
		return nil
	})
	return newcomer, err
}

// Orphan reports whether the loaded system has no agent.
func (p *Process) Orphan(context.Context) (orphan bool, err error) {
	p.n.Do(func() { orphan = p.n.Systems[p.n.loaded].Agent == "" })
	return orphan, nil
}

// Retire ends the agent.
func (p *Process) Retire(ctx context.Context) error {
	return p.effect(ctx, "retire", func() error {
		p.kill()
		return nil
	})
}

// FollowState is what the agent of the loaded system follows its branch with.
func (p *Process) FollowState() (s reconcile.FollowState) {
	p.n.Do(func() { s.Print = p.program + " " + p.n.Systems[p.n.loaded].Settings })
	return s
}

// AskOld reports whether a remote answers the old system's settings.
func (p *Process) AskOld(ctx context.Context, d reconcile.Deployment) (reconcile.OldPoll, error) {
	old := reconcile.OldSilent
	err := p.effect(ctx, "ask the old settings", func() error {
		for _, name := range p.n.Order {
			asked := p.n.Systems[d.Old.Toplevel]
			if p.n.Remotes[name] != "" && !p.n.cutOff() && asked.Agent != "" && !asked.Deaf && !p.n.Systems[p.n.loaded].Nameless {
				old = reconcile.OldAnswered
			}
		}
		if p.n.Systems[p.n.loaded].Takes {
			old = reconcile.OldLost
		}
		return nil
	})
	return old, err
}

// Secrets finds those missing that the node does not have.
func (p *Process) Secrets(ctx context.Context, secrets []reconcile.Secret) error {
	if len(secrets) == 0 {
		return nil
	}
	return p.effect(ctx, "look at secrets", func() error {
		for _, s := range secrets {
			if !p.n.Secrets[s.Path] {
				return reconcile.Rejected(reconcile.GateSecrets, fmt.Errorf("secret %s is missing", s.Path))
			}
		}
		return nil
	})
}

// Exec notes the command.
func (p *Process) Exec(ctx context.Context, argv []string) error {
	return p.effect(ctx, "exec "+argv[0], func() error {
		p.n.Diary.Commands = append(p.n.Diary.Commands, argv[0])
		if p.n.Broken[argv[0]] {
			return errors.New("exit status 1")
		}
		p.n.drained = argv[0] == "drain"
		return nil
	})
}

// Run runs checks, each of which ends at its timeout.
func (p *Process) Run(ctx context.Context, checks []reconcile.Check) map[string]reconcile.CheckResult {
	var takes map[string]time.Duration
	p.n.Do(func() { takes = p.n.Systems[p.n.loaded].CheckTakes })
	longest := time.Duration(0)
	checks = reconcile.Runnable(checks)
	for _, c := range checks {
		longest = max(longest, min(takes[c.Name], c.Timeout))
	}
	sleep(ctx, longest)
	p.n.mu.Lock()
	defer p.n.mu.Unlock()
	results := map[string]reconcile.CheckResult{}
	for _, c := range checks {
		s := p.n.Systems[p.n.loaded]
		red := s.Red || s.Drains && p.n.drained || takes[c.Name] > c.Timeout || ctx.Err() != nil
		results[c.Name] = reconcile.CheckResult{OK: !red, Detail: "status 500"}
	}
	return results
}

// Answered asks connectivity targets.
func (p *Process) Answered(_ context.Context, targets []string) map[string]bool {
	p.n.mu.Lock()
	defer p.n.mu.Unlock()
	answered := map[string]bool{}
	for _, t := range targets {
		answered[t] = !p.n.cutOff()
	}
	return answered
}

// DefaultTargets names two hosts.
func (p *Process) DefaultTargets(context.Context) []string {
	return []string{"git.example:443", "cache.example:443"}
}

// checks are those that every system has.
var checks = []reconcile.Check{{
	Name: Check, Kind: reconcile.CheckTCP, Target: "localhost:80", Required: true,
	Within: 2 * time.Second, Interval: time.Second, Timeout: time.Second, Successes: 2,
}}
