// Package agent carries out what package reconcile decides: it observes the
// node, asks for the next action, writes down what it is about to do, does it,
// and writes down how it went. It decides nothing by itself.
//
// One goroutine owns the record. Whatever takes time runs as one job at a time
// beside it, so that status and operators' wishes are answered at any moment.
package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/infra-agent/infra-agent/reconcile"
)

// Options is what an agent is made of.
type Options struct {
	Ports    Ports
	Policy   reconcile.Policy
	Record   reconcile.Record
	StateDir string
	Boot     reconcile.BootID
	Self     string               // the agent's own program
	Uptime   func() time.Duration // boot-time clock
	Asleep   func() time.Duration // how long the machine has slept since it booted
	Spread   func() float64       // random factor around 1, for waits
	PollNow  func()               // asks the poller for a poll at once
	PollAnew func()               // the same, and as a fetch would ask: with nothing that the process has kept
	Notify   func(state string)   // sd_notify(3)
	Watchdog time.Duration        // how often systemd wants to hear from the loop; 0: never
	Log      *slog.Logger

	Told      reconcile.Told // what was noticed before this agent started
	Receivers Receivers      // nil: there are none
}

// An Agent is one running agent.
type Agent struct {
	Options
	started  time.Duration // boot-time clock
	rec      reconcile.Record
	job      *running // nil: nothing runs
	counters reconcile.Counters
	reload   reconcile.Reload
	said     string    // the last status told to systemd
	fed      time.Time // the watchdog
	troubles map[string]string

	inbox    chan func() // everything from outside runs in the loop's goroutine
	progress atomic.Pointer[reconcile.Progress]
	snapshot atomic.Pointer[reconcile.Snapshot]
}

// running is the job that runs now.
type running struct {
	job       reconcile.Job
	since     time.Time
	cancel    context.CancelCauseFunc
	cancelled bool
}

// errSuperseded ends a job that is not wanted any more.
var errSuperseded = errors.New("superseded")

// New returns an agent that goes on from the record it is given.
func New(o Options) *Agent {
	a := &Agent{
		Options: o, rec: o.Record, started: o.Uptime(), inbox: make(chan func()),
		counters: reconcile.Counters{Polls: map[reconcile.PollResult]int{}, Checks: map[string]reconcile.CheckCount{}},
		reload:   reconcile.Reload{At: time.Now()},
	}
	a.progress.Store(&reconcile.Progress{})
	a.publish(a.observe(context.Background()))
	return a
}

// Snapshot returns the newest view of the agent. It never waits.
func (a *Agent) Snapshot() reconcile.Snapshot {
	s := *a.snapshot.Load()
	s.Progress = *a.progress.Load()
	if a.Receivers != nil {
		s.Deliveries = a.Receivers.Deliveries()
	}
	return s
}

// Run observes, decides and acts until ctx ends. A job that runs then is
// cancelled; the units it started go on.
func (a *Agent) Run(ctx context.Context) error {
	defer a.stopJob()
	if a.rec.Unreadable != "" {
		a.Log.Error("the record cannot be used; nothing is deployed", "why", a.rec.Unreadable)
	}
	for ctx.Err() == nil {
		wait := a.turn(ctx)
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case do := <-a.inbox:
			do()
		case <-timer.C:
		}
		timer.Stop()
	}
	return nil
}

const (
	quiet     = 30 * time.Second // the longest the loop sleeps: links may change without a sign
	saveAgain = 5 * time.Second  // after the record could not be written
	maxNotes  = 100              // decisions in a row without anything to do: a fault in the core
)

// turn decides until there is something to wait for, and returns for how long.
func (a *Agent) turn(ctx context.Context) time.Duration {
	for range maxNotes {
		obs := a.observe(ctx)
		act := reconcile.Next(a.rec, obs)
		a.publish(obs)
		switch act := act.(type) {
		case reconcile.Note:
			if !a.note(act.Event) {
				return a.atMost(saveAgain)
			}
		case reconcile.Run:
			a.start(ctx, act.Job)
		case reconcile.Cancel:
			a.cancelJob()
			a.note(reconcile.Cancelled{Job: a.job.job})
			return a.atMost(quiet)
		case reconcile.Wait:
			if act.Until.IsZero() {
				return a.atMost(quiet)
			}
			return a.atMost(max(time.Until(act.Until), 10*time.Millisecond))
		default:
			panic(fmt.Sprintf("unknown action %T", act))
		}
	}
	a.Log.Error("the same decision again and again; this is a bug in infra-agent", "phase", reconcile.Name(a.rec.Phase))
	return a.atMost(quiet)
}

