// Package agenttest simulates a node for tests of the agent: its links, units,
// guard, disk and power, and what a commit can break. It judges nothing; it keeps
// a diary from which a test may see what was done.
//
// A node lives in a bubble of testing/synctest and takes its time from there.
package agenttest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/infra-agent/infra-agent/agent"
	"github.com/infra-agent/infra-agent/agent/guard"
	"github.com/infra-agent/infra-agent/reconcile"
)

// A System is what a toplevel does when it runs. The zero value is a healthy
// system without an agent.
type System struct {
	Agent string // its agent's program; "": it has none

	Unevaluable bool // the configuration does not evaluate
	Unbuildable bool
	BuildTakes  time.Duration

	Locked  int    // so many preflights find the switch lock taken
	Busy    int    // so many trials find it taken, just after preflight
	Reboot  bool   // it can only be activated by a reboot
	Exit    int    // of its switch-to-configuration
	Hangs   bool   // its switch never ends
	Killed  int    // so many trials are killed half way
	Failing string // a unit that fails while it runs
	Red     bool   // its check is red
	Drains  bool   // its check is red while the node is drained

	CheckTakes map[string]time.Duration // by name

	Cut bool // it cuts the network

	Settings string // of its agent; other ones must show that they follow the branch
	Deaf     bool   // they reach no remote
	Distrust bool   // they verify no commit
	Lost     bool   // they find no node in the registry
	Strays   bool   // they evaluate to another system

	AgentDies    bool // its agent exits after a moment, again and again
	Unpromotable int  // so many promotions fail
	Unreturnable int  // so many ways back to it fail
	Endless      int  // so many of the agent's ways back to it hang half way
	Torn         int  // so many of the agent's ways back to it are killed half way
}

// A Fault is what comes of a fetch from a remote.
type Fault string

// The faults. "": none.
const (
	Silent Fault = "silent" // it does not answer
	Lying  Fault = "lying"  // its answer cannot be used
)

// A Commit is one commit of the tracked branch.
type Commit struct {
	Parent   reconcile.Commit
	System   reconcile.Toplevel
	Unsigned bool             // it must not be used
	Trips    bool             // its registry reaches a mistake of the agent
	Target   reconcile.Target // what the registry says beside the node's name
}

// An Accident strikes when the numbered point is reached.
type Accident struct {
	Point int
	Power bool          // the power is cut; else the agent dies
	Sleep time.Duration // the machine sleeps instead: only its clocks go on
	Full  bool          // the disk is full from now on, instead
	Stall bool          // what is done there does not end before its limit, instead
}

// A Diary is what was done on the node, from the first day on.
type Diary struct {
	Trials     []Trial
	Unverified []string // what was evaluated or built of a commit that was not verified
	AtOnce     int      // activations that were begun while another one ran
	Reboots    map[string]int
	GaveUp     []string // deployments whose guard could not bring the old system back
	ByHand     map[reconcile.Toplevel]bool
	Commands   []string // of the registry that ran: programs
	Points     []string // the numbered points that were passed, while Counting
	Hot        string   // what was done again and again without a pause; "": nothing was
}

// A Trial is one activation of a new system.
type Trial struct {
	Toplevel reconcile.Toplevel
	Record   reconcile.Record // on disk when it began
}

// A Node is a simulated machine with a disk that survives.
type Node struct {
	Policy reconcile.Policy

	guardLock sync.Mutex // of the guard's file; taken before mu

	mu sync.Mutex // guards everything below
	// What people and tests change by way of Do.
	Systems   map[reconcile.Toplevel]*System
	Commits   map[reconcile.Commit]Commit
	Remotes   map[string]reconcile.Commit // "": it does not answer
	Testing   reconcile.Commit            // of the testing branch, on every remote; "": there is none
	Order     []string                    // of remotes
	Faulty    map[string]Fault            // of remotes that answer polls
	Offline   bool                        // no connectivity target answers anybody
	DiskFull  bool
	Secrets   map[string]bool // paths that are there
	Broken    map[string]bool // programs of the registry that fail
	Accidents []Accident
	Counting  bool
	Diary     Diary

	// What survives a loss of power.
	slots    reconcile.Slots
	disk     []byte // the record
	durable  []byte // the part of it that must be written at once
	writes   [][]byte
	guard    guard.File
	roots    map[string]bool
	verified map[reconcile.Commit]bool
	drained  bool // by a command of the registry

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
		roots: map[string]bool{}, verified: map[reconcile.Commit]bool{},
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
		sleep(boot, 100*time.Millisecond) // RestartSec=
	}
}

