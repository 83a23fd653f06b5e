package reconcile

import (
	"testing"

	"pgregory.net/rapid"
)

// A gate that is closed keeps every candidate from the step that it stands before, and from
// all that follow.
func TestAClosedGateKeepsItsStepFromBeingTaken(t *testing.T) {
	kept := 0
	rapid.Check(t, func(t *rapid.T) {
		r, o := anyRecord.Draw(t, "record"), anyObservation.Draw(t, "observation")
		for _, c := range candidates(r) {
			act, _ := next(c, r, o)
			_, runs := act.(Run)
			note, notes := act.(Note)
			if _, enters := note.Event.(Entered); !runs && (!notes || !enters) {
				continue
			}
			if !pinAgain(c, r, o).IsZero() { // to ask for a pin once more is no step
				continue
			}
			for i, g := range gates {
				if h := g.ask(c, r, o); h.Gate != "" && g.before <= stepOf(c) {
					t.Fatalf("gate %d is closed (%s: %s), and the candidate goes on with %+v", i, h.Gate, h.Why, act)
				}
				kept++
			}
		}
	})
	if kept == 0 {
		t.Error("no candidate went on: nothing was shown")
	}
}
