package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"reflect"
	"runtime/debug"
	"sync"
	"syscall"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/coreos/go-systemd/v22/daemon"
	systemd "github.com/coreos/go-systemd/v22/journal"
	"github.com/spf13/cobra"

	"github.com/infra-agent/infra-agent/agent"
	"github.com/infra-agent/infra-agent/agent/config"
	"github.com/infra-agent/infra-agent/agent/control"
	"github.com/infra-agent/infra-agent/agent/journal"
	"github.com/infra-agent/infra-agent/agent/source"
	"github.com/infra-agent/infra-agent/agent/store"
	"github.com/infra-agent/infra-agent/agent/system"
	"github.com/infra-agent/infra-agent/metrics"
	"github.com/infra-agent/infra-agent/reconcile"
)

func runCommand() *cobra.Command {
	return &cobra.Command{
		Use: "run", Short: "Run the agent (systemd does this)", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			path, _ := c.Flags().GetString("config")
			return run(c.Context(), path)
		},
	}
}

// run is the agent's life, from reading the settings to the end of ctx.
func run(ctx context.Context, path string) error {
	settings, err := config.Load(path)
	if err != nil {
		return err
	}
	// The heap is a few megabytes: collecting it more often costs nothing and
	// keeps the agent small beside what the node is for.
	debug.SetGCPercent(25)
	log := logger(settings, os.Stderr)
	st, record, err := store.Open(settings.StateDir)
	if err != nil {
		return err
	}
	defer st.Close()
	bus := &system.Bus{}
	defer bus.Close()
	n := node{system: &system.Node{Bus: bus, Apart: true}, store: st, path: path, log: log}
	if n.boot, err = n.system.Boot(); err != nil {
		return err
	}
	if n.self, err = system.Self(); err != nil {
		return err
	}
	n.system.System = nixSystem()
	n.system.LookAtSecrets = []string{n.self, look, lookAtSecrets}
	if dir := os.Getenv("CREDENTIALS_DIRECTORY"); dir != "" {
		files, err := n.system.Credentials(ctx)
		if err != nil {
			log.Warn("a change of a credential would not be seen", "err", err)
		}
		n.given = credentials{dir: dir, files: files}
	}
	if os.Getenv("NOTIFY_SOCKET") != "" {
		n.given.unit = system.AgentRuns()
	}

	var all sync.WaitGroup
	defer all.Wait()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watchdog, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		return fmt.Errorf("watchdog: %w", err)
	}
	polls := &polling{ctx: ctx, all: &all, options: n.sourceOptions}
	var a *agent.Agent
	notices := notifier(ctx, settings, log, func() *agent.Agent { return a })
	notices.Use(n.receivers(settings))
	a = agent.New(agent.Options{
		Ports: n.ports(settings), Policy: policy(settings), Record: record, StateDir: settings.StateDir,
		Boot: n.boot, Self: n.self, Uptime: system.Uptime, Asleep: system.Asleep, Watchdog: watchdog / 3, Log: log,
		Spread:  spread,
		PollNow: polls.now, PollAnew: polls.anew,
		Notify: func(state string) { _, _ = daemon.SdNotify(false, state) },
		Told:   notices.Told(), Receivers: notices,
	})
	all.Go(func() {
		if err := recovered(func() error { notices.Run(ctx); return nil }); err != nil {
			log.Error("nobody is told any more until the next start", "err", err)
			a.Trouble(ctx, "notices", err.Error())
		}
	})
	server := &control.Server{
		Status:  func() control.Status { return control.StatusOf(a.Snapshot(), version, true) },
		Command: a.Command,
	}
	_ = control.MakeDir(settings.RunDir) // for all of them; the control socket says why not
	var tried sync.WaitGroup
	helper := func(what string, f func(ready func()) error) {
		tried.Add(1)
		all.Go(func() { help(ctx, a, log, what, tried.Done, f) })
	}
	helper("control socket", func(ready func()) error {
		listener, err := control.Listen(settings.RunDir, settings.Control.Group)
		if err != nil {
			return err
		}
		ready()
		return server.Serve(ctx, listener)
	})
	for _, o := range metricsOutputs(settings.Metrics, activation.Files(true)) {
		helper(o.name, func(ready func()) error { return o.show(ctx, metrics.New(version, a.Snapshot), ready) })
	}
	settingsFile := reloader{
		path: path, inForce: settings, name: nodeName(settings), log: log,
		refuse: func(err error) { a.ReloadFailed(ctx, err) },
		apply: func(before, next config.Settings) {
			a.Trouble(ctx, "settings", restartNeeded(settings, next))
			next = inPlace(next, settings)
			elsewhere := !reflect.DeepEqual(before.Source, next.Source) || polls.branches() != branches(next)
			a.Reconfigure(ctx, n.ports(next), policy(next), elsewhere)
			polls.start(next, a)
			notices.Use(n.receivers(next))
		},
	}
	polls.renamed = settingsFile.reload
	polls.start(settings, a)
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	all.Go(func() { onHangup(ctx, hup, settingsFile.reload, polls.now) })
	w := watcher{
		file: path, trigger: filepath.Join(settings.RunDir, "sync"), dirs: n.system.Watched(),
		reload: settingsFile.reload, poll: polls.now, look: func() { a.Look(ctx) },
	}
	if len(n.given.files) > 0 || n.given.unit != "" {
		all.Go(func() {
			busy := func() bool {
				s := a.Snapshot()
				switch s.Record.Phase.(type) {
				case reconcile.Idle: // a start would begin the job anew, and some credentials are renewed more often than it takes
					return s.Observation.Job != nil && reconcile.PurposeOf(s.Observation.Job) != ""
				case reconcile.Confirming, reconcile.Stuck:
					return false
				default: // a switch is under way, which has not told systemd of its units yet
					return true
				}
			}
			if why := n.given.outdated(ctx, busy); why != "" {
				log.Info("beginning anew", "why", why)
				cancel(nil) // and systemd starts it again
			}
		})
	}
	helper("watch on files", func(ready func()) error { return w.run(ctx, ready) })

	tried.Wait() // who is told that the agent has started may ask it
	log.Info("started", "version", version, "phase", reconcile.Name(record.Phase), "good", record.Good.Toplevel)
	if _, err := daemon.SdNotify(false, daemon.SdNotifyReady); err != nil {
		return fmt.Errorf("notify systemd: %w", err)
	}
	err = a.Run(ctx)
	_, _ = daemon.SdNotify(false, daemon.SdNotifyStopping)
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return err
}

