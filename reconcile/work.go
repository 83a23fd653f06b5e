package reconcile

import (
	"time"
)

// Work is what the agent knows only until it ends: how far the newest revision
// has come, and what the running job reported.
type Work struct {
	Remotes []Answer // newest answer of each remote, in order of preference
	Tip     Tip      // the answer that is followed
	Steps   map[Purpose]Step
	Tidied  bool // nothing is left over from an earlier deployment
	// Overtaken is the commit for which a build was ended, until a trial begins or a
	// build fails: no other build is ended meanwhile.
	Overtaken Commit

	Last      JobEnd // how the last job ended
	Errors    int    // passing failures in a row
	Pause     Pause  // after a passing failure: no job begins
	Unwritten string // why the record could not be written; empty: it is

	Armed      bool        // the guard is armed
	Activation *Activation // how the trial unit ended; nil: not known
	Watch      Watch
	Following  Following
}

// A Tip is what a remote says the tracked branch points to.
type Tip struct {
	Commit Commit
	Remote string
	At     time.Time // when it was first seen
}

// An Answer is what one remote said to the last poll.
type Answer struct {
	Remote  string
	Order   int    // of preference, from 0
	Commit  Commit // empty: see Why
	Testing Commit // of the testing branch; empty: there is none, or none is followed
	Missing bool   // it answered, and has no such branch
	Why     string
	Asked   time.Time
	At      time.Time // it answered
	Failed  int       // fetches of Commit from it, in a row
	Pause   Pause     // after that many: what it shows is no news
}

// A JobEnd is how a job ended.
type JobEnd struct {
	Job      JobKey
	OK       bool
	Why      string // when not OK
	Rejected bool   // trying again cannot help
}

// An Activation is how a unit that activates a system ended: a trial, or the way back.
type Activation struct {
	Attempt int
	Exit    int      // exit status of switch-to-configuration; -1: it was killed, or it is not known
	Failed  []string // failed units: from the unit list, and named in the output
	Outside []string // those of them that the commit cannot have broken
	Hold    Gate     // lock or reboot: nothing was changed, and nothing failed
	Why     string   // last lines of its output
}
