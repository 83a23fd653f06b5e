// Package control is how people talk to a running agent: HTTP with JSON over a
// unix socket. It carries wishes and views; it decides nothing.
package control

import (
	"maps"
	"slices"
	"time"

	"github.com/infra-agent/infra-agent/reconcile"
)

// Status is what "infra-agent status --json" prints. Fields are only ever added.
type Status struct {
	Version    string              `json:"version"`        // of the agent that answers
	Running    bool                `json:"agent_running"`  // false: read from the record on disk
	Node       string              `json:"node,omitempty"` // as the registry calls it
	Roles      []reconcile.Role    `json:"roles,omitempty"`
	State      string              `json:"state"`
	Since      time.Time           `json:"since,omitzero"` // of the state
	InSync     bool                `json:"in_sync"`
	Doing      string              `json:"doing,omitempty"` // the running job
	DoingSince time.Time           `json:"doing_since,omitzero"`
	Build      *reconcile.Progress `json:"build,omitempty"` // while building
	Took       reconcile.Times     `json:"took,omitempty"`  // the last run of each job and phase, in nanoseconds
	Holds      []reconcile.Hold    `json:"holds,omitempty"`
	Deployment *Deployment         `json:"deployment,omitempty"` // in flight
	Testing    *reconcile.Testing  `json:"testing,omitempty"`    // the testing branch's tip
	Remotes    []Remote            `json:"remotes,omitempty"`    // that were polled, in order of preference

	Tip     reconcile.Commit `json:"tip,omitempty"` // newest seen at a remote
	TipSeen time.Time        `json:"tip_seen,omitzero"`
	Anchor  reconcile.Commit `json:"anchor,omitempty"` // newest verified
	Subject string           `json:"subject,omitempty"`
	Behind  int              `json:"behind,omitempty"`

	Manifests reconcile.ManifestMode `json:"manifests,omitempty"` // whether a manifest may name the system; empty: off
	Manifest  *reconcile.Manifest    `json:"manifest,omitempty"`  // that named the system of the newest commit

	LastPoll time.Time          `json:"last_poll,omitzero"` // that was answered
	Good     reconcile.System   `json:"good"`
	Previous reconcile.System   `json:"previous"`
	Back     reconcile.Toplevel `json:"back,omitempty"` // "infra-agent rollback" was said, and has not begun: Previous
	Slots    reconcile.Slots    `json:"slots"`
	Booted   reconcile.Toplevel `json:"booted,omitempty"`
	Reboot   []string           `json:"reboot_required,omitempty"`

	Suspended reconcile.Suspension                       `json:"suspended"`
	Blocked   map[reconcile.Toplevel]reconcile.Block     `json:"blocked,omitempty"`
	Failures  map[reconcile.FailureKey]reconcile.Failure `json:"failures,omitempty"`
	Owed      []reconcile.Debt                           `json:"owed,omitempty"`
	Checks    map[string]reconcile.CheckResult           `json:"checks,omitempty"`
	Observed  []reconcile.Observed                       `json:"observed,omitempty"` // what another tool deployed, newest last
	History   []reconcile.Outcome                        `json:"history,omitempty"`  // newest last
	Settings  string                                     `json:"settings_error,omitempty"`
	Warnings  []string                                   `json:"warnings,omitempty"`
}

// Deployment is the one in flight.
type Deployment struct {
	ID       string           `json:"id"`
	From     reconcile.System `json:"from"`
	To       reconcile.System `json:"to"`
	Started  time.Time        `json:"started"`
	Testing  bool             `json:"testing,omitempty"` // of the testing branch: it goes back whatever happens
	Deadline time.Time        `json:"deadline,omitzero"` // to be confirmed by; of the testing branch, when it goes back
	Cause    reconcile.Cause  `json:"cause"`             // of a rollback
	Confirm  *Confirmation    `json:"confirm,omitempty"` // while it waits to be confirmed, or to go back
	Flaw     string           `json:"flaw,omitempty"`    // what is wrong with it, though it is kept: rollback = "never"
	Red      []string         `json:"red,omitempty"`     // what is not healthy now
}

// A Confirmation says how far a system on trial is.
type Confirmation struct {
	Since      time.Time     `json:"since"`                // the end of the activation
	GreenSince time.Time     `json:"green_since,omitzero"` // everything; zero: not now
	Window     time.Duration `json:"window"`               // how long everything must be green, in nanoseconds
	Checks     int           `json:"checks"`               // of the system
	Green      int           `json:"green"`                // of Checks, when they were run last
}

// A Remote is what one said to the last poll.
type Remote struct {
	Name   string           `json:"name"`
	Commit reconcile.Commit `json:"commit,omitempty"` // of the branch; empty: see Why
	Why    string           `json:"why,omitempty"`
	At     time.Time        `json:"at,omitzero"`
	Failed int              `json:"failed_fetches,omitempty"` // of Commit, in a row
}