// cancelJob ends the running job. What it finds out is not wanted any more.
func (a *Agent) cancelJob() {
	if !a.job.cancelled {
		a.Log.Info("cancelling", "job", reconcile.KeyOf(a.job.job))
		a.job.cancelled = true
		a.job.cancel(errSuperseded)
	}
}

// atMost bounds a wait by the watchdog.
func (a *Agent) atMost(d time.Duration) time.Duration {
	d = min(d, quiet)
	if a.Watchdog > 0 {
		d = min(d, a.Watchdog)
	}
	return d
}

// observe looks at the node. What cannot be seen is left unset.
func (a *Agent) observe(ctx context.Context) reconcile.Observation {
	up := a.Uptime()
	o := reconcile.Observation{
		Now: time.Now(), Uptime: up, Asleep: a.Asleep(), Boot: a.Boot, AgentUp: up - a.started, Agent: a.Self, Policy: a.Policy,
		Slots: a.Ports.Links.Slots(), Booted: a.Ports.Links.Booted(),
	}
	if a.job != nil {
		o.Job = a.job.job
	}
	d, inFlight := reconcile.DeploymentOf(a.rec.Phase)
	if !inFlight {
		orphan, err := a.Ports.Units.Orphan(ctx)
		if err != nil {
			a.Log.Warn("look at the agent's own unit", "err", err)
		}
		o.Orphan = orphan
		return o
	}
	o.TrialAgent = a.Ports.Links.AgentOf(d.New.Toplevel)
	o.Following = a.Ports.Follower.FollowState()
	guard, err := a.Ports.Guard.State()
	if err != nil {
		a.Log.Warn("read guard file", "err", err)
	}
	o.Guard = guard
	if guard.ID == d.ID && (guard.Until != 0 || guard.Claimed) {
		alive, err := a.Ports.Units.GuardAlive(ctx, d.ID)
		o.Guard.Alive = alive || err != nil // what cannot be seen is taken to be there
		o.Guard.Claimed = guard.Claimed && o.Guard.Alive
	}
	return o
}

// note writes the event down and believes it. It returns false when the record
// could not be written: then nothing may be done. Going back is the exception.
func (a *Agent) note(e reconcile.Event) bool {
	next := reconcile.Fold(a.rec, e)
	_, err := a.Ports.Store.Save(next)
	if err != nil && a.rec.Unreadable == "" {
		a.Log.Error("the record could not be written", "err", err)
		a.rec.Work.Unwritten = err.Error()
		if !reconcile.GoingBack(next.Phase) && !reconcile.GoingBack(a.rec.Phase) {
			return false
		}
		next = reconcile.Fold(a.rec, e) // which forgives the system on trial what the disk did
	}
	a.tell(a.rec, e, next)
	a.rec = next
	return true
}

// publish makes the current view readable for everybody, and feeds the watchdog.
func (a *Agent) publish(o reconcile.Observation) {
	a.forgetChecks()
	reboot := a.Ports.Links.RebootRequired()
	a.rec = reconcile.RebootRequired(a.rec, len(reboot) > 0, o.Now) // written down with what comes next
	s := reconcile.Snapshot{
		Record: a.rec, Observation: o, Holds: reconcile.Holds(a.rec, o),
		Counters: a.counters, Reload: a.reload, Troubles: a.troubles, Reboot: reboot,
		Generations: a.Ports.Links.Generations(),
	}
	if a.job != nil {
		s.JobSince = a.job.since
	}
	a.snapshot.Store(&s)
	a.tellNotices(s)
	status := "STATUS=" + Summary(s)
	if a.Watchdog > 0 && time.Since(a.fed) >= a.Watchdog/2 { // the loop turns more often
		a.fed = time.Now()
		a.Notify("WATCHDOG=1")
	}
	if status != a.said {
		a.said = status
		a.Notify(status)
	}
}

func (a *Agent) recordPath() string { return filepath.Join(a.StateDir, "state.json") }
