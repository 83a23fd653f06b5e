package reconcile

import (
	"testing"

	"pgregory.net/rapid"
)

// Whatever is known and seen, an agent that only looks on begins no trial.
func TestObserveModeTriesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, o := anyRecord.Draw(t, "record"), anyObservation.Draw(t, "observation")
		r.Phase, o.Policy.Observe, o.Job = Idle{}, true, nil
		if note, is := Next(r, o).(Note); is {
			if e, enters := note.Event.(Entered); enters {
				t.Fatalf("it enters %s", Name(e.Phase))
			}
		}
	})
}
