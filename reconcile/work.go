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
	// Overtaken is the commit whose fetch, evaluation or build was ended for a newer one,
	// until a trial begins or a build fails: nothing else is ended meanwhile.
	Overtaken Commit

	Last      JobEnd // how the last job ended
	Errors    int    // passing failures in a row
	Pause     Pause  // after a passing failure: no job begins
	Unwritten string // why the record could not be written at some time in this phase; empty: it could

	Armed      bool        // the guard is armed
	Activation *Activation // how the trial unit ended; nil: not known
	PinAsked   time.Time   // when the pin was asked for that named the newest commit's system
	Watch      Watch
	Lookout    Lookout // of observe mode
	Following  Following
}

// A Lookout is what observe mode waits with for another tool's activation.
type Lookout struct {
	Trial // of which the new system is not known yet
	At    time.Time
	Since time.Duration // boot-time clock: the first look at the new system; 0: it was not looked at
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
	Exit    int                 // exit status of switch-to-configuration; -1: it was killed, or it is not known
	Failed  []string            // failed units: from the unit list, and named in the output
	Outside []string            // those of them that the commit cannot have broken
	Aliases map[string][]string // see [Units]
	Hold    Gate                // lock or reboot: nothing was changed, and nothing failed
	Why     string              // last lines of its output
	Node    bool                // it failed of the node itself: a full disk, say
}

// A Following is what the agent of a system on trial has shown so far.
type Following struct {
	Polled time.Duration // when the remotes were asked at once, beside the polls that go on anyway; boot-time clock; 0: they were not
	Newer  Commit        // a newer commit of the branch, which descends from the one on trial
	Step   Step          // how far the commit on trial has come
	Why    string        // the step after it failed
	Fails  int           // in a row
	Disk   bool          // it failed because of the node's disk
	Wrong  bool          // and trying again cannot help
	Verify bool          // it was a fetch, which had come as far as the verification
	Pause  Pause         // after a failure
	// Old says whether the old system's settings reach a remote, as far as they were asked.
	Old   OldPoll
	Asked time.Duration // boot-time clock
	At    time.Time     // when they were asked
}

// An OldPoll is what came of a poll by the old system's agent and settings.
type OldPoll string

// The outcomes.
const (
	OldNotAsked OldPoll = ""
	OldAnswered OldPoll = "answered" // a remote answers them: the new settings are at fault
	OldSilent   OldPoll = "silent"   // none does: an outage, or a network that the commit broke for git alone
	OldLost     OldPoll = "lost"     // they could not be asked: a file that they name is gone with the old system
)
