package reconcile

import (
	"slices"
	"time"
)

// A Snapshot is one consistent view of the agent, for status and metrics. It is
// never changed after it was published.
type Snapshot struct {
	Record      Record
	Observation Observation
	Holds       []Hold
	Progress    Progress
	JobSince    time.Time // of Observation.Job
	Counters    Counters
	Reload      Reload
	Reboot      []string            // components that only a reboot brings up to date
	Generations map[Toplevel]int    // newest generation of the system profile, by system
	Troubles    map[string]string   // what does not work beside the loop, and why
	Deliveries  map[string]Delivery // of notices, by receiver
}

// A Delivery counts the notices for one receiver, but for Pending since the agent started.
type Delivery struct {
	Pending   int // are owed
	Delivered int // arrived
	Failed    int // tries that failed
	Dropped   int // were given up: too old, too many, or refused again and again
}

// Progress says how far a build is.
type Progress struct {
	Built    int   `json:"built"` // derivations
	ToBuild  int   `json:"to_build"`
	Copied   int   `json:"copied"` // store paths
	ToCopy   int   `json:"to_copy"`
	Bytes    int64 `json:"bytes"` // of the downloads known so far
	BytesAll int64 `json:"bytes_all"`
}

// Counters count since the agent started.
type Counters struct {
	Polls    map[PollResult]int
	LastPoll time.Time
	Checks   map[string]CheckCount
}

// A PollResult says what a poll found.
type PollResult string

// The results of a poll.
const (
	PollUnchanged PollResult = "unchanged"
	PollChanged   PollResult = "changed"
	PollError     PollResult = "error"
)

// PollResults lists every result.
var PollResults = []PollResult{PollUnchanged, PollChanged, PollError}

// A CheckCount counts the runs of one check and keeps the last one.
type CheckCount struct {
	Passed, Failed int
	Last           CheckResult
}

// Reload says how the last reading of the settings went.
type Reload struct {
	Err string    // empty: the file is in force
	At  time.Time // of the last success
}

// Behind returns how many commits, along first parents, the good revision is behind the
// newest accepted one; 0 where that is not known.
func (r Record) Behind() int {
	good, known := r.Heights[r.Good.Revision]
	if !known {
		return 0
	}
	return max(0, r.Heights[r.Anchor]-good)
}

// Entered returns since when the node is in its state: of a job that is a state since the job
// began, else since the phase began.
func (s Snapshot) Entered() time.Time {
	switch s.State() {
	case "verifying", "evaluating", "building":
		return s.JobSince
	}
	return s.Record.Tally.Entered
}

// State returns the one word that says what the node is doing.
func (s Snapshot) State() string {
	if _, idle := s.Record.Phase.(Idle); !idle {
		return Name(s.Record.Phase)
	}
	switch s.Observation.Job.(type) {
	case Fetch:
		return "verifying"
	case Resolve, Plan, Audit, Evaluate:
		return "evaluating"
	case Build:
		return "building"
	default: // too short to be a state
	}
	if len(s.Holds) > 0 {
		return "held"
	}
	return "idle"
}

// States lists every state that [Snapshot.State] returns.
var States = []string{
	"idle", "verifying", "evaluating", "building", "held", "arming", "activating", "confirming",
	"promoting", "rolling_back", "verifying_rollback", "rebooting", "stuck",
}

// InSync reports whether the node runs the newest verified revision, confirmed, or
// the one that it is pinned to.
func (s Snapshot) InSync() bool {
	r := s.Record
	_, idle := r.Phase.(Idle)
	if t, ok := TargetOf(r.Work.Steps[PurposeBranch]); ok && t.Pin != "" {
		return idle && r.Good.pinned(t.Pin) && r.Good.Toplevel == s.Observation.Slots.Running
	}
	return idle && r.Good.Revision != "" && r.Good.Revision == r.Anchor && r.Good.Toplevel == s.Observation.Slots.Running &&
		(r.Work.Tip.Commit == "" || r.Work.Tip.Commit == r.Anchor)
}

// HasCheck reports whether the good system or the deployment in flight has a check of
// that name: results of others are history.
func HasCheck(r Record, name string) bool {
	d, _ := DeploymentOf(r.Phase)
	for _, checks := range [][]Check{r.Good.Checks, d.Old.Checks, d.New.Checks} {
		if slices.ContainsFunc(checks, func(c Check) bool { return c.Name == name }) {
			return true
		}
	}
	return false
}
