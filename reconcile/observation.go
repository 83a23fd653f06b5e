package reconcile

import "time"

// An Observation is one look at the node. It is taken afresh for every decision.
type Observation struct {
	Now     time.Time     // wall clock
	Uptime  time.Duration // boot-time clock: it counts while suspended, and no one can set it
	Asleep  time.Duration // how long the machine has slept since it booted
	Boot    BootID
	Slots   Slots
	Booted  Toplevel      // /run/booted-system
	AgentUp time.Duration // how long this agent process runs
	Agent   string        // the program that runs: its store path
	// TrialAgent is the program that the system on trial starts as its agent;
	// empty when it has none, or when nothing is on trial.
	TrialAgent string
	// Orphan says that the unit that this agent runs as is no part of the running system.
	Orphan    bool
	Following FollowState
	Guard     GuardState
	Job       Job // what is being done now; nil: nothing
	Policy    Policy
}

// Own reports whether the agent that runs is the one that judges d: the new system's, or
// the last one, of the old system, where the new one has none on purpose.
func (o Observation) Own(d Deployment) bool {
	return o.Agent == o.TrialAgent || d.New.Retires && o.TrialAgent == ""
}

// Slots are the three links that say which system the node runs and will run.
type Slots struct {
	Running Toplevel `json:"running,omitempty"` // /run/current-system
	Profile Toplevel `json:"profile,omitempty"` // /nix/var/nix/profiles/system
	Default Toplevel `json:"default,omitempty"` // what the boot loader starts; empty: cannot be read
}

// agree reports whether a reboot would start what runs now. A boot default that
// cannot be read back is taken to follow the profile.
func (s Slots) agree() bool {
	return s.Running != "" && s.Profile == s.Running && (s.Default == "" || s.Default == s.Running)
}

// GuardState is what guard.json and the guard's unit say.
type GuardState struct {
	ID       string        // deployment that it belongs to
	Until    time.Duration // when it goes back, on the boot-time clock; 0: it is off
	Alive    bool          // its unit runs
	Claimed  bool          // it has begun to go back, and has not ended
	Rebooted bool          // it has asked for a reboot
}

// FollowState is what the agent follows its branch with.
type FollowState struct {
	Print string // of its program, unit, settings, credentials, tools and host name: equal where all of them are
	Nix   string // of what an evaluation depends on beside the commit: Nix's settings, and limits
	Stale string // why the settings on disk are not those in force; empty: they are
}

// PromoteTries is how often a promotion is tried.
const PromoteTries = 3
