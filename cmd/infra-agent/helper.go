package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/infra-agent/infra-agent/agent"
	"github.com/infra-agent/infra-agent/reconcile"
)

// helperPauses are between the tries of a helper that does not work; the last one repeats.
var helperPauses = []time.Duration{time.Second, 2 * time.Second, 5 * time.Second, 15 * time.Second, 30 * time.Second}

// help runs something that people need and deployments do not: the control socket, the
// metrics, the watch on files. The agent must live to roll back, so what does not work is
// told, and tried again until ctx ends. The helper says when it is ready; tried is called
// when it is, or does not work, or hangs, for the first time: the agent begins without it.
func help(ctx context.Context, a *agent.Agent, log *slog.Logger, what string, tried func(), helper func(ready func()) error) {
	told, tried := "", sync.OnceFunc(tried)
	defer tried()
	var mu sync.Mutex
	known := false // whether it works; guarded by mu
	hangs := time.AfterFunc(reconcile.HelperWithin, func() {
		tried()
		mu.Lock()
		defer mu.Unlock()
		if !known {
			a.Trouble(ctx, what, fmt.Sprintf("it is not ready after %v, and nothing else waits for it", reconcile.HelperWithin))
		}
	})
	defer hangs.Stop()
	for try := 0; ctx.Err() == nil; try++ {
		err := recovered(func() error {
			return helper(func() {
				tried()
				mu.Lock()
				defer mu.Unlock()
				known = true
				a.Trouble(ctx, what, "")
				try, told = 0, ""
			})
		})
		tried()
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			err = errors.New("it ended")
		}
		if told != err.Error() {
			told = err.Error()
			log.Warn("does not work, and is tried again", "what", what, "err", err)
		}
		mu.Lock()
		known = true
		a.Trouble(ctx, what, err.Error())
		mu.Unlock()
		select {
		case <-ctx.Done():
		case <-time.After(helperPauses[min(try, len(helperPauses)-1)]):
		}
	}
}

// recovered returns what f returns, or an error when it panics.
func recovered(f func() error) (err error) {
	defer func() {
		if bug := recover(); bug != nil {
			err = fmt.Errorf("a bug in infra-agent: %v", bug)
		}
	}()
	return f()
}
