package reconcile

import (
	"slices"
	"time"
)

// debtBackoff lists the pauses after which a debt that could not be paid is tried
// again. It is tried for ever, since a later commit may mend what keeps it from being
// paid, and nothing else waits for it.
var debtBackoff = []time.Duration{
	time.Second, 2 * time.Second, 5 * time.Second, 15 * time.Second, time.Minute, 10 * time.Minute, time.Hour, 6 * time.Hour,
}

func (d Debt) waits(now time.Time) bool { return Pause{d.Tried, d.After}.lasts(now) }

// owe adds d, in the place of an earlier debt of its kind.
func owe(r Record, d Debt) Record {
	r = paid(r, d.Kind)
	r.Owed = append(slices.Clone(r.Owed), d)
	return r
}

func paid(r Record, kind DebtKind) Record {
	r.Owed = slices.DeleteFunc(slices.Clone(r.Owed), func(d Debt) bool { return d.Kind == kind })
	return r
}

// unpaid notes that a debt of that kind could not be paid.
func unpaid(r Record, kind DebtKind, why string, at time.Time, spread float64) Record {
	r.Owed = slices.Clone(r.Owed)
	for i := range r.Owed {
		if d := &r.Owed[i]; d.Kind == kind {
			d.Tries++
			d.Why, d.Tried, d.After = why, at, pause(at, debtBackoff, d.Tries, spread).Until
		}
	}
	return r
}

// owes reports whether a debt of that kind is not paid yet.
func owes(r Record, kind DebtKind) bool {
	return slices.ContainsFunc(r.Owed, func(d Debt) bool { return d.Kind == kind })
}

// pay returns what to do for the first debt of these kinds that is due; nil: none is. A
// running job is not ended for it: a build would begin anew.
func pay(r Record, o Observation, kinds ...DebtKind) Action {
	for _, kind := range kinds {
		i := slices.IndexFunc(r.Owed, func(d Debt) bool { return d.Kind == kind })
		if i < 0 || r.Owed[i].waits(o.Now) {
			continue
		}
		d := r.Owed[i]
		var job Job = Undrain{d.Commands}
		if d.Kind == DebtRestore {
			if o.Slots.Running == "" { // it cannot be read just now
				continue
			}
			if d.System != o.Slots.Running || o.Slots.agree() {
				return Note{Paid{d.Kind}}
			}
			if o.Policy.Observe && !GoingBack(r.Phase) { // profile and boot default are another tool's
				continue
			}
			job = Restore{d.System}
		}
		if o.Job == nil || KeyOf(o.Job) == KeyOf(job) {
			return Run{job}
		}
	}
	return nil
}

// nextDebt returns when the next debt is tried; zero: none waits.
func nextDebt(r Record, o Observation) time.Time {
	var next time.Time
	for _, d := range r.Owed {
		if d.waits(o.Now) && (next.IsZero() || d.After.Before(next)) {
			next = d.After
		}
	}
	return next
}
