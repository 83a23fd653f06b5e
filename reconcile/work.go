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

	Last      JobEnd    // how the last job ended
	Errors    int       // passing failures in a row
	NotBefore time.Time // after a passing failure: no job before this
	Unwritten string    // why the record could not be written; empty: it is

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
	At      time.Time
	Failed  int       // fetches of Commit from it, in a row
	Again   time.Time // after that many: when what it shows is news again
}

// A Step says how far a revision has come before it is tried. Each step holds
// what the steps before it found out.
//
//sumtype:decl
type Step interface{ fetched() Fetched }

// The steps, in order.
type (
	// Fetched: verified, and its tree is in the store.
	Fetched struct {
		Revision Revision
		Behind   int // first-parent commits since the anchor before it
		Purpose  Purpose
	}
	// Resolved: the registry says what it wants of this node.
	Resolved struct {
		Fetched
		Target Target
	}
	// Evaluated: the system that it describes has a name; nothing is built yet.
	Evaluated struct {
		Resolved
		Derivation Derivation
		Toplevel   Toplevel
	}
	// Built: the system is in the store, with a GC root.
	Built struct{ Evaluated }
	// Ready: preflight passed. Checks are those that the trial is judged by.
	Ready struct {
		Built
		Checks []Check
	}
)

func (f Fetched) fetched() Fetched { return f }

// A JobEnd is how a job ended.
type JobEnd struct {
	Key      string // of the job
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

// A Job is something the agent does that takes time. One job runs at a time.
// Every job is safe to start again after a crash at any point.
//
//sumtype:decl
type Job interface {
	// Key is equal for two jobs that do the same thing.
	Key() string
	job()
}

// The jobs that prepare a system.
type (
	// Fetch gets the tip, verifies it and adds its tree to the store.
	Fetch struct {
		Tip      Tip
		Purpose  Purpose
		Anchor   Commit
		Accepted []Commit
		Rewind   Commit
	}
	// Resolve asks the registry what the revision wants of this node.
	Resolve struct{ From Fetched }
	// Evaluate finds the derivation and the toplevel.
	Evaluate struct{ From Resolved }
	// Build builds the toplevel and roots it.
	Build struct{ From Evaluated }
	// Preflight looks for reasons not to activate now.
	Preflight struct {
		From Built
		Old  Toplevel
	}
	// Tidy removes what earlier deployments left: guard, units, roots.
	Tidy struct{ Keep []Toplevel }
	// Undrain runs the commands that are due since the node was drained.
	Undrain struct{ Commands [][]string }
)

// The jobs that change the system, or look at one on trial.
type (
	// Measure takes the baseline.
	Measure struct{ Deployment Deployment }
	// Arm drains the node and starts the guard.
	Arm struct{ Deployment Deployment }
	// Activate starts the trial unit, or attaches to it, and waits for its end.
	Activate struct {
		Deployment Deployment
		Attempt    int
		Baseline   Baseline
	}
	// SetGuard moves the guard's deadline, and starts the guard where it is
	// gone. Until is on the boot-time clock; 0 disarms it.
	SetGuard struct {
		Deployment Deployment
		Until      time.Duration
	}
	// Sample looks at units, checks and connectivity once.
	Sample struct {
		Deployment Deployment
		Checks     []Check
		Baseline   Baseline
	}
	// AskOld has the old system's agent poll with the old settings.
	AskOld struct{ Deployment Deployment }
	// Promote disarms the guard, sets profile and boot default, and reads them back.
	Promote struct {
		Deployment Deployment
		Try        int
	}
	// GoBack stops the trial and activates the old system.
	GoBack struct {
		Deployment Deployment
		Attempt    int
		Until      time.Duration // for the guard; boot-time clock
	}
	// Restore makes a system that runs the default again: profile and boot loader.
	Restore struct{ System Toplevel }
	// Reboot reboots into the boot default.
	Reboot struct{ Deployment Deployment }
)

func (j Fetch) Key() string     { return "fetch " + string(j.Tip.Commit) }
func (j Resolve) Key() string   { return "resolve " + string(j.From.Revision.Commit) }
func (j Evaluate) Key() string  { return "evaluate " + string(j.From.Revision.Commit) }
func (j Build) Key() string     { return "build " + string(j.From.Revision.Commit) }
func (j Preflight) Key() string { return "preflight " + string(j.From.Toplevel) }
func (j Tidy) Key() string      { return "tidy" }
func (j Undrain) Key() string   { return "undrain" }
func (j Measure) Key() string   { return "measure " + j.Deployment.ID }
func (j Arm) Key() string       { return "arm " + j.Deployment.ID }
func (j Activate) Key() string  { return attempt("activate "+j.Deployment.ID, j.Attempt) }
func (j SetGuard) Key() string  { return "guard " + j.Deployment.ID }
func (j Sample) Key() string    { return "sample " + j.Deployment.ID }
func (j AskOld) Key() string    { return "ask-old " + j.Deployment.ID }
func (j Promote) Key() string   { return attempt("promote "+j.Deployment.ID, j.Try) }
func (j GoBack) Key() string    { return attempt("goback "+j.Deployment.ID, j.Attempt) }
func (j Restore) Key() string   { return "restore " + string(j.System) }
func (j Reboot) Key() string    { return "reboot " + j.Deployment.ID }

func (Fetch) job()     {}
func (Resolve) job()   {}
func (Evaluate) job()  {}
func (Build) job()     {}
func (Preflight) job() {}
func (Tidy) job()      {}
func (Undrain) job()   {}
func (Measure) job()   {}
func (Arm) job()       {}
func (Activate) job()  {}
func (SetGuard) job()  {}
func (Sample) job()    {}
func (AskOld) job()    {}
func (Promote) job()   {}
func (GoBack) job()    {}
func (Restore) job()   {}
func (Reboot) job()    {}

func attempt(key string, n int) string { return key + "-" + string(rune('0'+n)) }

// FetchedOf returns what a step knows of its revision.
func FetchedOf(s Step) (Fetched, bool) {
	if s == nil {
		return Fetched{}, false
	}
	return s.fetched(), true
}

// evaluatedOf returns what a step knows of its system.
func evaluatedOf(s Step) (Evaluated, bool) {
	switch s := s.(type) {
	case nil, Fetched, Resolved:
		return Evaluated{}, false
	case Evaluated:
		return s, true
	case Built:
		return s.Evaluated, true
	case Ready:
		return s.Evaluated, true
	}
	panic(unknown("step", s))
}

// TargetOf returns what a step knows of its target.
func TargetOf(s Step) (Target, bool) {
	switch s := s.(type) {
	case nil, Fetched:
		return Target{}, false
	case Resolved:
		return s.Target, true
	case Evaluated:
		return s.Target, true
	case Built:
		return s.Target, true
	case Ready:
		return s.Target, true
	}
	panic(unknown("step", s))
}
