package reconcile

import "time"

// A Phase says where the node stands between two systems. Each phase holds
// exactly the data it needs; the record on disk holds one at a time.
//
//sumtype:decl
type Phase interface{ phase() }

// The phases, in the order in which a deployment goes through them.
type (
	// Idle: nothing is in flight. Polling, evaluating and building happen here.
	Idle struct{}

	// Arming: a built system is about to be tried. The baseline is taken, and written
	// down before the node is drained: what a drain makes red was not red before.
	Arming struct {
		Trial
		Measured bool `json:"measured,omitempty"` // the baseline is taken
	}

	// Activating: the trial unit was started, or is about to be.
	Activating struct {
		Trial
		Attempt int           `json:"attempt"` // 1 or 2
		Since   time.Duration `json:"since"`   // boot-time clock
	}

	// Confirming: the new system is active and is being judged.
	Confirming struct {
		Trial
		Since    time.Duration `json:"since"`              // boot-time clock, end of the activation
		Until    time.Duration `json:"until"`              // boot-time clock, the deadline
		Approved bool          `json:"approved,omitempty"` // a person confirmed: skip the checks
		Held     string        `json:"held,omitempty"`     // rollback mode hold: why it is not healthy
		Flaw     Cause         `json:"flaw,omitzero"`      // rollback mode never: what is wrong with it
	}

	// Promoting: the trial is confirmed and is being made permanent.
	Promoting struct {
		Trial
		Try  int   `json:"try"`           // 1 to 3
		Flaw Cause `json:"flaw,omitzero"` // what is wrong with it; it is kept all the same
	}

	// RollingBack: the old system is being activated again, and made the default.
	RollingBack struct {
		Trial
		Cause    Cause `json:"cause"`
		Attempt  int   `json:"attempt"`            // 1 or 2
		Promoted bool  `json:"promoted,omitempty"` // promotion had begun: profile and boot default go back too
	}

	// VerifyingRollback: the old system is current again; is it as healthy as it was?
	VerifyingRollback struct {
		Trial
		Cause Cause         `json:"cause"`
		Boot  BootID        `json:"boot"`  // the boot that Since belongs to
		Since time.Duration `json:"since"` // boot-time clock
	}

	// RebootingBack: one reboot, into the boot default, which is the old system.
	RebootingBack struct {
		Trial
		Cause Cause         `json:"cause"`
		Since time.Duration `json:"since"` // boot-time clock
	}

	// Stuck: the old system could not be brought back; a person must act.
	Stuck struct {
		Trial
		Cause Cause `json:"cause"`
	}
)

// Phases lists every phase, without its data.
var Phases = []Phase{
	Idle{}, Arming{}, Activating{}, Confirming{}, Promoting{}, RollingBack{}, VerifyingRollback{}, RebootingBack{}, Stuck{},
}

func (Idle) phase()              {}
func (Arming) phase()            {}
func (Activating) phase()        {}
func (Confirming) phase()        {}
func (Promoting) phase()         {}
func (RollingBack) phase()       {}
func (VerifyingRollback) phase() {}
func (RebootingBack) phase()     {}
func (Stuck) phase()             {}

// A Deployment is one attempt to bring the node from Old to New.
// What it was started with holds until it ends, whatever is pushed or reloaded.
type Deployment struct {
	ID       string        `json:"id"` // from its start time; part of the names of its units
	Purpose  Purpose       `json:"purpose,omitempty"`
	Old      System        `json:"old"`
	New      System        `json:"new"`
	Boot     BootID        `json:"boot"`
	Started  time.Time     `json:"started"`
	Asleep   time.Duration `json:"asleep,omitempty"` // how long the machine had slept until then
	Rollback RollbackMode  `json:"rollback"`
	Recovery Recovery      `json:"recovery,omitzero"` // zero: an older agent began it
	Confirm  Confirm       `json:"confirm"`
	Drain    [][]string    `json:"drain,omitempty"`   // commands before the activation
	Undrain  [][]string    `json:"undrain,omitempty"` // commands after the end
	Subject  string        `json:"subject,omitempty"` // of the commit
	Took     Times         `json:"took,omitempty"`    // by phase, before it was started
}

// RecoveryUnder returns how d goes back: as was written down when it began, or by the settings in
// force, where the agent that began it wrote nothing down.
func (d Deployment) RecoveryUnder(p Policy) Recovery {
	if d.Recovery == (Recovery{}) {
		return p.recovery()
	}
	return d.Recovery
}

