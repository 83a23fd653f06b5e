package reconcile

import "time"

// An Event is a fact for the record.
//
//sumtype:decl
type Event interface{ event() }

// Events from the outside.
type (
	// Polled: a remote answered, or did not.
	Polled struct{ Answer Answer }
	// Reloaded: the settings changed; the tip is looked at again. Elsewhere: the branch or
	// its remotes are other ones, and nothing of the old ones is wanted any more.
	Reloaded struct{ Elsewhere bool }
)

// Ends of jobs.
type (
	// Advanced: a preparing job ended well.
	Advanced struct {
		Job  Job
		Step Step
		At   time.Time
		Took time.Duration
	}
	// Done: a job without a result ended well.
	Done struct {
		Job    Job
		Took   time.Duration
		Uptime time.Duration // when it ended; boot-time clock
	}
	// Cancelled: a job was ended for another one.
	Cancelled struct{ Job Job }
	// Failed: a job ended badly. Gate is set when trying again cannot help; Suspect
	// says that it can, where a remote caused it.
	Failed struct {
		Job     Job
		Gate    Gate
		Suspect bool
		Disk    bool    // the node's disk is full, broken or read-only
		Verdict Verdict // of a fetch that verified
		NoKeys  bool    // a fetch had nothing to verify with, see [KeysError]
		Why     string
		At      time.Time
		// Spread is a random factor around 1 that keeps a fleet from retrying in step.
		Spread float64
	}
	// Measured: the baseline is taken. From here on the node may be drained.
	Measured struct {
		Deployment Deployment
		Baseline   Baseline
		At         time.Time
	}
	// Paid: a debt needs no effect any more.
	Paid struct{ Kind DebtKind }
	// Armed: the guard is armed.
	Armed struct{}
	// Activated: a unit that activates a system ended: a trial, or the way back.
	Activated struct {
		Activation Activation
		Took       time.Duration
	}
	// AskedOld: the old system's agent polled with the old settings.
	AskedOld struct {
		Old    OldPoll
		Uptime time.Duration
		At     time.Time
	}
	// Sampled: one look at the trial's health.
	Sampled struct {
		Sample Sampling
		Uptime time.Duration
	}
)

// Decisions.
type (
	// Entered: the phase changes. It is on disk before anything is done in it.
	Entered struct {
		Phase Phase
		At    time.Time
	}
	// Aborted: the deployment ended before anything was changed.
	Aborted struct {
		Gate Gate
		Why  string
		At   time.Time
	}
	// Promoted: the new system is good.
	Promoted struct{ At time.Time }
	// RolledBack: the old system runs again. Unhealthy says why it is not as it
	// was; Silent that no connectivity target answers it either.
	RolledBack struct {
		At        time.Time
		Unhealthy string
		Silent    bool
	}
	// Abandoned: a person switched to a third system; nothing is undone.
	Abandoned struct{ At time.Time }
	// Adopted: the running system is good. ByHand: a person switched to it.
	Adopted struct {
		System Toplevel
		ByHand bool
		At     time.Time
	}
	// Converged: the revision describes the system that is good already.
	Converged struct {
		Revision Revision
		Checks   []Check
		Care     Care
		At       time.Time
	}
	// Judged: observe mode knows what would have become of the system that another tool
	// activated. Cause is that of the rollback; zero: it would have been kept.
	Judged struct {
		Cause Cause
		At    time.Time
	}
)

// Operators' wishes that change no phase by themselves.
type (
	// Suspended: nothing leaves Idle until Resumed, which comes by itself where Until is not zero.
	Suspended struct {
		Reason string
		Until  time.Time
		At     time.Time
	}
	// SteppingBack: a person wants the node back on the system before the good one; To is
	// empty when that is no longer wanted.
	SteppingBack struct{ To Toplevel }
	// Resumed ends a suspension.
	Resumed struct{}
	// Retried: forget what failed.
	Retried struct{}
	// Synced: poll now, and forget short waits.
	Synced struct{}
	// Retiring: a person wants the next system to be one that may have no agent.
	Retiring struct{}
	// Rewound: this revision may be accepted once though it is no descendant.
	Rewound struct{ To Commit }
	// Accepted: running system, profile and boot default differ, and a person says so be it.
	Accepted struct {
		Slots Slots
		At    time.Time
	}
)

func (Polled) event()       {}
func (Reloaded) event()     {}
func (Advanced) event()     {}
func (Done) event()         {}
func (Cancelled) event()    {}
func (Failed) event()       {}
func (Measured) event()     {}
func (Paid) event()         {}
func (Armed) event()        {}
func (Activated) event()    {}
func (AskedOld) event()     {}
func (Sampled) event()      {}
func (Entered) event()      {}
func (Aborted) event()      {}
func (Promoted) event()     {}
func (RolledBack) event()   {}
func (Abandoned) event()    {}
func (Adopted) event()      {}
func (Converged) event()    {}
func (Judged) event()       {}
func (Suspended) event()    {}
func (SteppingBack) event() {}
func (Resumed) event()      {}
func (Retried) event()      {}
func (Synced) event()       {}
func (Retiring) event()     {}
func (Rewound) event()      {}
func (Accepted) event()     {}
