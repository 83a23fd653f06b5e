package reconcile

import "errors"

// A Gate names a reason why the node does not deploy. The set is closed: it is
// a label of the metric infra_agent_gate_blocked.
type Gate string

// The gates.
const (
	GateSuspend    Gate = "suspend"    // an operator suspended deployments
	GateObserve    Gate = "observe"    // the agent only looks on: mode = "observe"
	GateLock       Gate = "lock"       // another switch holds NixOS's switch lock
	GateBlocked    Gate = "blocked"    // the wanted system failed here before
	GateHold       Gate = "hold"       // the registry holds or pins the node
	GateWindow     Gate = "window"     // no maintenance window is open
	GateUnverified Gate = "unverified" // the newest revision is refused: ancestry, signature
	GateSource     Gate = "source"     // no remote answers, or the branch is missing or lags
	GateIdentity   Gate = "identity"   // the node is not in the registry, unmanaged or ambiguous
	GateManifest   Gate = "manifest"   // no manifest that counts names the system, or what it names cannot be had
	GateEvaluate   Gate = "evaluate"   // the configuration does not evaluate
	GateBuild      Gate = "build"      // the system does not build
	GateSecrets    Gate = "secrets"    // a secret that a role needs is not there
	GatePreflight  Gate = "preflight"  // no space, failing pre-switch check, unreadable record
	GateReboot     Gate = "reboot"     // the change can only be activated by a reboot
	GateDrift      Gate = "drift"      // a person switched, or running, profile and boot default differ
	GateState      Gate = "state"      // the agent's record is damaged, or newer than the agent
)

// Gates lists every gate, in the order of the documentation.
var Gates = []Gate{
	GateSuspend, GateObserve, GateHold, GateWindow, GateLock, GateBlocked, GateUnverified, GateSource, GateIdentity,
	GateManifest, GateEvaluate, GateBuild, GateSecrets, GatePreflight, GateReboot, GateDrift, GateState,
}

// A RejectedError is a failure that trying again cannot mend: the revision
// itself caused it. Every other error is taken as passing and tried again.
type RejectedError struct {
	Gate    Gate
	Err     error
	Suspect bool // a remote may have caused it, by what it sent or kept back: another one is asked
	Verdict Verdict
}

func (e *RejectedError) Error() string { return e.Err.Error() }
func (e *RejectedError) Unwrap() error { return e.Err }

// A Verdict is how the verification of a revision ended. The set is closed: it is a
// label of the metric infra_agent_verifications_total. Empty: it was not that far.
type Verdict string

// The verdicts.
const (
	VerdictGood          Verdict = "good"
	VerdictUnsigned      Verdict = "unsigned"
	VerdictBadSignature  Verdict = "bad_signature"
	VerdictUnknownKey    Verdict = "unknown_key"
	VerdictNotDescendant Verdict = "not_descendant" // of the anchor
)

// Verdicts lists every verdict, in the order of the documentation.
var Verdicts = []Verdict{VerdictGood, VerdictUnsigned, VerdictBadSignature, VerdictUnknownKey, VerdictNotDescendant}

// Rejected marks err as caused by the revision.
func Rejected(gate Gate, err error) error { return &RejectedError{Gate: gate, Err: err} }

// Suspected marks err as caused by the revision or by the remote that showed it.
func Suspected(gate Gate, err error) error {
	return &RejectedError{Gate: gate, Err: err, Suspect: true}
}

// RejectedBy reports whether err was marked by [Rejected], and with which gate.
func RejectedBy(err error) (Gate, bool) {
	if e, ok := errors.AsType[*RejectedError](err); ok {
		return e.Gate, true
	}
	return "", false
}

// A KeysError says that the keys which the settings name cannot be read: nothing can be
// verified, and that is no fault of the revision.
type KeysError struct{ Err error }

func (e *KeysError) Error() string { return e.Err.Error() }
func (e *KeysError) Unwrap() error { return e.Err }

// An AuditResult is what a node found out about a manifest. The set is closed: it is a label of
// the metric infra_agent_manifest_audits_total.
type AuditResult string

// The results of an audit.
const (
	AuditSame      AuditResult = "same"
	AuditDifferent AuditResult = "different" // the commit is held
)

// AuditResults lists every result, in the order of the documentation.
var AuditResults = []AuditResult{AuditSame, AuditDifferent}
