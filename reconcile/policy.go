package reconcile

import "time"

// Policy is what the agent's settings say about deployments.
type Policy struct {
	Limits     Limits
	Confirm    Confirm
	Rollback   RollbackMode
	LastResort LastResort
	Observe    bool          // nothing is tried: another tool deploys
	Checks     []Check       // of the settings that run now; adopted systems are judged by them
	HeldAfter  time.Duration // how long a node may be held before that is told; 0: it never is
	Manifests  Manifests
}

// Manifests says whether a manifest, which another machine made, may name the system that a
// commit describes.
type Manifests struct {
	Mode ManifestMode
	Wait time.Duration // prefer: for a manifest, and what it names, before the node evaluates itself
}

// ManifestMode says who finds out which system a commit describes.
type ManifestMode string

// The modes. Empty is off.
const (
	ManifestOff    ManifestMode = "off"    // the node evaluates
	ManifestPrefer ManifestMode = "prefer" // a manifest, and after a while the node
	ManifestOnly   ManifestMode = "only"   // a manifest, or nothing is deployed
)

// LastResort says what to do when the old system cannot be brought back.
type LastResort string

// The last resorts.
const (
	LastResortReboot LastResort = "reboot"
	LastResortStuck  LastResort = "stuck"
)

// Recovery bounds the way back of a deployment. It is that of the old system's settings: those
// of the new one may be what is wrong with it.
type Recovery struct {
	Switch     time.Duration `json:"switch"` // limit of each switch to the old system
	Verify     time.Duration `json:"verify"` // how long the old system may take to be healthy again
	LastResort LastResort    `json:"last_resort"`
}

func (p Policy) recovery() Recovery {
	return Recovery{p.Limits.Rollback, p.Limits.VerifyRollback, p.LastResort}
}

// Limits bound how long each step may take.
type Limits struct {
	Fetch, Evaluate, Build, Activate, Promote, Rollback, VerifyRollback time.Duration
}

// Confirm says when a trial is healthy.
type Confirm struct {
	Settle      time.Duration `json:"settle"`       // after activation, before the first look
	Window      time.Duration `json:"window"`       // how long everything must be green
	Deadline    time.Duration `json:"deadline"`     // from the end of the activation
	DeadlineMax time.Duration `json:"deadline_max"` // furthest that "extend" can move it
	Targets     []string      `json:"targets,omitempty"`
	IgnoreUnits []string      `json:"ignore_units,omitempty"` // globs
}

// Least returns how long a trial lasts, at best, until the check was green for the window.
func (c Confirm) Least(k Check) time.Duration {
	return c.Settle + time.Duration(k.Successes-1)*k.Interval + c.Window
}
