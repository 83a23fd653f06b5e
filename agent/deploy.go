package agent

import (
	"context"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"github.com/infra-agent/infra-agent/reconcile"
)

// arm roots both systems and the guard's program, drains the node, and starts the
// guard with the longest time that the trial may take without an agent.
func (a *Agent) arm(ctx context.Context, j reconcile.Arm, p Ports, policy reconcile.Policy) (reconcile.Event, error) {
	d := j.Deployment
	for _, path := range []string{string(d.Old.Toplevel), string(d.New.Toplevel), storePath(a.Self)} {
		if path == "" {
			continue
		}
		if err := p.Nix.Root(ctx, rootName(path), path); err != nil {
			return nil, err
		}
	}
	if err := runAll(ctx, "drain", d.Drain, p); err != nil {
		return nil, err
	}
	until := a.Uptime() + reconcile.ArmedFor(policy, d.Confirm)
	if err := p.Guard.Arm(d, until, d.RecoveryUnder(policy)); err != nil {
		return nil, err
	}
	if err := p.Units.StartGuard(ctx, d, a.StateDir); err != nil {
		return nil, err
	}
	return reconcile.Armed{}, nil
}

// baseline looks at the node as it is before anything is changed.
func baseline(ctx context.Context, d reconcile.Deployment, p Ports) (reconcile.Baseline, error) {
	units, err := p.Units.Units(ctx, d, nil)
	if err != nil {
		return reconcile.Baseline{}, err
	}
	follow := p.Follower.FollowState()
	base := reconcile.Baseline{Failed: units.Failed, Restarting: units.Restarting, Active: units.Active, Checks: map[string]bool{}, Print: follow.Print, Nix: follow.Nix}
	for name, res := range p.Health.Run(ctx, d.Old.Checks) {
		base.Checks[name] = res.OK
	}
	targets := d.Confirm.Targets
	if len(targets) == 0 {
		targets = p.Health.DefaultTargets(ctx)
	}
	answered := p.Health.Answered(ctx, targets)
	for _, t := range slices.Sorted(maps.Keys(answered)) {
		if answered[t] {
			base.Targets = append(base.Targets, t)
		}
	}
	return base, context.Cause(ctx) // a look that was cut short says nothing
}

// activate waits for the trial unit.
func (a *Agent) activate(ctx context.Context, j reconcile.Activate, p Ports) (reconcile.Event, error) {
	act, err := p.Switch.Trial(ctx, j.Deployment, j.Attempt, a.guarded(j.Deployment.ID, p))
	return reconcile.Activated{Activation: act}, err
}

func (a *Agent) setGuard(ctx context.Context, j reconcile.SetGuard, p Ports, policy reconcile.Policy) error {
	if j.Until == 0 {
		return p.Guard.Disarm(j.Deployment.ID)
	}
	if err := p.Guard.Arm(j.Deployment, j.Until, j.Deployment.RecoveryUnder(policy)); err != nil {
		return err
	}
	return p.Units.StartGuard(ctx, j.Deployment, a.StateDir)
}

func (a *Agent) sample(ctx context.Context, j reconcile.Sample, p Ports) (reconcile.Event, error) {
	units, err := p.Units.Units(ctx, j.Deployment, j.Baseline.Active)
	s := reconcile.Sampling{Known: err == nil, Units: units}
	if err != nil {
		a.Log.Warn("the units could not be looked at", "err", err)
	}
	s.Checks = p.Health.Run(ctx, j.Checks)
	s.Targets = p.Health.Answered(ctx, j.Baseline.Targets)
	return reconcile.Sampled{Sample: s, Uptime: a.Uptime()}, context.Cause(ctx) // as above
}

// goBack keeps the guard armed while the agent itself brings the old system
// back, and turns it off when the old system is active. It goes back without a guard,
// too, but never beside one that does so itself.
func (a *Agent) goBack(ctx context.Context, j reconcile.GoBack, p Ports, policy reconcile.Policy) (reconcile.Event, error) {
	err := p.Guard.Bound(j.Deployment, j.Until, j.Deployment.RecoveryUnder(policy))
	for err != nil && a.guardActs(ctx, j.Deployment.ID, p) {
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(time.Second):
		}
		err = p.Guard.Bound(j.Deployment, j.Until, j.Deployment.RecoveryUnder(policy))
	}
	if err == nil {
		err = p.Units.StartGuard(ctx, j.Deployment, a.StateDir)
	}
	if err != nil {
		a.Log.Warn("going back without a guard", "err", err)
	}
	act, err := p.Switch.GoBack(ctx, j.Deployment, j.Attempt, a.besideNone(ctx, j.Deployment.ID, p))
	if err != nil {
		return nil, err
	}
	if act.Exit == 0 || act.Exit == 4 { // with both, the old system is active
		if err := p.Guard.Disarm(j.Deployment.ID); err != nil {
			return nil, err
		}
	}
	return reconcile.Activated{Activation: act}, nil
}

// guarded lets an activation begin only while the deployment's guard is armed: the
// machine may have slept past the deadline since the agent looked.
func (a *Agent) guarded(id string, p Ports) func(start func() error) error {
	return func(start func() error) error { return p.Guard.Begin(id, a.Uptime, start) }
}

// besideNone lets the agent's own way back begin when no guard goes back just now;
// else it waits for the guard's end.
func (a *Agent) besideNone(ctx context.Context, id string, p Ports) func(start func() error) error {
	return func(start func() error) error {
		for {
			begun := false
			err := a.guarded(id, p)(func() error { begun = true; return start() })
			if begun {
				return err
			}
			if !a.guardActs(ctx, id, p) {
				return start()
			}
			select {
			case <-ctx.Done():
				return err
			case <-time.After(time.Second):
			}
		}
	}
}

// guardActs reports whether the deployment's guard is going back just now, or
// whether that cannot be seen. On a full disk it does so without a claim.
func (a *Agent) guardActs(ctx context.Context, id string, p Ports) bool {
	guard, err := p.Guard.State()
	if err != nil || guard.ID != id { // it cannot read its file either
		return false
	}
	if !guard.Claimed && (guard.Until == 0 || a.Uptime() < guard.Until) {
		return false
	}
	alive, err := p.Units.GuardAlive(ctx, id)
	return alive || err != nil
}

// storePath returns the store path that file is in; "" when it is in none.
func storePath(file string) string {
	const store = "/nix/store/"
	rel, err := filepath.Rel(store, file)
	if err != nil || rel == "." || rel[0] == '.' {
		return ""
	}
	first := rel
	for dir := filepath.Dir(rel); dir != "."; dir = filepath.Dir(dir) {
		first = dir
	}
	return store + first
}
