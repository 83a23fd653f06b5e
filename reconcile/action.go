package reconcile

import "time"

// An Action is the one thing to do now.
//
//sumtype:decl
type Action interface{ action() }

type (
	// Wait: nothing to do before Until, or before the next event. A zero Until
	// waits for an event.
	Wait struct{ Until time.Time }
	// Note: write the event down; nothing needs doing for it.
	Note struct{ Event Event }
	// Run: start the job, unless it runs already.
	Run struct{ Job Job }
	// Cancel: end the running job; something else is wanted now.
	Cancel struct{}
)

func (Wait) action() {}

func (Note) action() {}

func (Run) action() {}

func (Cancel) action() {}

// sooner returns the earlier time; zero is never.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// foreign reports whether a person switched to a third system.
func foreign(d Deployment, o Observation) bool {
	run := o.Slots.Running
	return run != "" && run != d.Old.Toplevel && run != d.New.Toplevel
}

// guardActs reports whether the deployment's guard is going back just now.
func guardActs(d Deployment, o Observation) bool { return o.Guard.ID == d.ID && o.Guard.Claimed }

func enter(p Phase, o Observation) Action { return Note{Entered{Phase: p, At: o.Now}} }

// at turns a point on the boot-time clock into wall-clock time.
func at(uptime time.Duration, o Observation) time.Time { return o.Now.Add(uptime - o.Uptime) }
