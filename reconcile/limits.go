package reconcile

import "time"

// Every bound on the agent's time that is not a setting stands here, and so does what a setting
// bounds. The laws of this table are in limits_test.go: what runs inside of another
// thing ends before it, and what a person may set is what happens.
const (
	// BusWithin is how long one question to systemd may take, a bus that is just
	// restarting included.
	BusWithin = 15 * time.Second
	// PingWithin is how long the bus itself may take to answer over a connection that has
	// brought no answer of systemd's.
	PingWithin = 3 * time.Second
	// JournalWithin is how long the journal may take to write down what it has, and to be read:
	// after a switch both are asked for.
	JournalWithin = 15 * time.Second
	// AnswerWithin is how long each connectivity target may take to answer.
	AnswerWithin = 3 * time.Second
	// ParallelChecks is how many checks run at once.
	ParallelChecks = 8
	// CheckTimeoutMax is the longest timeout that a check may have: each deployment
	// waits for it once before it begins.
	CheckTimeoutMax = 10 * time.Minute
	// BootWithin is how long a boot may last before a trial begins all the same: a job
	// that hangs may be what the commit mends.
	BootWithin = 15 * time.Minute
	// OldPollWithin is how long the old system's settings have to reach a remote.
	OldPollWithin = 30 * time.Second
	// askOldAgain is how long it is taken as known that no remote answers the old settings.
	askOldAgain = 30 * time.Second
	// RestartedWithin is how long ago a service may have restarted by itself to be one that
	// keeps restarting.
	RestartedWithin = 10 * time.Minute
	// ControlWithin is how long the agent may take to carry out a wish: systemd may be slow
	// when it looks at the node before, and at what it was asked first.
	ControlWithin = 2*BusWithin + 10*time.Second
	// GuardWithin bounds each of the guard's programs, but for a switch, which has
	// limits.rollback: one that hangs must not keep the node from its last resort.
	GuardWithin = 10 * time.Minute
	// LockWithin is how long a way back, or a promotion, waits for another switch.
	LockWithin = time.Minute
	// UnitGrace is how much longer a unit may run than whoever waits for it: it ends
	// by itself when the agent does not live to stop it.
	UnitGrace = time.Minute

	// OutputWithin is how long the output of a program may still arrive once it has ended: what
	// it left behind may hold its pipes.
	OutputWithin = 2 * time.Second
	// HelperWithin is how long the agent's start waits for a socket, or for the watch on files.
	HelperWithin = 10 * time.Second
	// TellWithin is how long a program of the operator's may take that is told of an event.
	TellWithin = time.Minute
	// RequestWithin is how long a client may take to send its request, over either socket.
	RequestWithin = 10 * time.Second
	// ScrapeWithin is how long a scrape may take.
	ScrapeWithin = 30 * time.Second

	limitAsk       = 30 * time.Second // to ask Nix for its settings, or to start the guard
	limitStore     = 5 * time.Minute  // to add a tree of a gigabyte to the Nix store
	limitPreflight = 2 * time.Minute
	limitTidy      = 2 * time.Minute
	limitCommand   = 5 * time.Minute // one command that drains or undrains
	limitReboot    = 5 * time.Minute

	// othersSwitch is how long another tool's activation may go on after its system runs: units
	// that it has stopped may not have been started again.
	othersSwitch = 30 * time.Second

	takeOver = 10 * time.Second // for the new system's agent to start, and to ask a remote

	// guardGrace is how long the guard waits beyond a deadline for an agent that lives,
	// or that the activation has just started: it knows what is wrong, and the guard
	// does not.
	guardGrace = 30 * time.Second
)

// again is how long it may take to fetch a tree again, which was collected as garbage while its
// commit waited: it comes before what a job's own limit is for.
func again(l Limits) time.Duration { return l.Fetch + UnitGrace + limitStore }

// lookTakes returns how long one look at the units, the checks and the connectivity
// targets may take.
func lookTakes(checks []Check) time.Duration {
	longest := time.Duration(0)
	for _, c := range checks {
		longest = max(longest, c.Timeout)
	}
	rounds := (len(checks) + ParallelChecks - 1) / ParallelChecks
	return BusWithin + AnswerWithin + time.Duration(rounds)*longest + BusWithin
}

// healthTakes returns how long the checks need, at least, to be as green as they must be.
func healthTakes(checks []Check) time.Duration {
	longest := time.Duration(0)
	for _, c := range Runnable(checks) {
		if c.Required {
			longest = max(longest, time.Duration(c.Successes-1)*c.Interval+c.Timeout)
		}
	}
	return longest
}

// patientFor returns c with deadlines that a trial can meet, whatever the settings say: a later commit that corrects
// them has to pass its own trial under them.
//
// An agent has the time to start and to ask a remote, and once it has, until DeadlineMax, twice the time that fetching
// and evaluating the commit took on this node: it does both again to show that it follows its branch. The slowest
// required check can be green for long enough, as far as DeadlineMax lets it: each look, and one after the window, may
// take as long as all checks have to answer.
func (c Confirm) patientFor(checks []Check, took Times) Confirm {
	c.Deadline = max(c.Deadline, c.Settle+c.Window+takeOver)
	c.DeadlineMax = max(c.DeadlineMax, c.Deadline+2*(took["fetch"]+took["verify"]+took["evaluate"]))
	for _, k := range Runnable(checks) {
		if k.Required {
			looks := time.Duration(k.Successes+1) * lookTakes(checks)
			c.Deadline = max(c.Deadline, min(c.Least(k)+looks, c.DeadlineMax))
		}
	}
	return c
}

// ArmedFor returns how long the guard waits when a trial begins: for the longest
// activation, and for the new system's agent after it.
func ArmedFor(p Policy, c Confirm) time.Duration {
	return max(p.Limits.Activate, c.Deadline) + guardGrace
}
