package reconcile

import (
	"fmt"
	"strings"
	"time"
)

// A Notice is something that happened to the node and that people, or programs of theirs, want to be told.
type Notice struct {
	ID         string     `json:"id"` // of what happened: told twice, it is the same
	Kind       NoticeKind `json:"event"`
	At         time.Time  `json:"at"`
	Deployment string     `json:"deployment,omitempty"`
	Revision   Commit     `json:"revision,omitempty"`
	From       Toplevel   `json:"from,omitempty"`
	To         Toplevel   `json:"to,omitempty"`
	Reason     Reason     `json:"reason,omitempty"` // of a rollback
	Gate       Gate       `json:"gate,omitempty"`   // that holds
	Since      time.Time  `json:"since,omitzero"`   // it is so
	Why        string     `json:"why,omitempty"`
}

// A NoticeKind says in one word what happened. The set is closed: each has a message id in the journal.
type NoticeKind string

// The kinds of notices. The first ones are ends of deployments, and spelled as their results.
const (
	NoticePromoted       = NoticeKind(ResultPromoted)
	NoticeRolledBack     = NoticeKind(ResultRolledBack)
	NoticeRollbackFailed = NoticeKind(ResultRollbackFailed)
	NoticeCancelled      = NoticeKind(ResultCancelled)
	NoticeTested         = NoticeKind(ResultTested)
	NoticeSteppedBack    = NoticeKind(ResultSteppedBack)

	NoticeWaiting          NoticeKind = "waiting" // rollback mode hold: a person is to confirm the trial or to end it
	NoticeStuck            NoticeKind = "stuck"
	NoticeRefused          NoticeKind = "refused" // the branch's commit is not trusted
	NoticeEvaluationFailed            = NoticeKind(ResultEvaluationFailed)
	NoticeBuildFailed                 = NoticeKind(ResultBuildFailed)
	NoticeHeld             NoticeKind = "held"  // for longer than Policy.HeldAfter
	NoticeDrift            NoticeKind = "drift" // a person changed the system
	NoticeSuspended        NoticeKind = "suspended"
	NoticeResumed          NoticeKind = "resumed"

	// In observe mode.
	NoticeWouldDeploy   NoticeKind = "would_deploy"    // what the branch describes
	NoticeWouldPromote  NoticeKind = "would_promote"   // what another tool activated
	NoticeWouldRollBack NoticeKind = "would_roll_back" // what another tool activated
)

// NoticeKinds lists every kind, in the order of the documentation.
var NoticeKinds = []NoticeKind{
	NoticePromoted, NoticeRolledBack, NoticeRollbackFailed, NoticeCancelled, NoticeTested, NoticeSteppedBack, NoticeWaiting, NoticeStuck,
	NoticeRefused, NoticeEvaluationFailed, NoticeBuildFailed, NoticeHeld, NoticeDrift, NoticeSuspended, NoticeResumed,
	NoticeWouldDeploy, NoticeWouldPromote, NoticeWouldRollBack,
}

// NoticesByDefault are the kinds that receivers get who do not say what they want: ends of deployments that nobody stood by,
// and what needs a person.
var NoticesByDefault = []NoticeKind{
	NoticePromoted, NoticeRolledBack, NoticeRollbackFailed, NoticeWaiting, NoticeStuck, NoticeHeld, NoticeDrift, NoticeWouldRollBack,
}

// An Urgency says how soon a notice wants to be read.
type Urgency string

// The urgencies.
const (
	UrgencyInfo    Urgency = "info"    // as planned, or as a person wanted it
	UrgencyWarning Urgency = "warning" // it went wrong, and the node works
	UrgencyError   Urgency = "error"   // a person must act
)

// Urgency returns how soon a notice of this kind wants to be read.
func (k NoticeKind) Urgency() Urgency {
	switch k {
	case NoticePromoted, NoticeCancelled, NoticeTested, NoticeSteppedBack, NoticeSuspended, NoticeResumed,
		NoticeWouldDeploy, NoticeWouldPromote:
		return UrgencyInfo
	case NoticeRollbackFailed, NoticeWaiting, NoticeStuck:
		return UrgencyError
	}
	return UrgencyWarning
}

// Text says in one line what happened.
func (n Notice) Text() string {
	what := map[NoticeKind]string{
		NoticePromoted:         "promoted",
		NoticeRolledBack:       "rolled back",
		NoticeRollbackFailed:   "rolled back, and the old system is not as it was",
		NoticeCancelled:        "deployment ended by a person",
		NoticeTested:           "tested, and gone back as planned",
		NoticeSteppedBack:      "went back to the system before",
		NoticeWaiting:          "not healthy, and waits for a person to confirm it or to roll it back",
		NoticeStuck:            "stuck: the old system could not be brought back, and a person must act",
		NoticeRefused:          "commit refused",
		NoticeEvaluationFailed: "evaluation failed",
		NoticeBuildFailed:      "build failed",
		NoticeHeld:             "held",
		NoticeDrift:            "changed by hand",
		NoticeSuspended:        "suspended",
		NoticeResumed:          "resumed",
		NoticeWouldDeploy:      "would be deployed",
		NoticeWouldPromote:     "what another tool deployed would have been promoted",
		NoticeWouldRollBack:    "what another tool deployed would have been rolled back",
	}[n.Kind]
	if n.Kind == NoticeHeld {
		what = fmt.Sprintf("held for %v", n.At.Sub(n.Since).Round(time.Second))
	}
	var about []string
	for _, word := range []string{n.Revision.Short(), string(n.Reason), string(n.Gate)} {
		if word != "" {
			about = append(about, word)
		}
	}
	if len(about) > 0 {
		what += " (" + strings.Join(about, ", ") + ")"
	}
	if why, _, _ := strings.Cut(n.Why, "\n"); why != "" {
		what += ": " + why
	}
	return what
}
