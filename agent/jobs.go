package agent

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"github.com/infra-agent/infra-agent/reconcile"
)

// start runs the job beside the loop. Its end comes back as an event.
func (a *Agent) start(ctx context.Context, job reconcile.Job) {
	ctx, cancel := context.WithCancelCause(ctx)
	run := &running{job: job, since: time.Now(), cancel: cancel}
	a.job = run
	a.progress.Store(&reconcile.Progress{})
	ports, policy := a.Ports, a.Policy
	go func() {
		ev := a.perform(ctx, job, ports, policy)
		a.inbox <- func() {
			unwanted := run.cancelled || ctx.Err() != nil
			cancel(nil)
			a.job = nil
			if unwanted {
				return
			}
			a.count(ev)
			if !a.note(ev) { // done in vain: not again at once
				a.rec.Work.NotBefore = time.Now().Add(saveAgain)
			}
		}
	}()
}

// stopJob cancels the running job and waits for it.
func (a *Agent) stopJob() {
	if a.job == nil {
		return
	}
	a.job.cancelled = true
	a.job.cancel(context.Canceled)
	for a.job != nil {
		(<-a.inbox)()
	}
}

// perform does the job within its limit and says how it ended.
func (a *Agent) perform(ctx context.Context, job reconcile.Job, p Ports, policy reconcile.Policy) reconcile.Event {
	if limit := reconcile.Limit(job, policy); limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, limit, fmt.Errorf("not done within %v", limit))
		defer cancel()
	}
	start := time.Now()
	ev, err := a.work(ctx, job, p, policy)
	now, took := time.Now(), time.Since(start)
	if err != nil {
		gate, _ := reconcile.RejectedBy(err)
		return reconcile.Failed{Job: job, Gate: gate, Why: err.Error(), At: now, Spread: a.Spread()}
	}
	switch e := ev.(type) {
	case reconcile.Advanced:
		e.Job, e.At, e.Took = job, now, took
		return e
	case reconcile.Activated:
		e.Took = took
		return e
	case nil:
		return reconcile.Done{Job: job, Took: took}
	default:
		return ev
	}
}

// work does the job. A nil event says that there is no result but the end.
func (a *Agent) work(ctx context.Context, job reconcile.Job, p Ports, policy reconcile.Policy) (reconcile.Event, error) {
	switch j := job.(type) {
	case reconcile.Fetch:
		return fetch(ctx, j, p)
	case reconcile.Resolve:
		return resolve(ctx, j, p)
	case reconcile.Evaluate:
		drv, top, err := p.Nix.Evaluate(ctx, j.From.Revision, j.From.Target.Configuration)
		return reconcile.Advanced{Step: reconcile.Evaluated{Resolved: j.From, Derivation: drv, Toplevel: top}}, err
	case reconcile.Build:
		report := func(now reconcile.Progress) { a.progress.Store(&now) }
		err := p.Nix.Build(ctx, j.From.Revision, j.From.Target.Configuration, j.From.Toplevel, report)
		return reconcile.Advanced{Step: reconcile.Built{Evaluated: j.From}}, err
	case reconcile.Preflight:
		return a.preflight(ctx, j, p, policy)
	case reconcile.Tidy:
		return nil, a.tidy(ctx, j, p)
	case reconcile.Arm:
		return a.arm(ctx, j, p, policy)
	case reconcile.Activate:
		return activate(ctx, j, p)
	case reconcile.SetGuard:
		return nil, a.setGuard(ctx, j, p, policy)
	case reconcile.Sample:
		return a.sample(ctx, j, p)
	case reconcile.Promote:
		if err := p.Guard.Disarm(j.Deployment.ID); err != nil {
			return nil, err
		}
		return nil, p.System.Promote(ctx, j.Deployment, j.Try)
	case reconcile.GoBack:
		return nil, a.goBack(ctx, j, p, policy)
	case reconcile.Reboot:
		if err := p.Guard.NoteReboot(j.Deployment.ID); err != nil {
			return nil, err
		}
		return nil, p.System.Reboot(ctx)
	}
	panic(fmt.Sprintf("unknown job %T", job))
}

func fetch(ctx context.Context, j reconcile.Fetch, p Ports) (reconcile.Event, error) {
	tree, err := p.Source.Fetch(ctx, j)
	if err != nil {
		return nil, err
	}
	rev := tree.Revision
	if rev.Tree, err = p.Nix.Add(ctx, tree.Dir); err != nil {
		return nil, err
	}
	return reconcile.Advanced{Step: reconcile.Fetched{Revision: rev, Behind: tree.Behind}}, nil
}

func resolve(ctx context.Context, j reconcile.Resolve, p Ports) (reconcile.Event, error) {
	rev := j.From.Revision
	target, err := p.Registry.Resolve(ctx, rev.Tree, func(ctx context.Context) ([]string, error) {
		return p.Nix.Configurations(ctx, rev)
	})
	return reconcile.Advanced{Step: reconcile.Resolved{Fetched: j.From, Target: target}}, err
}

// preflight also gathers the checks that the trial will be judged by: those of
// the new system's own settings, and those of the registry.
func (a *Agent) preflight(ctx context.Context, j reconcile.Preflight, p Ports, policy reconcile.Policy) (reconcile.Event, error) {
	if err := p.System.Preflight(ctx, j.From.Toplevel, a.recordPath()); err != nil {
		return nil, err
	}
	own, err := p.Settings.ChecksOf(j.From.Toplevel)
	if err != nil {
		return nil, fmt.Errorf("settings of the new system: %w", err)
	}
	if own == nil {
		own = policy.Checks
	}
	checks := reconcile.MergeChecks(own, j.From.Target.Checks)
	return reconcile.Advanced{Step: reconcile.Ready{Built: j.From, Checks: checks}}, nil
}

