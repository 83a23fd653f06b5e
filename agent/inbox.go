package agent

import (
	"context"
	"errors"
	"maps"
	"time"

	"github.com/infra-agent/infra-agent/reconcile"
)

// What comes from outside runs in the loop's goroutine, by way of the inbox.

// do runs f in the loop's goroutine.
func (a *Agent) do(ctx context.Context, f func()) error {
	done := make(chan struct{})
	select {
	case a.inbox <- func() { f(); close(done) }:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	<-done
	return nil
}

// Polled takes a remote's answer to a poll.
func (a *Agent) Polled(ctx context.Context, p reconcile.Polled) {
	_ = a.do(ctx, func() {
		before := a.rec.Work.Tip.Commit
		a.note(p)
		result := reconcile.PollUnchanged
		switch {
		case p.Answer.Commit == "":
			result = reconcile.PollError
		case a.rec.Work.Tip.Commit != before:
			result = reconcile.PollChanged
		}
		a.counters.Polls = plusOne(a.counters.Polls, result)
		a.counters.LastPoll = p.Answer.At
	})
}

// Reconfigure puts new settings into force. A deployment goes on with the old
// ones; what only prepares one begins anew. Elsewhere says that the branch or its remotes
// are other ones: then nothing goes on before one of them has answered.
func (a *Agent) Reconfigure(ctx context.Context, ports Ports, policy reconcile.Policy, elsewhere bool) {
	_ = a.do(ctx, func() {
		a.Ports, a.Policy = ports, policy
		if _, inFlight := reconcile.DeploymentOf(a.rec.Phase); a.job != nil && !inFlight {
			a.cancelJob()
		}
		a.reload = reconcile.Reload{At: time.Now()}
		a.note(reconcile.Reloaded{Elsewhere: elsewhere})
	})
}

// ReloadFailed says that new settings are not used, and why.
func (a *Agent) ReloadFailed(ctx context.Context, err error) {
	_ = a.do(ctx, func() { a.reload.Err = err.Error() })
}

// Trouble says that something beside the loop does not work, and why; empty: it does.
func (a *Agent) Trouble(ctx context.Context, what, why string) {
	_ = a.do(ctx, func() {
		next := maps.Clone(a.troubles)
		if next == nil {
			next = map[string]string{}
		}
		if next[what] = why; why == "" {
			delete(next, what)
		}
		a.troubles = next
	})
}

// Look makes the agent look at the node at once.
func (a *Agent) Look(ctx context.Context) { _ = a.do(ctx, func() {}) }

// Command carries out an operator's wish. The error is a
// [*reconcile.RefusedError] when it cannot be done now.
func (a *Agent) Command(ctx context.Context, v reconcile.Verb) error {
	var err error
	if ended := a.do(ctx, func() { err = a.command(ctx, v) }); ended != nil {
		return ended
	}
	return err
}

func (a *Agent) command(ctx context.Context, v reconcile.Verb) error {
	obs := a.observe(ctx)
	events, err := reconcile.Command(a.rec, obs, v)
	if err != nil {
		return err
	}
	if _, extend := v.(reconcile.Extend); extend {
		// The guard must know first: it does not ask the agent.
		p := events[0].(reconcile.Entered).Phase.(reconcile.Confirming)
		if until := p.Guarded(a.rec, obs); until != 0 {
			if err := a.Ports.Guard.Move(p.Deployment.ID, until); err != nil {
				return err
			}
		}
	}
	for _, e := range events {
		if !a.note(e) {
			return errors.New("the record could not be written; see the journal")
		}
	}
	a.publish(a.observe(ctx)) // who asks next sees what this one did
	if _, sync := v.(reconcile.Sync); sync {
		a.PollNow()
	}
	return nil
}

func plusOne[K comparable](m map[K]int, k K) map[K]int {
	next := make(map[K]int, len(m)+1)
	for key, n := range m {
		next[key] = n
	}
	next[k]++
	return next
}
