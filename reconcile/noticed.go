package reconcile

import (
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Told is what was noticed so far. It is kept across restarts: what happened since then, while nobody looked or just
// before the agent was killed, is still in the record, and is noticed by the next look.
type Told struct {
	Begun      bool                `json:"begun"`                // false: nobody has ever looked, and the history is old
	Deployment string              `json:"deployment,omitempty"` // the newest one in the history
	Observed   time.Time           `json:"observed,omitzero"`    // the newest verdict of observe mode
	Standing   map[string]Standing `json:"standing,omitempty"`   // what is so now, by condition
}

// Standing is something that is so.
type Standing struct {
	Of    string    `json:"of"` // the same for as long as it is the same thing
	Since time.Time `json:"since"`
	Told  bool      `json:"told"`
}

// driftAfter is how long running system, profile and boot default may differ before that is
// told: a person's own switch takes its time.
const driftAfter = 5 * time.Minute

// keepWhy bounds the reason in a notice, in bytes.
const keepWhy = 2000

// Notices returns what has happened since told, and what is told then. It never changes told.
func Notices(told Told, s Snapshot) (Told, []Notice) {
	var news []Notice
	if s.Record.Unreadable == "" {
		told, news = overSince(told, s.Record)
		told, news = observedSince(told, s.Record, news)
	}
	for _, c := range conditions {
		if s.Record.Unreadable != "" && c.name != conditionHeld { // nothing else is known
			continue
		}
		of, known, n := c.now(s)
		if !known {
			continue
		}
		before, stood := told.Standing[c.name]
		if of == "" {
			told.Standing = dropped(told.Standing, c.name)
			if stood && c.name == conditionSuspended {
				news = append(news, Notice{Kind: NoticeResumed, ID: string(NoticeResumed) + "/" + before.Of, At: s.Observation.Now})
			}
			continue
		}
		is, due := before.at(s.Observation.Now, of, c.after(s.Observation.Policy))
		if due {
			n.At, n.Since, n.ID = s.Observation.Now, is.Since, string(n.Kind)+"/"+of
			if c.episodes {
				n.ID = string(n.Kind) + "/" + strconv.FormatInt(is.Since.Unix(), 10)
			}
			news = append(news, n)
		}
		if is != before {
			told.Standing = with(told.Standing, c.name, is)
		}
	}
	for i := range news {
		news[i].Why = bounded(news[i].Why)
	}
	return told, news
}

// at returns what stands now, and whether that is to be told now: once, when it has stood for so long.
func (s Standing) at(now time.Time, of string, after time.Duration) (is Standing, due bool) {
	switch {
	case s.Of != of:
		s = Standing{Of: of, Since: now}
	case s.Since.After(now): // the clock was set back
		s.Since = now
	}
	due = !s.Told && after >= 0 && now.Sub(s.Since) >= after
	s.Told = s.Told || due
	return s, due
}

// Equal reports whether both say the same.
func (t Told) Equal(u Told) bool {
	return t.Begun == u.Begun && t.Deployment == u.Deployment && t.Observed.Equal(u.Observed) && maps.Equal(t.Standing, u.Standing)
}

// overSince returns a notice of each deployment that has ended since told. Where the last one
// that was told is not in the history, the record is another one.
func overSince(told Told, r Record) (Told, []Notice) {
	first := 0
	if !told.Begun || told.Deployment != "" {
		first = len(r.History)
		if i := slices.IndexFunc(r.History, func(o Outcome) bool { return o.ID == told.Deployment }); told.Begun && i >= 0 {
			first = i + 1
		}
	}
	var news []Notice
	for _, o := range r.History[first:] {
		news = append(news, Notice{
			Kind: NoticeKind(o.Result), ID: string(o.Result) + "/" + o.ID, At: o.Ended, Deployment: o.ID, Revision: o.Revision, From: o.From, To: o.To,
			Reason: o.Cause.Reason, Why: o.Cause.Why, Since: o.Started,
		})
	}
	if n := len(r.History); n > 0 {
		told.Deployment = r.History[n-1].ID
	}
	return told, news
}

// observedSince adds a notice of each verdict of observe mode since told. It comes after overSince, and says that
// somebody has looked.
func observedSince(told Told, r Record, news []Notice) (Told, []Notice) {
	first := len(r.Observed)
	for told.Begun && first > 0 && r.Observed[first-1].At.After(told.Observed) {
		first--
	}
	for _, o := range r.Observed[first:] {
		n := Notice{Kind: NoticeWouldPromote, At: o.At, Revision: o.Revision, To: o.System, Reason: o.Cause.Reason, Why: o.Cause.Why}
		if o.Cause.Reason != "" {
			n.Kind = NoticeWouldRollBack
		}
		n.ID = string(n.Kind) + "/" + strconv.FormatInt(o.At.Unix(), 10)
		news = append(news, n)
	}
	told.Begun = true
	if n := len(r.Observed); n > 0 {
		told.Observed = r.Observed[n-1].At
	}
	return told, news
}

// A condition is something that may be so for a while. It is told once, when it has been
// so for long enough.
type condition struct {
	name     string
	after    func(Policy) time.Duration // negative: never
	episodes bool                       // the thing has no name of its own: each time is another one
	// now says what it is of that is so, "" for nothing; known is false where that cannot be seen now.
	now func(Snapshot) (of string, known bool, n Notice)
}

// The names of conditions that others ask for.
const (
	conditionHeld      = "held"
	conditionSuspended = "suspended"
)

func atOnce(Policy) time.Duration { return 0 }

var conditions = []condition{
	{"waiting", atOnce, false, waitingNow},
	{"stuck", atOnce, false, stuckNow},
	{"refused", atOnce, false, failingNow(GateUnverified, NoticeRefused)},
	{"not evaluated", atOnce, false, failingNow(GateEvaluate, NoticeEvaluationFailed)},
	{"not built", atOnce, false, unbuildableNow},
	{"switched by hand", atOnce, false, switchedNow},
	{"disagreement", func(Policy) time.Duration { return driftAfter }, true, disagreementNow},
	{conditionSuspended, atOnce, false, suspendedNow},
	{conditionHeld, heldAfter, true, heldNow},
	{"would deploy", atOnce, false, wouldDeployNow},
}

func heldAfter(p Policy) time.Duration {
	if p.HeldAfter == 0 {
		return -1
	}
	return p.HeldAfter
}

func waitingNow(s Snapshot) (of string, known bool, n Notice) {
	p, is := s.Record.Phase.(Confirming)
	if !is || p.Held == "" {
		return "", true, n
	}
	return p.Deployment.ID, true, ofTrial(NoticeWaiting, p.Trial, Cause{Why: p.Held})
}

func stuckNow(s Snapshot) (of string, known bool, n Notice) {
	p, is := s.Record.Phase.(Stuck)
	if !is {
		return "", true, n
	}
	return p.Deployment.ID, true, ofTrial(NoticeStuck, p.Trial, p.Cause)
}

func ofTrial(kind NoticeKind, t Trial, c Cause) Notice {
	d := t.Deployment
	return Notice{Kind: kind, Deployment: d.ID, Revision: d.New.Revision, From: d.Old.Toplevel, To: d.New.Toplevel, Reason: c.Reason, Why: c.Why}
}

// failingNow tells of the branch's commit that it failed at that gate.
func failingNow(at Gate, kind NoticeKind) func(Snapshot) (string, bool, Notice) {
	return func(s Snapshot) (of string, known bool, n Notice) {
		tip := s.Record.Work.Tip.Commit
		f, failed := s.Record.Failures[revisionKey(tip)]
		if !failed || f.Gate != at {
			return "", tip != "", n
		}
		return string(tip), true, Notice{Kind: kind, Revision: tip, Gate: at, Why: f.Why}
	}
}

func unbuildableNow(s Snapshot) (of string, known bool, n Notice) {
	e, is := evaluatedOf(s.Record.Work.Steps[PurposeBranch])
	if !is {
		return "", false, n
	}
	f, failed := s.Record.Failures[derivationKey(e.Derivation)]
	if !failed {
		return "", true, n
	}
	return path.Base(string(e.Derivation)), true, Notice{Kind: NoticeBuildFailed, Revision: e.Revision.Commit, To: e.Toplevel, Gate: f.Gate, Why: f.Why}
}

// switchedNow tells of a system that a person switched to, and that was adopted.
func switchedNow(s Snapshot) (of string, known bool, n Notice) {
	r := s.Record
	if r.Foreign.Tip == "" {
		return "", true, n
	}
	return path.Base(string(r.Good.Toplevel)), true, Notice{
		Kind: NoticeDrift, Gate: GateDrift, From: r.Previous.Toplevel, To: r.Good.Toplevel, Why: "a person switched to another system",
	}
}

func disagreementNow(s Snapshot) (of string, known bool, n Notice) {
	if s.Observation.Slots.Running == "" {
		return "", false, n
	}
	i := slices.IndexFunc(s.Holds, func(h Hold) bool { return h.Gate == GateDrift })
	if i < 0 || s.Record.Foreign.Tip != "" {
		return "", true, n
	}
	return "slots", true, Notice{Kind: NoticeDrift, Gate: GateDrift, From: s.Record.Good.Toplevel, To: s.Observation.Slots.Running, Why: s.Holds[i].Why}
}

func suspendedNow(s Snapshot) (of string, known bool, n Notice) {
	is := s.Record.Suspended
	if is.Since.IsZero() {
		return "", true, n
	}
	why := is.Reason
	if !is.Until.IsZero() {
		why += ", until " + is.Until.UTC().Format(time.RFC3339)
	}
	return strconv.FormatInt(is.Since.Unix(), 10), true, Notice{Kind: NoticeSuspended, Gate: GateSuspend, Why: strings.TrimPrefix(why, ", ")}
}

// heldNow tells of a node that does not get what it should have. It ends when the node
// deploys or is in sync, and not between two tries. A maintenance window is no reason: it
// was planned.
func heldNow(s Snapshot) (of string, known bool, n Notice) {
	if _, idle := s.Record.Phase.(Idle); !idle || s.Record.Unreadable == "" && s.InSync() && len(s.Holds) == 0 {
		return "", true, n
	}
	i := slices.IndexFunc(s.Holds, func(h Hold) bool { return h.Gate != GateWindow && h.Gate != GateObserve })
	if i < 0 {
		return "", len(s.Holds) > 0, n
	}
	return "node", true, Notice{Kind: NoticeHeld, Gate: s.Holds[i].Gate, Revision: s.Record.Work.Tip.Commit, Why: s.Holds[i].Why}
}

// wouldDeployNow tells of a system that only observe mode keeps from its trial.
func wouldDeployNow(s Snapshot) (of string, known bool, n Notice) {
	step := s.Record.Work.Steps[PurposeBranch]
	e, evaluated := evaluatedOf(step)
	if evaluated && e.Toplevel == s.Record.Good.Toplevel {
		return "", true, n
	}
	if _, ready := step.(Ready); !ready {
		return "", false, n
	}
	i := slices.IndexFunc(s.Holds, func(h Hold) bool { return h.Gate == GateObserve })
	if i < 0 {
		return "", true, n
	}
	return path.Base(string(e.Toplevel)), true, Notice{
		Kind: NoticeWouldDeploy, Gate: GateObserve, Revision: e.Revision.Commit, From: s.Record.Good.Toplevel, To: e.Toplevel, Why: s.Holds[i].Why,
	}
}

// bounded cuts a reason that is too long, at the end of a character.
func bounded(why string) string {
	if len(why) <= keepWhy {
		return why
	}
	return strings.ToValidUTF8(why[:keepWhy], "") + "…"
}
