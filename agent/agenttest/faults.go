package agenttest

import (
	"time"

	"github.com/infra-agent/infra-agent/reconcile"
)

// A System is what a toplevel does when it runs. The zero value is a healthy
// system without an agent.
type System struct {
	Agent string // its agent's program; "": it has none

	Unevaluable bool // the configuration does not evaluate
	Unbuildable bool
	BuildTakes  time.Duration

	EvaluateTakes time.Duration

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
	Nameless bool   // it has no name server: no process reaches a remote but over a connection from before
	Takes    bool   // it takes a file away that the old settings name
	Distrust bool   // they verify no commit
	Lost     bool   // they find no node in the registry
	Strays   bool   // they evaluate to another system
	Jams     bool   // its Nix builds nothing
	Observes bool   // they only look on

	AgentDies    bool // its agent exits after a moment, again and again
	Unpromotable int  // so many promotions fail
	Unreturnable int  // so many ways back to it fail
	Endless      int  // so many of the agent's ways back to it hang half way
	Torn         int  // so many of the agent's ways back to it are killed half way

	retires bool // preflight let it come without an agent: the last one goes on until it ends itself
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
	Takes    time.Duration      // to fetch
	Unsigned bool               // it must not be used
	Trips    bool               // its registry reaches a mistake of the agent
	Target   reconcile.Target   // what the registry says beside the node's name
	Manifest reconcile.Toplevel // that its manifest names; "" = System
	Audited  bool               // the node is to evaluate as well
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
	Evaluated  int      // evaluations that were begun
	AtOnce     int      // activations that were begun while another one ran
	Reboots    map[string]int
	GaveUp     []string // deployments whose guard could not bring the old system back
	ByHand     map[reconcile.Toplevel]bool
	Commands   []string           // of the registry that ran: programs
	Points     []string           // the numbered points that were passed, while Counting
	Notices    []reconcile.Notice // that were told
	Hot        string             // what was done again and again without a pause; "": nothing was
}

// A Trial is one activation of a new system.
type Trial struct {
	Toplevel reconcile.Toplevel
	Record   reconcile.Record // on disk when it began
}
