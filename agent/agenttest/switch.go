package agenttest

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/infra-agent/infra-agent/reconcile"
)

// A unit is a transient unit: it goes on when the agent dies, and ends with the power.
type unit struct {
	kill   context.CancelFunc
	killed context.Context
	done   chan struct{}
	exit   int // after done
}

// attach starts the unit unless it exists, and waits for its end.
func (p *Process) attach(ctx context.Context, name string, begin func(start func() error) error, work func(u *unit) int) (*unit, error) {
	var u *unit
	p.n.Do(func() { u = p.n.units[name] })
	if u == nil {
		err := begin(func() error {
			return p.effect(ctx, "start "+name, func() error { u = p.n.start(name, work); return nil })
		})
		if err != nil {
			return nil, err
		}
	}
	select {
	case <-u.done:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	return u, p.effect(ctx, "end of "+name, func() error { return nil })
}

// start begins the unit. The caller holds mu.
func (n *Node) start(name string, work func(u *unit) int) *unit {
	killed, kill := context.WithCancel(context.Background())
	u := &unit{kill: kill, killed: killed, done: make(chan struct{}), exit: -1}
	n.units[name] = u
	n.life.Go(func() {
		defer close(u.done)
		defer kill()
		exit := work(u)
		if killed.Err() == nil {
			u.exit = exit
		}
	})
	return u
}

// step is a moment in a unit's life: it takes a while, then it happens, unless
// the unit was killed before.
func (n *Node) step(u *unit, name string, happen func()) bool {
	sleep(u.killed, 500*time.Millisecond)
	n.mu.Lock()
	defer n.mu.Unlock()
	if stalled := n.pass("before " + name); stalled {
		n.mu.Unlock()
		<-u.killed.Done()
		n.mu.Lock()
	}
	if u.killed.Err() != nil {
		return false
	}
	happen()
	n.pass("after " + name)
	return u.killed.Err() == nil
}

// activate is "switch-to-configuration test"; it may be killed half way, or hang
// there until somebody kills it.
func (n *Node) activate(u *unit, t reconcile.Toplevel, killed, hangs bool) bool {
	n.Do(func() {
		if n.switching++; n.switching > 1 {
			n.Diary.AtOnce++
		}
	})
	defer n.Do(func() { n.switching-- })
	if !n.step(u, "current-system is "+string(t), func() { n.run(t) }) || killed {
		return false
	}
	if hangs {
		<-u.killed.Done()
	}
	return n.step(u, "the units are those of "+string(t), func() { n.load(t) })
}

// Trial activates the new system.
func (p *Process) Trial(ctx context.Context, d reconcile.Deployment, attempt int, begin func(func() error) error) (reconcile.Activation, error) {
	n, top := p.n, d.New.Toplevel
	if attempt > 1 {
		if err := p.Stop(ctx, fmt.Sprintf("trial-%s-%d", d.ID, attempt-1)); err != nil {
			return reconcile.Activation{}, err
		}
	}
	for back := 1; back <= 2; back++ {
		begun := false
		n.Do(func() { begun = n.units[fmt.Sprintf("back-%s-%d", d.ID, back)] != nil })
		if begun {
			return reconcile.Activation{Attempt: attempt, Exit: 1, Why: "it is being rolled back already"}, nil
		}
	}
	u, err := p.attach(ctx, fmt.Sprintf("trial-%s-%d", d.ID, attempt), begin, func(u *unit) int {
		var s System
		killed := false
		n.Do(func() {
			n.Diary.Trials = append(n.Diary.Trials, Trial{top, decode(n.disk)})
			s = *n.Systems[top]
			switch {
			case s.Busy > 0:
				n.Systems[top].Busy--
			case s.Killed > 0:
				n.Systems[top].Killed--
				killed = true
			}
		})
		switch {
		case s.Busy > 0:
			return 11
		case !n.activate(u, top, killed, s.Hangs):
			return -1
		case s.Exit == 0 && s.Failing != "":
			return 4
		}
		return s.Exit
	})
	if err != nil {
		return reconcile.Activation{}, err
	}
	a := reconcile.Activation{Attempt: attempt, Exit: u.exit, Why: "last line"}
	switch u.exit {
	case 11:
		a.Hold = reconcile.GateLock
	case 4:
		a.Failed = []string{n.system(top).Failing}
	}
	return a, nil
}

// GoBack activates the old system.
func (p *Process) GoBack(ctx context.Context, d reconcile.Deployment, attempt int, begin func(func() error) error) (reconcile.Activation, error) {
	n, top := p.n, d.Old.Toplevel
	for trial := 1; trial <= 2; trial++ {
		if err := p.Stop(ctx, fmt.Sprintf("trial-%s-%d", d.ID, trial)); err != nil {
			return reconcile.Activation{}, err
		}
	}
	if err := p.stopDefaults(ctx, ""); err != nil {
		return reconcile.Activation{}, err
	}
	for other := 1; other <= 2; other++ {
		if other == attempt {
			continue
		}
		if err := p.Stop(ctx, fmt.Sprintf("back-%s-%d", d.ID, other)); err != nil {
			return reconcile.Activation{}, err
		}
	}
	u, err := p.attach(ctx, fmt.Sprintf("back-%s-%d", d.ID, attempt), begin, func(u *unit) int {
		s := n.system(top)
		if n.unreturnable(top) {
			return 1
		}
		if !n.activate(u, top, n.strikes(&s.Torn), n.strikes(&s.Endless)) {
			return -1
		}
		return 0
	})
	if err != nil {
		return reconcile.Activation{}, err
	}
	return reconcile.Activation{Attempt: attempt, Exit: u.exit, Why: "last line"}, nil
}

func (n *Node) unreturnable(t reconcile.Toplevel) bool {
	return n.strikes(&n.system(t).Unreturnable)
}

func (n *Node) system(t reconcile.Toplevel) (s *System) {
	n.Do(func() { s = n.Systems[t] })
	return s
}

// strikes reports whether a fault that strikes so many times does so now.
func (n *Node) strikes(times *int) (now bool) {
	n.Do(func() {
		if now = *times > 0; now {
			*times--
		}
	})
	return now
}

// Promote makes the new system permanent.
func (p *Process) Promote(ctx context.Context, d reconcile.Deployment, try int) error {
	for trial := 1; trial <= 2; trial++ {
		if err := p.Stop(ctx, fmt.Sprintf("trial-%s-%d", d.ID, trial)); err != nil {
			return err
		}
	}
	name := fmt.Sprintf("promote-%s-%d", d.ID, try)
	if err := p.stopDefaults(ctx, name); err != nil {
		return err
	}
	return p.makeDefault(ctx, d.New.Toplevel, name)
}

// Restore makes t the default.
func (p *Process) Restore(ctx context.Context, t reconcile.Toplevel) error {
	if err := p.stopDefaults(ctx, ""); err != nil {
		return err
	}
	return p.makeDefault(ctx, t, "restore-"+string(t))
}

func (p *Process) stopDefaults(ctx context.Context, but string) error {
	for _, u := range p.n.Units() {
		sets := strings.HasPrefix(u, "promote-") || strings.HasPrefix(u, "restore-")
		if sets && (but == "" || !strings.HasPrefix(u, but+"-")) {
			if err := p.Stop(ctx, u); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *Process) makeDefault(ctx context.Context, t reconcile.Toplevel, name string) error {
	begin := func(start func() error) error { return start() }
	u, err := p.attach(ctx, name+"-profile", begin, func(u *unit) int {
		if !p.n.step(u, "profile is "+string(t), func() { p.n.slots.Profile = t }) {
			return -1
		}
		return 0
	})
	if err == nil && u.exit == 0 {
		u, err = p.attach(ctx, name+"-boot", begin, func(u *unit) int {
			if p.n.strikes(&p.n.system(t).Unpromotable) || !p.n.step(u, "boot default is "+string(t), func() { p.n.slots.Default = t }) {
				return 1
			}
			return 0
		})
	}
	if err == nil && u.exit != 0 {
		err = fmt.Errorf("exited %d", u.exit)
		if u.exit > 0 { // the boot loader refuses the system
			err = reconcile.Rejected(reconcile.GatePreflight, err)
		}
	}
	return err
}

// Stop ends the unit and forgets it.
func (p *Process) Stop(ctx context.Context, name string) error {
	var u *unit
	err := p.effect(ctx, "stop "+name, func() error {
		if u = p.n.units[name]; u != nil {
			u.kill()
		}
		return nil
	})
	if err != nil || u == nil {
		return err
	}
	<-u.done
	p.n.Do(func() {
		if p.n.units[name] == u {
			delete(p.n.units, name)
		}
	})
	return nil
}

// Leftovers lists the agent's units.
func (p *Process) Leftovers(context.Context) ([]string, error) { return p.n.Units(), nil }

// Reboot reboots the machine into its default.
func (p *Process) Reboot(ctx context.Context) error {
	return p.effect(ctx, "reboot", func() error {
		p.n.Diary.Reboots[p.n.guard.ID]++
		p.n.cut()
		return nil
	})
}