// StatusOf returns the status that a snapshot shows.
func StatusOf(s reconcile.Snapshot, version string, running bool) Status {
	r, o := s.Record, s.Observation
	st := Status{
		Version: version, Running: running, State: s.State(), Since: s.Entered(), InSync: s.InSync(), Holds: s.Holds,
		Tip: r.Work.Tip.Commit, TipSeen: r.Work.Tip.At, Anchor: r.Anchor, LastPoll: r.Tally.LastPollOK, Good: r.Good, Previous: r.Previous, Back: r.Back, Behind: r.Behind(),
		Slots: o.Slots, Booted: o.Booted, Reboot: s.Reboot, Suspended: r.Suspended, Blocked: r.Blocked,
		Took: r.Tally.Took, Failures: r.Failures, Owed: r.Owed, Observed: r.Observed, History: r.History, Settings: s.Reload.Err, Checks: map[string]reconcile.CheckResult{},
	}
	for name, c := range s.Counters.Checks {
		st.Checks[name] = c.Last
	}
	maps.Copy(st.Checks, reconcile.Follow(r, o))
	if o.Job != nil {
		st.Doing, st.DoingSince = reconcile.KeyOf(o.Job).String(), s.JobSince
		if _, build := o.Job.(reconcile.Build); build {
			st.Build = &s.Progress
		}
	}
	if t, ok := reconcile.TargetOf(r.Work.Steps[reconcile.PurposeBranch]); ok {
		st.Node, st.Roles, st.Warnings = t.Node, t.Roles, t.Warnings
		if t.Hold != "" || t.Pin != "" {
			st.Warnings = append(slices.Clip(st.Warnings), "the registry holds or pins this node, which has no end: no fix reaches it until a commit takes that away")
		}
	}
	if m, ok := reconcile.ManifestOf(r.Work.Steps[reconcile.PurposeBranch]); ok {
		st.Manifest = &m
	}
	if mode := o.Policy.Manifests.Mode; mode != reconcile.ManifestOff {
		st.Manifests = mode
	}
	if f, ok := reconcile.FetchedOf(r.Work.Steps[reconcile.PurposeBranch]); ok {
		st.Subject = f.Revision.Subject
		st.Warnings = append(slices.Clone(f.Revision.Warnings), st.Warnings...)
	}
	for _, a := range r.Work.Remotes {
		st.Remotes = append(st.Remotes, Remote{a.Remote, a.Commit, a.Why, a.At, a.Failed})
	}
	if t, ok := reconcile.TestingOf(r, o); ok {
		st.Testing = &t
	}
	if r.Suspended.Endless() {
		st.Warnings = append(slices.Clip(st.Warnings), "the suspension has no end: no fix reaches this node until somebody resumes")
	}
	if r.Back != "" {
		st.Warnings = append(slices.Clip(st.Warnings), `a person wants the system before this one back ("infra-agent cancel" ends that)`)
	}
	if r.Retiring {
		st.Warnings = append(slices.Clip(st.Warnings), "the next system may be one without infra-agent: a person said so")
	}
	for _, what := range slices.Sorted(maps.Keys(s.Troubles)) {
		st.Warnings = append(slices.Clip(st.Warnings), what+": "+s.Troubles[what])
	}
	st.Deployment = inFlight(s)
	return st
}

func inFlight(s reconcile.Snapshot) *Deployment {
	d, ok := reconcile.DeploymentOf(s.Record.Phase)
	if !ok {
		return nil
	}
	out := &Deployment{ID: d.ID, From: d.Old, To: d.New, Started: d.Started, Testing: d.Testing()}
	switch p := s.Record.Phase.(type) {
	case reconcile.Confirming:
		if s.Observation.Boot != "" && p.Held == "" {
			out.Deadline = s.Observation.Now.Add(p.Until - s.Observation.Uptime)
		}
		if s.Observation.Boot != "" {
			out.Confirm = confirmation(p, s.Record.Work.Watch, s.Observation)
		}
		out.Cause.Why, out.Flaw = p.Held, p.Flaw.Why
	case reconcile.Promoting:
		out.Flaw = p.Flaw.Why
	case reconcile.RollingBack:
		out.Cause = p.Cause
	case reconcile.VerifyingRollback:
		out.Cause = p.Cause
	case reconcile.RebootingBack:
		out.Cause = p.Cause
	case reconcile.Stuck:
		out.Cause = p.Cause
	default: // the other phases have no cause
	}
	for _, red := range s.Record.Work.Watch.Reds() {
		out.Red = append(out.Red, red.Why)
	}
	return out
}

func confirmation(p reconcile.Confirming, w reconcile.Watch, o reconcile.Observation) *Confirmation {
	at := func(uptime time.Duration) time.Time { return o.Now.Add(uptime - o.Uptime) }
	c := Confirmation{Since: at(p.Since), Window: p.Deployment.Confirm.Window, Checks: len(p.Deployment.New.Checks)}
	if w.GreenSince > 0 {
		c.GreenSince = at(w.GreenSince)
	}
	for _, check := range p.Deployment.New.Checks {
		if w.Results[check.Name].OK {
			c.Green++
		}
	}
	return &c
}
