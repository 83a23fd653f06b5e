package main

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/infra-agent/infra-agent/agent/agenttest"
	"github.com/infra-agent/infra-agent/agent/config"
	"github.com/infra-agent/infra-agent/agent/control"
)

// What does not work beside the loop ends nothing: it is told, and tried again until it
// works.
func TestAHelperThatDoesNotWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := agenttest.New()
		n.Start()
		defer n.Stop()
		time.Sleep(time.Minute)
		a := n.Agent()
		ctx, cancel := context.WithCancel(t.Context())
		tries := 0
		go help(ctx, a, slog.New(slog.DiscardHandler), "metrics", func() {}, func(ready func()) error {
			if tries++; tries == 1 {
				panic("index out of range")
			} else if tries < 4 {
				return errors.New("address already in use")
			}
			ready()
			<-ctx.Done()
			return nil
		})
		warnings := func() string { return strings.Join(control.StatusOf(a.Snapshot(), "", true).Warnings, "\n") }
		time.Sleep(2 * time.Second)
		a.Look(ctx)
		if got := warnings(); got != "metrics: address already in use" {
			t.Errorf("while the port is taken the status warns %q", got)
		}
		time.Sleep(time.Minute)
		a.Look(ctx)
		if got := warnings(); got != "" || tries != 4 || n.Agent() != a {
			t.Errorf("when the port is free the status warns %q after %d tries; the same agent: %t", got, tries, n.Agent() == a)
		}
		cancel()
		synctest.Wait()
	})
}

// The agent begins without a helper that hangs, and says so until it is ready.
func TestAHelperThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := agenttest.New()
		n.Start()
		defer n.Stop()
		time.Sleep(time.Minute)
		a := n.Agent()
		ctx, cancel := context.WithCancel(t.Context())
		begun, tried := time.Now(), make(chan struct{})
		go help(ctx, a, slog.New(slog.DiscardHandler), "watch on files", func() { close(tried) }, func(ready func()) error {
			time.Sleep(time.Hour) // a directory on a network file system
			ready()
			<-ctx.Done()
			return nil
		})
		<-tried
		if got := time.Since(begun); got != 10*time.Second {
			t.Errorf("the agent waited %v", got)
		}
		warnings := func() string {
			synctest.Wait()
			a.Look(ctx)
			return strings.Join(control.StatusOf(a.Snapshot(), "", true).Warnings, "\n")
		}
		if got := warnings(); !strings.Contains(got, "watch on files: it is not ready after 10s") {
			t.Errorf("the status warns %q", got)
		}
		time.Sleep(2 * time.Hour)
		if got := warnings(); got != "" {
			t.Errorf("when it is ready the status warns %q", got)
		}
		cancel()
		synctest.Wait()
	})
}

// What only counts at the next start stays where it is, and is told.
func TestSettingsThatCountAtTheNextStart(t *testing.T) {
	started, next := config.Default(), config.Default()
	next.StateDir, next.Log.Level, next.Source.Interval = "/elsewhere", "debug", time.Hour
	got := inPlace(next, started)
	if got.StateDir != started.StateDir || got.Log != started.Log || got.Source.Interval != time.Hour {
		t.Errorf("in force are %+v", got)
	}
	if got, want := restartNeeded(started, next), `log, state_dir will count at the next start (hint: systemctl restart infra-agent)`; got != want {
		t.Errorf("told is %q, want %q", got, want)
	}
	if got := restartNeeded(started, started); got != "" {
		t.Errorf("without a change: %q", got)
	}
}
