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
	Warnings      []string     `json:"warnings,omitempty"`
}