// A Trial is a deployment with what was seen before it began.
type Trial struct {
	Deployment Deployment `json:"deployment"`
	Baseline   Baseline   `json:"baseline"`
}

// A Baseline is the node's health just before the activation: NixOS resets
// failed units while it activates, so it cannot be taken later.
type Baseline struct {
	Failed     []string        `json:"failed,omitempty"`     // failed units
	Restarting []string        `json:"restarting,omitempty"` // services that kept restarting
	Active     []string        `json:"active,omitempty"`     // active services
	Checks     map[string]bool `json:"checks,omitempty"`     // by name: was it green
	Targets    []string        `json:"targets,omitempty"`    // connectivity targets that answered
	Print      string          `json:"print,omitempty"`      // see FollowState
	Nix        string          `json:"nix,omitempty"`        // see FollowState
}

// A Reason says in one word why a deployment was rolled back. The set is
// closed: it is a label of the metric infra_agent_rollbacks_total.
type Reason string

// The reasons for a rollback.
const (
	ReasonActivation   Reason = "activation"   // the activation failed
	ReasonUnit         Reason = "unit"         // a unit failed, keeps restarting or stopped
	ReasonCheck        Reason = "check"        // a required check is red
	ReasonConnectivity Reason = "connectivity" // no target answers any more
	ReasonDeadline     Reason = "deadline"     // not confirmed in time
	ReasonAgent        Reason = "agent"        // the new system's agent did not come up
	ReasonReboot       Reason = "reboot"       // the node rebooted before the trial was confirmed
	ReasonPromotion    Reason = "promotion"    // profile or boot default could not be set
	ReasonOperator     Reason = "operator"     // a person asked for it
	ReasonTesting      Reason = "testing"      // a trial of the testing branch is over
	ReasonFollow       Reason = "follow"       // the new system's agent would not follow the branch
)

// Reasons lists every reason, in the order of the documentation.
var Reasons = []Reason{
	ReasonActivation, ReasonUnit, ReasonCheck, ReasonConnectivity, ReasonDeadline,
	ReasonAgent, ReasonReboot, ReasonPromotion, ReasonOperator, ReasonTesting, ReasonFollow,
}

// A Cause is a reason with its story.
type Cause struct {
	Reason Reason `json:"reason"`
	Why    string `json:"why"`
	// Outside says that the commit cannot have caused it: its system is not blocked,
	// and tried again after a while.
	Outside bool `json:"outside,omitempty"`
	// OfRevision says that another commit of the same system may fare better: by its
	// signature, its branch or its registry. The block counts for this one alone.
	OfRevision bool `json:"of_revision,omitempty"`
}

// Name returns the phase's name as it stands in the record, the metrics and the status.
func Name(p Phase) string {
	switch p.(type) {
	case Idle:
		return "idle"
	case Arming:
		return "arming"
	case Activating:
		return "activating"
	case Confirming:
		return "confirming"
	case Promoting:
		return "promoting"
	case RollingBack:
		return "rolling_back"
	case VerifyingRollback:
		return "verifying_rollback"
	case RebootingBack:
		return "rebooting"
	case Stuck:
		return "stuck"
	}
	panic(unknown("phase", p))
}

// DeploymentOf returns the deployment in flight, if there is one.
func DeploymentOf(p Phase) (Deployment, bool) {
	switch p := p.(type) {
	case Idle:
		return Deployment{}, false
	case Arming:
		return p.Deployment, true
	case Activating:
		return p.Deployment, true
	case Confirming:
		return p.Deployment, true
	case Promoting:
		return p.Deployment, true
	case RollingBack:
		return p.Deployment, true
	case VerifyingRollback:
		return p.Deployment, true
	case RebootingBack:
		return p.Deployment, true
	case Stuck:
		return p.Deployment, true
	}
	panic(unknown("phase", p))
}

// GoingBack reports whether the old system is being brought back, or should be.
func GoingBack(p Phase) bool {
	switch p.(type) {
	case RollingBack, VerifyingRollback, RebootingBack, Stuck:
		return true
	default:
		return false
	}
}

// Testing reports whether d is of the testing branch.
func (d Deployment) Testing() bool { return d.Purpose == PurposeTesting }
