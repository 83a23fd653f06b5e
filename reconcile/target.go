package reconcile

// A Role is a piece of function that a node carries, such as "dns".
type Role string

// A RollbackMode says what happens when a trial is not healthy.
type RollbackMode string

// The rollback modes.
const (
	RollbackAuto  RollbackMode = "auto"  // go back at once
	RollbackHold  RollbackMode = "hold"  // stay on the trial, alert, wait for a person
	RollbackNever RollbackMode = "never" // keep and promote the trial, alert
	// RollbackAlways goes back when the time of the trial is over, however healthy it
	// is. It is no setting: it is how commits of the testing branch are tried.
	RollbackAlways RollbackMode = "always"
)

// A TrustPolicy says which commits must be signed.
type TrustPolicy string

// The trust policies.
const (
	TrustNone TrustPolicy = "none" // whoever may push may deploy
	TrustTip  TrustPolicy = "tip"  // the newest commit is signed
	TrustAll  TrustPolicy = "all"  // every commit since the last accepted one is signed, merges included
)

// A Target is what one revision wants of this node.
type Target struct {
	Node          string       `json:"node"`             // name in the registry, or of the output
	Configuration string       `json:"configuration"`    // attribute of nixosConfigurations
	Roles         []Role       `json:"roles,omitempty"`  // sorted, implied ones included
	Checks        []Check      `json:"checks,omitempty"` // of node and roles, merged, sorted by name
	Wave          string       `json:"wave,omitempty"`   // of the node
	Environment   string       `json:"environment,omitempty"`
	Rollback      RollbackMode `json:"rollback,omitempty"` // empty: the agent's own setting
	Windows       []Window     `json:"windows,omitempty"`  // systems are activated only in these; none: always
	Hold          string       `json:"hold,omitempty"`     // why nothing is deployed; empty: no hold
	Pin           string       `json:"pin,omitempty"`      // the only commit that it may run; 7 to 40 digits
	PinReason     string       `json:"pin_reason,omitempty"`
	Secrets       []Secret     `json:"secrets,omitempty"` // must be there before an activation
	Drain         [][]string   `json:"drain,omitempty"`   // commands before an activation
	Undrain       [][]string   `json:"undrain,omitempty"` // commands after a deployment, however it ended
	Retire        bool         `json:"retire,omitempty"`  // its system may be one without an agent
	Warnings      []string     `json:"warnings,omitempty"`
}

// A Secret is a file that a role needs. Its content is never read.
type Secret struct {
	Path  string `json:"path" type:"path" doc:"Absolute path of the file. It is never read."`
	Owner string `json:"owner,omitempty" doc:"User that must own it; none: any."`
	Group string `json:"group,omitempty" doc:"Group that must own it; none: any."`
	Mode  string `json:"mode,omitempty" doc:"Mode that it must have, such as 0440; none: any that keeps others out."`
}
