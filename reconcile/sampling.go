package reconcile

import "time"

// A Sampling is one look at the node's health.
type Sampling struct {
	Known   bool // the units could be listed; what is not known is neither red nor green
	Units   Units
	Checks  map[string]CheckResult
	Targets map[string]bool // of the baseline's targets: did it answer
}

// Units is a look at all units of the node.
type Units struct {
	Failed   []string          // failed units
	Active   []string          // active services
	Restarts map[string]uint32 // automatic restarts so far, of each service that runs
	// Restarting are the services that keep restarting by themselves.
	Restarting []string
	// Outside are failed services that the commit cannot have broken: a timer starts
	// them, and their units are the same in both systems.
	Outside []string
	// Aliases are the other names of units that failed or were restarted: a unit that was
	// renamed keeps its old name as one.
	Aliases map[string][]string
	// Of the services of a baseline: those that exist and are wanted but
	// inactive, and those that are starting or stopping just now.
	Stopped, Pending []string
}

// A Watch sums up the samplings of one phase.
type Watch struct {
	Last       time.Duration // boot-time clock of the newest sampling; 0: none
	GreenSince time.Duration // boot-time clock; 0: not green now
	Red        map[string]Red
	Greens     map[string]int           // successes in a row, by check
	Ran        map[string]time.Duration // boot-time clock, by check
	Results    map[string]CheckResult   // newest, by check
	Silent     bool                     // every target of the baseline is silent
	restarts   map[string]uint32        // nil: the units were not seen yet
	flaps      map[string]int
}

// A Red is something that is not healthy now.
type Red struct {
	Cause
	Times int           // in a row
	Grace time.Duration // how long after the activation it is no failure
}