// Do runs f while nothing else looks at the node or changes it.
func (n *Node) Do(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f()
}

// Push makes c the tip of the branch on every remote.
func (n *Node) Push(c reconcile.Commit, what Commit, s System) {
	n.Do(func() {
		n.commit(c, what, s)
		for _, r := range n.Order {
			n.Remotes[r] = c
		}
	})
}

// PushTesting makes c the tip of the testing branch.
func (n *Node) PushTesting(c reconcile.Commit, what Commit, s System) {
	n.Do(func() {
		n.commit(c, what, s)
		n.Testing = c
	})
}

// SwitchByHand is "nixos-rebuild test" by a person, or "switch" when it is for good.
// While an activation runs it is refused: that one has the switch lock.
func (n *Node) SwitchByHand(t reconcile.Toplevel, forGood bool) {
	n.Do(func() {
		if n.switching > 0 {
			return
		}
		n.Diary.ByHand[t] = true
		n.run(t)
		n.load(t)
		if forGood {
			n.slots.Profile, n.slots.Default = t, t
		}
	})
}

// CutPower cuts the machine's power. It boots again by itself.
func (n *Node) CutPower() { n.Do(func() { n.cut() }) }

// KillAgent ends the agent's process, without a chance to do anything.
func (n *Node) KillAgent() {
	n.Do(func() {
		if n.process != nil {
			n.process.kill()
		}
	})
}

// SetClockBack sets the wall clock back as the boot-time clock sees it.
func (n *Node) SetClockBack(d time.Duration) { n.Do(func() { n.skew += d }) }

// Agent returns the agent that runs; nil: none does.
func (n *Node) Agent() *agent.Agent {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.process == nil || n.process.dead {
		return nil
	}
	return n.process.agent
}

// Told returns what the agent that runs told systemd.
func (n *Node) Told() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.process == nil {
		return nil
	}
	return slices.Clone(n.process.notes)
}

// Slots returns the node's links.
func (n *Node) Slots() reconcile.Slots {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.slots
}

// Whole reports whether the units of the running system run: no switch was left
// half way.
func (n *Node) Whole() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return !n.halfway && n.loaded == n.slots.Running
}

// Drained reports whether a command of the registry drained the node, and none undrained it.
func (n *Node) Drained() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.drained
}

// Booted returns the system that the machine booted.
func (n *Node) Booted() reconcile.Toplevel {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.booted
}

// VerifiedSystem reports whether a commit that was verified describes t.
func (n *Node) VerifiedSystem(t reconcile.Toplevel) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	for c := range n.verified {
		if n.Commits[c].System == t {
			return true
		}
	}
	return false
}

// Rooted reports whether t survives a garbage collection.
func (n *Node) Rooted(t reconcile.Toplevel) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.roots[string(t)] || n.slots.Profile == t
}

// Record returns what is on the disk.
func (n *Node) Record() reconcile.Record {
	n.mu.Lock()
	defer n.mu.Unlock()
	return decode(n.disk)
}

// Writes returns the records that were written, but for the first so many.
func (n *Node) Writes(from int) []reconcile.Record {
	n.mu.Lock()
	defer n.mu.Unlock()
	var all []reconcile.Record
	for _, data := range n.writes[from:] {
		all = append(all, decode(data))
	}
	return all
}

// Units returns the agent's transient units that are in memory, sorted.
func (n *Node) Units() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var names []string
	for name := range n.units {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Descends reports whether c comes after of, or is it.
func (n *Node) Descends(c, of reconcile.Commit) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.descends(c, of)
}

func (n *Node) descends(c, of reconcile.Commit) bool {
	for ; c != ""; c = n.Commits[c].Parent {
		if c == of {
			return true
		}
	}
	return of == ""
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
