package agent

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
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
			if asked, is := ev.(reconcile.AskedOld); is && asked.Old == reconcile.OldAnswered { // the new settings are asked once more
				defer a.PollAnew()
			}
			if !a.note(ev) { // its result is lost: it is done again, but not at once
				a.rec.Work.Pause = reconcile.Pause{From: time.Now(), Until: time.Now().Add(saveAgain)}
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

// perform does the job within its limit and says how it ended. A commit may reach a
// mistake of the agent: that is a job that failed, or no later commit could mend it.
func (a *Agent) perform(ctx context.Context, job reconcile.Job, p Ports, policy reconcile.Policy) (end reconcile.Event) {
	defer func() {
		if bug := recover(); bug != nil {
			a.Log.Error("this is a bug in infra-agent", "job", reconcile.KeyOf(job), "panic", bug, "stack", string(debug.Stack()))
			why := fmt.Sprintf("a bug in infra-agent: %v (hint: the journal has more; please report it)", bug)
			end = reconcile.Failed{Job: job, Why: why, At: time.Now(), Spread: a.Spread()}
		}
	}()
	ctx, cancel := within(ctx, reconcile.LimitOf(job, policy))
	defer cancel()
	start := time.Now()
	ev, err := a.work(ctx, job, p, policy)
	now, took := time.Now(), time.Since(start)
	if err != nil {
		failed := reconcile.Failed{Job: job, Why: err.Error(), At: now, Spread: a.Spread()}
		if rejected, is := errors.AsType[*reconcile.RejectedError](err); is {
			failed.Gate, failed.Suspect, failed.Verdict = rejected.Gate, rejected.Suspect, rejected.Verdict
		}
		failed.Disk = failed.Gate == "" && reconcile.OfDisk(err.Error())
		_, failed.NoKeys = errors.AsType[*reconcile.KeysError](err)
		return failed
	}
	switch e := ev.(type) {
	case reconcile.Advanced:
		e.Job, e.At, e.Took = job, now, took
		return e
	case reconcile.Activated:
		e.Took = took
		return e
	case nil:
		return reconcile.Done{Job: job, Took: took, Uptime: a.Uptime()}
	default:
		return ev
	}
}

// within bounds ctx by a limit, where there is one, which is then the cause of its end.
func within(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	if limit == 0 {
		return ctx, func() {}
	}
	return context.WithTimeoutCause(ctx, limit, fmt.Errorf("not done within %v", limit))
}

// work does the job. A nil event says that there is no result but the end.
func (a *Agent) work(ctx context.Context, job reconcile.Job, p Ports, policy reconcile.Policy) (reconcile.Event, error) {
	switch j := job.(type) {
	case reconcile.Fetch:
		return a.fetch(ctx, j, p, policy)
	case reconcile.Resolve:
		return resolve(ctx, j, p, policy)
	case reconcile.Plan:
		return plan(ctx, j, p)
	case reconcile.Audit:
		return audit(ctx, j, p, policy)
	case reconcile.Evaluate:
		return evaluate(ctx, j, p, policy)
	case reconcile.Build:
		return build(ctx, j, p, policy, func(now reconcile.Progress) { a.progress.Store(&now) })
	case reconcile.Preflight:
		return a.preflight(ctx, j, p, policy)
	case reconcile.Tidy:
		return nil, a.tidy(ctx, j, p)
	case reconcile.Undrain:
		return nil, runAll(ctx, "undrain", j.Commands, p)
	case reconcile.Measure:
		base, err := baseline(ctx, j.Deployment, p)
		return reconcile.Measured{Deployment: j.Deployment, Baseline: base, At: time.Now()}, err
	case reconcile.Arm:
		return a.arm(ctx, j, p, policy)
	case reconcile.Activate:
		return a.activate(ctx, j, p)
	case reconcile.SetGuard:
		return nil, a.setGuard(ctx, j, p, policy)
	case reconcile.Poll:
		a.PollAnew()
		return nil, nil
	case reconcile.AskOld:
		old, err := p.Follower.AskOld(ctx, j.Deployment)
		return reconcile.AskedOld{Old: old, Uptime: a.Uptime(), At: time.Now()}, err
	case reconcile.Sample:
		return a.sample(ctx, j, p)
	case reconcile.Promote:
		if err := p.Guard.Disarm(j.Deployment.ID); err != nil {
			return nil, err
		}
		return nil, p.Switch.Promote(ctx, j.Deployment, j.Try)
	case reconcile.GoBack:
		return a.goBack(ctx, j, p, policy)
	case reconcile.Restore:
		return nil, p.Switch.Restore(ctx, j.System)
	case reconcile.Retire:
		a.Log.Info("this system has no infra-agent: the last one ends")
		return nil, p.Units.Retire(ctx)
	case reconcile.Reboot:
		if err := p.Guard.NoteReboot(j.Deployment.ID); err != nil {
			return nil, err
		}
		return nil, p.Units.Reboot(ctx)
	}
	panic(fmt.Sprintf("unknown job %T", job))
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
		c.Last, c.Last.At = res, time.Now()
		if res.OK {
			c.Passed++
		} else {
			c.Failed++
		}
		next[name] = c
	}
	a.counters.Checks = next
}

// forgetChecks drops the results of checks that are gone, by a map of its own: views that
// were published have the old one.
func (a *Agent) forgetChecks() {
	gone := func(name string, _ reconcile.CheckCount) bool { return !reconcile.HasCheck(a.rec, name) }
	for name, count := range a.counters.Checks {
		if gone(name, count) {
			a.counters.Checks = maps.Clone(a.counters.Checks)
			maps.DeleteFunc(a.counters.Checks, gone)
			return
		}
	}
}
