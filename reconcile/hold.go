package reconcile

import (
	"fmt"
	"time"
)

// A Hold is why nothing is deployed now.
type Hold struct {
	Gate  Gate      `json:"gate"`
	Why   string    `json:"why"`
	Hint  string    `json:"hint,omitempty"` // what a person can do
	Until time.Time `json:"until,omitzero"` // when it is looked at again by itself; zero: when something changes
}

func suspended(r Record, o Observation) Hold {
	s := r.Suspended
	if s.Since.IsZero() || s.over(o.Now) {
		return Hold{}
	}
	return Hold{Gate: GateSuspend, Why: "suspended: " + s.Reason, Hint: `run "infra-agent resume"`, Until: s.Until}
}

func blocked(t Toplevel, r Record) Hold {
	b, is := r.Blocked[t]
	if !is {
		return Hold{}
	}
	return Hold{
		Gate: GateBlocked, Why: fmt.Sprintf("this system failed here on %s: %s", b.At.UTC().Format(time.RFC3339), b.Why),
		Hint: `push a fix, or run "infra-agent retry"`,
	}
}

// list names units for people, the first few of many.
func list(units []string) string {
	const most = 5
	s := ""
	for i, u := range units {
		if i == most {
			return fmt.Sprintf("%s and %d more", s, len(units)-most)
		}
		if i > 0 {
			s += ", "
		}
		s += u
	}
	return s
}

// failure holds while key has failed and is not to be tried yet.
func failure(r Record, o Observation, key FailureKey) Hold {
	f, failed := r.Failures[key]
	if !failed || !f.holds(o.Now) {
		return Hold{}
	}
	h := Hold{Gate: f.Gate, Why: f.Why, Until: f.After}
	switch {
	case f.Gate == GateUnverified, f.Gate == GateSource: // the reason says what to do
	case f.Gate == GateReboot:
		h.Hint = `run "nixos-rebuild boot" and reboot in a maintenance window`
	case f.After.IsZero():
		h.Hint = `push a fix, or run "infra-agent retry"`
	}
	return h
}

// silentSource tells that no remote answered the last poll.
func silentSource(r Record) Hold {
	for _, a := range r.Work.Remotes {
		if a.Commit != "" {
			return Hold{}
		}
	}
	if len(r.Work.Remotes) == 0 {
		return Hold{}
	}
	a := r.Work.Remotes[0]
	return Hold{Gate: GateSource, Why: a.Remote + ": " + a.Why}
}
