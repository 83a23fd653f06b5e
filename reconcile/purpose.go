package reconcile

// A Purpose says what a commit on its way is for.
type Purpose string

// The purposes. Commits of the branch become the good system, and so does one that the
// branch has left behind; those of the testing branch are only tried; a rollback is what
// a person asked for; what is done to follow shows that a system on trial would.
const (
	PurposeBranch   Purpose = "branch"
	PurposeEarlier  Purpose = "earlier"
	PurposeTesting  Purpose = "testing"
	PurposeRollback Purpose = "rollback"
	PurposeFollow   Purpose = "follow"
)
