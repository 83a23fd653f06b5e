package reconcile

import (
	"slices"
	"time"
)

// A commit of the testing branch is tried as any other one is, and goes back when
// the time of its trial is over: it never becomes the good system. It waits until
// the branch itself wants nothing, and makes way as soon as it does.

// verdict says, when the time of a trial of the testing branch is over and nothing was
// red, whether it was well for as long as a confirmation takes. An agent that was
// restarted shortly before has seen too little to say so.
func (w Watch) verdict(window time.Duration) string {
	if w.stable(window) {
		return "it was healthy"
	}
	return w.waitsFor()
}

// overtaken says why a trial of the testing branch makes way; "": it does not.
func overtaken(d Deployment, r Record) string {
	if tip := r.Work.Tip.Commit; tip != "" && tip != r.Anchor && !behind(tip, r) {
		return "the branch has a new commit"
	}
	switch tip, known := testingTip(r); {
	case !known || tip.Commit == d.New.Revision:
		return ""
	case tip.Commit == "":
		return "the testing branch is gone"
	default:
		return "the testing branch has moved on to " + tip.Commit.Short()
	}
}

// A Testing says where the testing branch's tip stands on this node.
type Testing struct {
	Commit  Commit `json:"commit"`
	Subject string `json:"subject,omitempty"`
	State   string `json:"state"`         // a word or two: on trial, tested, waiting …
	Why     string `json:"why,omitempty"` // of the state
}

// TestingOf returns where the testing branch's tip stands; false: there is none.
func TestingOf(r Record, o Observation) (Testing, bool) {
	tip, _ := testingTip(r)
	d, inFlight := DeploymentOf(r.Phase)
	inFlight = inFlight && d.Testing()
	t := Testing{Commit: tip.Commit}
	if inFlight {
		t.Commit = d.New.Revision
	}
	if f, ok := FetchedOf(r.Work.Steps[PurposeTesting]); ok && f.Revision.Commit == t.Commit {
		t.Subject = f.Revision.Subject
	}
	if t.Commit == "" {
		return Testing{}, false
	}
	act, h := next(r.testing(), r, o)
	_, waits := act.(Wait)
	switch {
	case inFlight && GoingBack(r.Phase):
		t.State = "going back"
	case inFlight:
		t.State = "on trial"
	case slices.Contains(r.Tested, t.Commit):
		t.State = "tried"
		for _, k := range slices.Backward(r.History) {
			if k.Revision == t.Commit {
				t.State, t.Why = string(k.Result), k.Cause.Why
				break
			}
		}
	case h.Gate != "":
		t.State, t.Why = "held", string(h.Gate)+": "+h.Why
	case waits:
		t.State, t.Why = "nothing to try", "it describes what runs already"
	default:
		t.State = "being prepared"
	}
	return t, true
}
