package reconcile

import (
	"time"
)

// A Record is everything the agent remembers. All of it but Work is written to
// disk; losing Work costs a fetch and an evaluation, never a decision.
type Record struct {
	Anchor    Commit                 `json:"anchor,omitempty"`   // the newest accepted revision
	Accepted  []Commit               `json:"accepted,omitempty"` // the last 100, newest last
	Heights   map[Commit]int         `json:"heights,omitempty"`  // of accepted commits and the good one: first-parent commits since the first
	Rewind    Commit                 `json:"rewind,omitempty"`   // allowed once, though it is no descendant of Anchor
	Back      Toplevel               `json:"back,omitempty"`     // the good system before this one, which a person wants back
	Retiring  bool                   `json:"retiring,omitempty"` // the next system may be one without an agent
	Tested    []Commit               `json:"tested,omitempty"`   // the last 20 of the testing branch whose trial is over, newest last
	Good      System                 `json:"good"`               // zero before the first adoption
	Previous  System                 `json:"previous"`           // good before Good
	Phase     Phase                  `json:"-"`                  // encoded by package store
	Pins      []Pin                  `json:"pins,omitempty"`     // the last 100 that named a system, newest last
	Blocked   map[Toplevel]Block     `json:"blocked,omitempty"`
	Losses    map[Toplevel]int       `json:"losses,omitempty"` // power lost while it was on trial
	Failures  map[FailureKey]Failure `json:"failures,omitempty"`
	Suspended Suspension             `json:"suspended"`
	Owed      []Debt                 `json:"owed,omitempty"`
	Foreign   Foreign                `json:"foreign"`
	Tally     Tally                  `json:"tally"`
	History   []Outcome              `json:"history,omitempty"`  // the last 100 deployments, newest last
	Observed  []Observed             `json:"observed,omitempty"` // the last 100 of other tools, newest last

	// Unreadable says why the record on disk cannot be used; such an agent
	// holds at every start and writes nothing.
	Unreadable string `json:"-"`
	Work       Work   `json:"-"`
}

// New returns the record of a node on which the agent never ran.
func New() Record { return Record{Phase: Idle{}} }

// A Block keeps a system that failed from being tried again by itself.
type Block struct {
	Cause
	Revision Commit    `json:"revision,omitempty"`
	At       time.Time `json:"at"`
	// UntilPoll ends the block at the next successful poll: the trial lost
	// every connection, and the old system had none either.
	UntilPoll bool `json:"until_poll,omitempty"`
	// Judged names the registry's checks, which may be what was wrong: see [Care].
	Judged string `json:"judged,omitempty"`
}

// A Suspension is an operator's wish that nothing is deployed. Zero: none.
type Suspension struct {
	Reason string    `json:"reason,omitempty"`
	Since  time.Time `json:"since,omitzero"`
	Until  time.Time `json:"until,omitzero"` // when it ends by itself; zero: when somebody resumes
}

// Endless reports whether only a person can end s.
func (s Suspension) Endless() bool { return !s.Since.IsZero() && s.Until.IsZero() }

// over reports whether s has come to its end. A clock that stands before its beginning ends
// it no sooner: a machine without a clock of its own boots in the past.
func (s Suspension) over(now time.Time) bool {
	return !s.Until.IsZero() && !now.Before(s.Until)
}

// Foreign remembers what people did by hand.
type Foreign struct {
	// Tip is the revision at which a hand-made switch was adopted: nothing is
	// deployed over it until the tip moves.
	Tip Commit `json:"tip,omitempty"`
	// Accepted is a disagreement of running system, profile and boot default
	// that a person accepted with "adopt".
	Accepted Slots `json:"accepted"`
}

// An Outcome is how a deployment ended.
type Outcome struct {
	ID       string    `json:"id"`
	Result   Result    `json:"result"`
	Cause    Cause     `json:"cause"`
	Revision Commit    `json:"revision,omitempty"`
	Subject  string    `json:"subject,omitempty"` // of the commit
	From     Toplevel  `json:"from"`
	To       Toplevel  `json:"to"`
	Started  time.Time `json:"started"`
	Ended    time.Time `json:"ended"`
	Took     Times     `json:"took,omitempty"` // by phase, in nanoseconds
}

// An Observed is what would have become of a system that another tool activated.
type Observed struct {
	Revision Commit    `json:"revision"`
	System   Toplevel  `json:"system"`
	Cause    Cause     `json:"cause,omitzero"` // of the rollback; zero: it would have been kept
	At       time.Time `json:"at"`
}

// A Mark says which revision reached a stage, and when.
type Mark struct {
	Revision Commit    `json:"revision"`
	Time     time.Time `json:"time,omitzero"` // the committer's date; zero: not known yet
	Reached  time.Time `json:"reached"`
}

// Tally holds counters and times for the metrics. It is written together with
// the next durable change, never for its own sake.
type Tally struct {
	Deployments    map[Result]int       `json:"deployments,omitempty"`
	LastDeployment map[Result]time.Time `json:"last_deployment,omitempty"`
	Rollbacks      map[Reason]int       `json:"rollbacks,omitempty"`
	LastRollback   time.Time            `json:"last_rollback,omitzero"`
	Verifications  map[Verdict]int      `json:"verifications,omitempty"`
	Audits         map[AuditResult]int  `json:"audits,omitempty"`
	Consecutive    int                  `json:"consecutive_failures,omitempty"`
	RollbackFailed bool                 `json:"rollback_failed,omitempty"`
	Entered        time.Time            `json:"entered,omitzero"` // the phase
	OutOfSync      time.Time            `json:"out_of_sync,omitzero"`
	LastPollOK     time.Time            `json:"last_poll_ok,omitzero"`
	Marks          map[Stage]Mark       `json:"marks,omitempty"`
	RebootSince    time.Time            `json:"reboot_since,omitzero"` // the running system is not what was booted
	Took           Times                `json:"took,omitempty"`        // last duration by job or phase
	Spent          Times                `json:"spent,omitempty"`       // on the deployment in flight, by phase
	Durations      map[string]Durations `json:"durations,omitempty"`   // of all runs, by phase
}

const (
	keepAccepted = 100
	keepHistory  = 100
	keepTested   = 20
	keepFailures = 50
)

// A Debt is what the node is owed since something was begun. It is on disk before
// the effect that makes it due, and is paid in Idle, however the deployment ended.
type Debt struct {
	Kind     DebtKind   `json:"kind"`
	Commands [][]string `json:"commands,omitempty"` // undrain: programs and their arguments
	System   Toplevel   `json:"system,omitempty"`   // restore: what profile and boot default are to be
	Since    time.Time  `json:"since"`
	Tries    int        `json:"tries,omitempty"`
	Tried    time.Time  `json:"tried,omitzero"` // the last time
	Why      string     `json:"why,omitempty"`  // that failed
	After    time.Time  `json:"after,omitzero"` // the next try
}

// A DebtKind says what is owed. The set is closed: it is a label of the metric
// infra_agent_debts.
type DebtKind string

// The kinds of debts.
const (
	DebtUndrain DebtKind = "undrain" // the node was drained
	DebtRestore DebtKind = "restore" // a promotion had begun: profile or boot default may be the new system
)

// DebtKinds lists every kind, in the order in which debts are paid.
var DebtKinds = []DebtKind{DebtRestore, DebtUndrain}