// tidy removes what earlier deployments left behind. The guard's file is turned
// off first, so that a guard that is stopped too late does nothing.
func (a *Agent) tidy(ctx context.Context, j reconcile.Tidy, p Ports) error {
	guard, err := p.Guard.State()
	if err == nil && guard.Until != 0 {
		err = p.Guard.Disarm(guard.ID)
	}
	if err != nil {
		if a.guardActs(ctx, guard.ID, p) {
			return err
		}
		a.Log.Warn("the guard is stopped though its file could not be changed", "err", err)
	}
	units, err := p.System.Leftovers(ctx)
	if err != nil {
		return err
	}
	for _, u := range units {
		if err := p.System.Stop(ctx, u); err != nil {
			return err
		}
	}
	keep := []string{"source"}
	for _, t := range j.Keep {
		if err := p.Nix.Root(ctx, rootName(string(t)), string(t)); err != nil {
			return err
		}
		keep = append(keep, rootName(string(t)))
	}
	return p.Nix.Unroot(keep...)
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
	alive, err := p.System.GuardAlive(ctx, id)
	return alive || err != nil
}

func rootName(path string) string { return filepath.Base(path) }

// arm roots both systems and the guard's program, takes the baseline, and starts
// the guard with the longest time that the trial may take without an agent.
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
	base, err := baseline(ctx, d, p)
	if err != nil {
		return nil, err
	}
	until := a.Uptime() + max(policy.Limits.Activate, d.Confirm.Deadline)
	if err := p.Guard.Arm(d, until, policy.LastResort); err != nil {
		return nil, err
	}
	if err := p.System.StartGuard(ctx, d, a.StateDir); err != nil {
		return nil, err
	}
	return reconcile.Armed{Baseline: base}, nil
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

func baseline(ctx context.Context, d reconcile.Deployment, p Ports) (reconcile.Baseline, error) {
	units, err := p.System.Units(ctx, nil)
	if err != nil {
		return reconcile.Baseline{}, err
	}
	base := reconcile.Baseline{Failed: units.Failed, Active: units.Active, Checks: map[string]bool{}}
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
	return base, nil
}

// activate waits for the trial unit. After exit 4 the unit list is asked too:
// the output may have been cut.
func activate(ctx context.Context, j reconcile.Activate, p Ports) (reconcile.Event, error) {
	act, err := p.System.Trial(ctx, j.Deployment, j.Attempt)
	if err != nil {
		return nil, err
	}
	if act.Exit == 4 {
		units, err := p.System.Units(ctx, nil)
		if err != nil {
			return nil, err
		}
		act.Failed = append(act.Failed, units.Failed...)
	}
	return reconcile.Activated{Activation: act}, nil
}

func (a *Agent) setGuard(ctx context.Context, j reconcile.SetGuard, p Ports, policy reconcile.Policy) error {
	if j.Until == 0 {
		return p.Guard.Disarm(j.Deployment.ID)
	}
	if err := p.Guard.Arm(j.Deployment, j.Until, policy.LastResort); err != nil {
		return err
	}
	return p.System.StartGuard(ctx, j.Deployment, a.StateDir)
}

func (a *Agent) sample(ctx context.Context, j reconcile.Sample, p Ports) (reconcile.Event, error) {
	units, err := p.System.Units(ctx, j.Baseline.Active)
	s := reconcile.Sampling{Known: err == nil, Units: units}
	if err != nil {
		a.Log.Warn("the units could not be looked at", "err", err)
	}
	s.Checks = p.Health.Run(ctx, j.Checks)
	s.Targets = p.Health.Answered(ctx, j.Baseline.Targets)
	return reconcile.Sampled{Sample: s, Uptime: a.Uptime()}, nil
}

// goBack keeps the guard armed while the agent itself brings the old system
// back, and turns it off when that is done. It goes back without a guard, too,
// but never beside one that does so itself.
func (a *Agent) goBack(ctx context.Context, j reconcile.GoBack, p Ports, policy reconcile.Policy) error {
	err := p.Guard.Bound(j.Deployment, j.Until, policy.LastResort)
	for err != nil && a.guardActs(ctx, j.Deployment.ID, p) {
		select {
		case <-ctx.Done():
			return err
		case <-time.After(time.Second):
		}
		err = p.Guard.Bound(j.Deployment, j.Until, policy.LastResort)
	}
	if err == nil {
		err = p.System.StartGuard(ctx, j.Deployment, a.StateDir)
	}
	if err != nil {
		a.Log.Warn("going back without a guard", "err", err)
	}
	if err := p.System.GoBack(ctx, j.Deployment, j.Attempt, j.Promoted); err != nil {
		return err
	}
	return p.Guard.Disarm(j.Deployment.ID)
}

// count keeps the results of checks for the metrics.
func (a *Agent) count(e reconcile.Event) {
	s, ok := e.(reconcile.Sampled)
	if !ok {
		return
	}
	next := make(map[string]reconcile.CheckCount, len(a.counters.Checks))
	maps.Copy(next, a.counters.Checks)
	for name, res := range s.Sample.Checks {
		c := next[name]
		c.Last = res
		if res.OK {
			c.Passed++
		} else {
			c.Failed++
		}
		next[name] = c
	}
	a.counters.Checks = next
}
