// Package agenttest simulates a node for tests of the agent: its links, units,
// guard, disk and power, and what a commit can break. It judges nothing; it keeps
// a diary from which a test may see what was done.
//
// A node lives in a bubble of testing/synctest and takes its time from there.
package agenttest

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/infra-agent/infra-agent/agent/guard"
	"github.com/infra-agent/infra-agent/reconcile"
)

// A Node is a simulated machine with a disk that survives.
type Node struct {
	Policy reconcile.Policy

	guardLock sync.Mutex // of the guard's file; taken before mu

	mu sync.Mutex // guards everything below
	// What people and tests change by way of Do.
	Systems     map[reconcile.Toplevel]*System
	Commits     map[reconcile.Commit]Commit
	Remotes     map[string]reconcile.Commit // "": it does not answer
	Testing     reconcile.Commit            // of the testing branch, on every remote; "": there is none
	Order       []string                    // of remotes
	Faulty      map[string]Fault            // of remotes that answer polls
	Offline     bool                        // no connectivity target answers anybody
	DiskFull    bool
	NoManifests bool            // whoever makes manifests does not
	NoTree      bool            // the tree was garbage collected
	Secrets     map[string]bool // paths that are there
	Broken      map[string]bool // programs of the registry that fail
	Accidents   []Accident
	Counting    bool
	Diary       Diary

	// What survives a loss of power.
	slots    reconcile.Slots
	disk     []byte // the record
	durable  []byte // the part of it that must be written at once
	writes   [][]byte
	told     reconcile.Told
	guard    guard.File
	roots    map[string]string // paths by name
	verified map[reconcile.Commit]bool
	kept     map[string]bool // directories with a registry
	drained  bool            // by a command of the registry

	// What does not.
	boots     int
	booted    reconcile.Toplevel
	loaded    reconcile.Toplevel // whose units run: a switch that was killed leaves the old ones
	halfway   bool               // services are stopped in the middle of a switch
	bootedAt  time.Time
	skew      time.Duration // of the boot-time clock against the wall clock
	units     map[string]*unit
	switching int // activations that run now
	instant   time.Time
	effects   int // that a process had at that instant
	process   *Process
	cutPower  context.CancelFunc
	changed   chan struct{} // the units were loaded anew

	off  context.CancelFunc
	life sync.WaitGroup
}

// Programs of agents.
const (
	Agent = "/nix/store/agent-1/bin/infra-agent"
	Other = "/nix/store/agent-2/bin/infra-agent"
)

// Check is the name of the check that every system has.
const Check = "web"

// New returns a machine that runs the system A of the commit c0, and is off.
func New() *Node {
	return &Node{
		Policy: reconcile.Policy{
			Limits: reconcile.Limits{
				Fetch: 10 * time.Second, Evaluate: time.Minute, Build: time.Hour, Activate: 20 * time.Second, Promote: 20 * time.Second,
				Rollback: 20 * time.Second, VerifyRollback: 20 * time.Second,
			},
			Confirm: reconcile.Confirm{
				Settle: time.Second, Window: 5 * time.Second, Deadline: 20 * time.Second, DeadlineMax: 2 * time.Minute,
			},
			Rollback: reconcile.RollbackAuto, LastResort: reconcile.LastResortReboot, Checks: checks,
		},
		Systems: map[reconcile.Toplevel]*System{"A": {Agent: Agent}},
		Commits: map[reconcile.Commit]Commit{"c0": {System: "A"}},
		Remotes: map[string]reconcile.Commit{"origin": "c0"}, Order: []string{"origin"},
		Diary: Diary{Reboots: map[string]int{}, ByHand: map[reconcile.Toplevel]bool{}},
		slots: reconcile.Slots{Running: "A", Profile: "A", Default: "A"},
		roots: map[string]string{}, verified: map[reconcile.Commit]bool{}, kept: map[string]bool{},
	}
}

// Start turns the machine on. It runs until Stop.
func (n *Node) Start() {
	ctx, off := context.WithCancel(context.Background())
	n.off = off
	n.life.Go(func() {
		for ctx.Err() == nil {
			n.boot(ctx)
			sleep(ctx, 10*time.Second) // firmware and kernel
		}
	})
}

// Stop turns the machine off for good and waits until nothing moves any more.
func (n *Node) Stop() {
	n.off()
	n.life.Wait()
}

// boot runs the machine from the boot loader's default until its power is cut.
func (n *Node) boot(ctx context.Context) {
	boot, cut := context.WithCancel(ctx)
	defer cut()
	var life sync.WaitGroup
	n.Do(func() {
		n.boots++
		n.slots.Running, n.booted, n.loaded, n.halfway = n.slots.Default, n.slots.Default, n.slots.Default, false
		n.bootedAt, n.skew, n.switching = time.Now().Add(-20*time.Second), 0, 0
		n.units, n.process, n.cutPower, n.changed = map[string]*unit{}, nil, cut, make(chan struct{}, 1)
	})
	life.Go(func() { n.systemd(boot) })
	<-boot.Done()
	life.Wait()
	var units []*unit
	n.Do(func() {
		for _, u := range n.units {
			u.kill()
			units = append(units, u)
		}
	})
	for _, u := range units {
		<-u.done
	}
}

// systemd keeps the agent of the running system alive.
func (n *Node) systemd(boot context.Context) {
	for boot.Err() == nil {
		var p *Process
		var changed chan struct{}
		n.Do(func() {
			changed = n.changed
			if s := n.Systems[n.loaded]; s.Agent != "" {
				p = n.spawn(boot, s)
			}
			n.process = p
		})
		if p == nil {
			select {
			case <-changed:
			case <-boot.Done():
			}
			continue
		}
		for alive := true; alive; {
			select {
			case <-p.done:
				alive = false
			case <-changed:
				n.Do(func() { alive = p.runs(n.Systems[n.loaded]) })
			}
		}
		p.end()
		<-p.done
		sleep(boot, time.Second) // RestartSec=
	}
}

// The functions below expect that the caller holds mu.

func (n *Node) commit(c reconcile.Commit, what Commit, s System) {
	n.Commits[c] = what
	if n.Systems[what.System] == nil {
		n.Systems[what.System] = &s
	}
}

func (n *Node) bootID() reconcile.BootID { return reconcile.BootID(fmt.Sprintf("boot-%d", n.boots)) }

func (n *Node) uptime() time.Duration { return time.Since(n.bootedAt) + n.skew }

func (n *Node) cut() {
	if n.process != nil {
		n.process.kill()
	}
	for _, u := range n.units {
		u.kill()
	}
	n.cutPower()
}

// run makes t the running system, in the middle of a switch.
func (n *Node) run(t reconcile.Toplevel) { n.slots.Running, n.halfway = t, true }

// load starts the units of t, at the end of a switch.
func (n *Node) load(t reconcile.Toplevel) {
	n.loaded, n.halfway = t, false
	select {
	case n.changed <- struct{}{}:
	default:
	}
}

// pass counts a point, where an accident may strike, and reports whether it stalls.
func (n *Node) pass(name string) (stalled bool) {
	if !n.Counting {
		return false
	}
	at := len(n.Diary.Points)
	n.Diary.Points = append(n.Diary.Points, name)
	for _, a := range n.Accidents {
		switch {
		case a.Point != at:
		case a.Sleep > 0:
			n.skew += a.Sleep
		case a.Full:
			n.DiskFull = true
		case a.Stall:
			stalled = true
		case a.Power:
			n.cut()
		case n.process != nil:
			n.process.kill()
		}
	}
	return stalled
}

// sleep waits for d, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
