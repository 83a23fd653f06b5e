package agent

import (
	"context"
	"time"

	"github.com/infra-agent/infra-agent/reconcile"
)

// Ports are the outside things that the agent needs. Each one looks or acts;
// none of them judges.
type Ports struct {
	Source    Source
	Registry  Registry
	Manifests Manifests
	Nix       Nix
	Links     Links
	Units     Units
	Switch    Switch
	Programs  Programs
	Guard     Guard
	Health    Health
	Store     Store
	Follower  Follower
}

// Receivers are those who want to be told. Tell takes what was told so far, and what is new;
// it is called at each look, and never waits.
type Receivers interface {
	Tell(told reconcile.Told, news []reconcile.Notice)
	Deliveries() map[string]reconcile.Delivery
}

// A Tree is a fetched revision as a directory on disk.
type Tree struct {
	Revision reconcile.Revision // without the store path
	Dir      string
	Behind   int           // first-parent commits since the anchor
	Verified time.Duration // how long it took to verify the signatures

	// Verify shows that a copy of Dir is the revision's tree, and nothing else.
	Verify func(dir string) error
}

// Source fetches revisions. A revision that must not be used is a
// [reconcile.RejectedError]. Again gets the files of one that was fetched before.
type Source interface {
	Fetch(ctx context.Context, j reconcile.Fetch) (Tree, error)
	Again(ctx context.Context, f reconcile.Fetched) (Tree, error)
}

// Registry knows what a revision wants of this node. ResolveAs asks what it will want of it
// once n runs; known is false where that cannot be told yet. Keep copies what is read of a
// revision's files for that into a directory of its own below to, and returns it; Kept reports
// whether such a directory has that still, by the settings of now.
type Registry interface {
	Keep(from, to string) (dir string, err error)
	Kept(dir string) bool
	Resolve(ctx context.Context, rev reconcile.Revision) (reconcile.Target, error)
	ResolveAs(ctx context.Context, rev reconcile.Revision, n reconcile.Newcomer) (t reconcile.Target, known bool, err error)
}

// A Planned system is what a manifest names, and what the registry says of the node.
type Planned struct {
	Target     reconcile.Target
	Derivation reconcile.Derivation
	Toplevel   reconcile.Toplevel
	Manifest   reconcile.Manifest
	Audit      bool // this node is to evaluate it as well
}

// Manifests know what another machine evaluated. Plan gets the revision's manifest, and looks at
// it and its signature: whatever is wrong with it may pass, and is no [reconcile.RejectedError],
// which is what the registry says of this node.
type Manifests interface {
	Plan(ctx context.Context, j reconcile.Plan) (Planned, error)
}

// Nix evaluates, builds and keeps store paths.
type Nix interface {
	Add(ctx context.Context, dir, root string) (path string, err error)
	Has(path string) bool // in the store; what is not rooted may be gone at any time
	Evaluate(ctx context.Context, rev reconcile.Revision, configuration string) (reconcile.Derivation, reconcile.Toplevel, error)
	// Prove shows that the next commit could be evaluated and built as Nix is now: it builds
	// something, and with anew it evaluates without what was kept of an earlier evaluation.
	Prove(ctx context.Context, rev reconcile.Revision, configuration string, anew bool) error
	// Build builds what was evaluated, and keeps it by the root of that name.
	Build(ctx context.Context, from reconcile.Evaluated, root string, report func(reconcile.Progress)) error
	// Copy gets want from the node's binary caches, with all that it refers to, and keeps it.
	Copy(ctx context.Context, want reconcile.Toplevel, root string, report func(reconcile.Progress)) error
	Root(ctx context.Context, name, path string) error
	Unroot(keep ...string) error
}

// Links are the node's systems: which run, which the profile and the boot loader name.
type Links interface {
	Slots() reconcile.Slots
	Booted() reconcile.Toplevel
	AgentOf(t reconcile.Toplevel) string
	RebootRequired() []string
	Generations() map[reconcile.Toplevel]int
}

// Units are systemd's, the agent's own transient ones among them.
type Units interface {
	Units(ctx context.Context, d reconcile.Deployment, was []string) (reconcile.Units, error)
	StartGuard(ctx context.Context, d reconcile.Deployment, stateDir string) error
	GuardAlive(ctx context.Context, id string) (bool, error)
	Leftovers(ctx context.Context) ([]string, error)
	Stop(ctx context.Context, unit string) error
	Reboot(ctx context.Context) error
	// Orphan reports whether the agent runs as a unit that the running system does not have.
	Orphan(ctx context.Context) (bool, error)
	Retire(ctx context.Context) error // ends the agent's own unit
}

// Switch changes which system runs, and which the node boots. Trial, GoBack, Promote
// and Restore run in units of their own and attach to one that runs already, so each
// may be called again after a crash. Trial and GoBack hand the start of a unit to
// begin, which may refuse it.
type Switch interface {
	// Preflight looks for reasons not to activate next; with retire, that it has no agent is none.
	Preflight(ctx context.Context, next reconcile.Toplevel, retire bool, record string) (reconcile.Newcomer, error)
	Trial(ctx context.Context, d reconcile.Deployment, attempt int, begin func(start func() error) error) (reconcile.Activation, error)
	GoBack(ctx context.Context, d reconcile.Deployment, attempt int, begin func(start func() error) error) (reconcile.Activation, error)
	Promote(ctx context.Context, d reconcile.Deployment, try int) error
	Restore(ctx context.Context, t reconcile.Toplevel) error
}

// Programs are those of the registry, and the files that they and the roles need.
type Programs interface {
	Secrets(ctx context.Context, secrets []reconcile.Secret) error
	Exec(ctx context.Context, argv []string) error
}

// Guard is the guard's file. Begin runs start while the deployment's guard is armed
// and cannot begin to go back.
type Guard interface {
	State() (reconcile.GuardState, error)
	Arm(d reconcile.Deployment, until time.Duration, by reconcile.Recovery) error
	Bound(d reconcile.Deployment, until time.Duration, by reconcile.Recovery) error
	Move(id string, until time.Duration) error
	Disarm(id string) error
	Begin(id string, uptime func() time.Duration, start func() error) error
	NoteReboot(id string) error
}

// Health runs checks and asks connectivity targets.
type Health interface {
	Run(ctx context.Context, checks []reconcile.Check) map[string]reconcile.CheckResult
	Answered(ctx context.Context, targets []string) map[string]bool
	DefaultTargets(ctx context.Context) []string
}

// Follower knows what the agent follows its branch with. AskOld has the old system's
// agent poll with the old system's settings, and reports what came of it.
type Follower interface {
	FollowState() reconcile.FollowState
	AskOld(ctx context.Context, d reconcile.Deployment) (reconcile.OldPoll, error)
}

// Store keeps the record. Save reports whether it had to write.
type Store interface {
	Save(rec reconcile.Record) (bool, error)
}