// polling is the poller that the settings in force asked for.
type polling struct {
	ctx     context.Context
	all     *sync.WaitGroup
	options func(config.Settings) source.Options
	renamed func() // the branches of the settings have other names

	mu    sync.Mutex
	wake  func()          // guarded by mu
	newly func()          // guarded by mu
	stop  func()          // guarded by mu
	asked source.Branches // guarded by mu
}

func (p *polling) start(s config.Settings, a *agent.Agent) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stop != nil {
		p.stop()
	}
	opts := p.options(s)
	order := map[string]int{}
	for i, r := range opts.Remotes {
		order[r.Name] = i
	}
	poller := source.NewPoller(opts)
	ctx, cancel := context.WithCancel(p.ctx)
	p.wake, p.newly, p.stop, p.asked = poller.Now, poller.Anew, cancel, opts.Branches
	p.all.Go(func() {
		poller.Run(ctx, func(poll source.Poll) {
			if branches(s) != opts.Branches {
				p.renamed()
			}
			if ctx.Err() != nil {
				return
			}
			answer := reconcile.Answer{Remote: poll.Remote, Order: order[poll.Remote], Commit: poll.Commit, Testing: poll.Testing, Asked: poll.Asked, At: poll.At}
			if poll.Anew {
				answer.Anew = poll.Asked
			}
			if poll.Err != nil {
				answer.Missing, answer.Denied, answer.Why = errors.Is(poll.Err, source.ErrNoBranch), isDenied(poll.Err), poll.Err.Error()
			}
			a.Polled(ctx, reconcile.Polled{Answer: answer})
		})
	})
}

// branches returns which branches the remotes are asked for.
func (p *polling) branches() source.Branches {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked
}

func isDenied(err error) bool {
	_, is := errors.AsType[*source.DeniedError](err)
	return is
}

func (p *polling) now() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wake()
}

func (p *polling) anew() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.newly()
}

// logger writes to the journal where systemd has connected standard error to it, and the settings do not ask for another
// format; else to out.
func logger(s config.Settings, out *os.File) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(s.Log.Level)) // checked when the settings were read
	opts := &slog.HandlerOptions{Level: level}
	if s.Log.Format == "json" {
		return slog.New(slog.NewJSONHandler(out, opts))
	}
	text := slog.NewTextHandler(out, opts)
	if to, err := systemd.StderrIsJournalStream(); err == nil && to && s.Log.Format == "auto" {
		return slog.New(&journal.Handler{Level: level, Otherwise: text})
	}
	return slog.New(text)
}
