package reconcile

import (
	"cmp"
	"fmt"
	"strings"
	"time"
)

// A Job is something the agent does that takes time. One job runs at a time.
// Every job is safe to start again after a crash at any point.
// A job is its type with the entry below it, and what agent/jobs.go does for it.
//
//sumtype:decl
type Job interface{ entry(Limits) jobEntry }

// A jobEntry is what is to be known of a job.
type jobEntry struct {
	kind    string        // as it is called in the log, the status and the metrics
	of      string        // what it is about: with the kind, equal for two jobs that do the same thing
	purpose Purpose       // what it prepares a commit for; "": it prepares none
	limit   time.Duration // how long it may take; 0: its phase bounds it
}

// A JobKey names a job: its kind, and what it is about.
type JobKey struct{ Kind, Of string }

func (k JobKey) String() string { return strings.TrimSpace(k.Kind + " " + k.Of) }

// KeyOf is equal for two jobs that do the same thing.
func KeyOf(j Job) JobKey {
	e := j.entry(Limits{})
	return JobKey{e.kind, e.of}
}

// LimitOf returns how long j may take; 0 means that its phase bounds it.
func LimitOf(j Job, p Policy) time.Duration { return j.entry(p.Limits).limit }

// PurposeOf returns what j prepares a commit for; "": it prepares none.
func PurposeOf(j Job) Purpose { return j.entry(Limits{}).purpose }

// The jobs that prepare a system.

// Fetch gets the tip and verifies it; and adds its tree to the store, or keeps its registry.
type Fetch struct {
	Tip      Tip
	Purpose  Purpose
	Anchor   Commit
	Accepted []Commit
	Rewind   Commit
}

func (j Fetch) entry(l Limits) jobEntry {
	return jobEntry{"fetch", string(j.Tip.Commit), j.Purpose, again(l)} // it has ended by itself before, and says more
}

// Resolve asks the registry what the revision wants of this node.
type Resolve struct{ From Fetched }

func (j Resolve) entry(l Limits) jobEntry {
	return jobEntry{"resolve", string(j.From.Revision.Commit), j.From.Purpose, again(l) + l.Evaluate}
}

// Plan has a manifest say which system the revision describes, and asks the registry what it
// wants of this node. Nothing is evaluated.
type Plan struct {
	From     Fetched
	Accepted []Commit
	Pins     Pins
}

func (j Plan) entry(l Limits) jobEntry {
	return jobEntry{"plan", string(j.From.Revision.Commit), j.From.Purpose, again(l) + l.Fetch + UnitGrace}
}

// Audit evaluates what a manifest says.
type Audit struct{ From Evaluated }

func (j Audit) entry(l Limits) jobEntry {
	return jobEntry{"audit", string(j.From.Revision.Commit), j.From.Purpose, again(l) + l.Evaluate}
}

// Evaluate finds the derivation and the toplevel.
type Evaluate struct {
	From Resolved
	Anew bool // for [PurposeFollow]: not from what an earlier evaluation left behind
}

func (j Evaluate) entry(l Limits) jobEntry {
	return jobEntry{"evaluate", string(j.From.Revision.Commit), j.From.Purpose, again(l) + l.Evaluate}
}

// Build builds the toplevel, or copies what a manifest names, and roots it.
type Build struct{ From Evaluated }

func (j Build) entry(l Limits) jobEntry {
	return jobEntry{"build", string(j.From.Revision.Commit), j.From.Purpose, again(l) + l.Build}
}

// Preflight looks for reasons not to activate now.
type Preflight struct {
	From   Built
	Old    Toplevel
	Retire bool // it may be a system without an agent
}

func (j Preflight) entry(l Limits) jobEntry {
	return jobEntry{"preflight", string(j.From.Toplevel), j.From.Purpose, again(l) + limitPreflight + l.Evaluate} // of the registry, under the new host name
}

// Tidy removes what earlier deployments left: guard, units, roots.
type Tidy struct{ Keep []Toplevel }

func (Tidy) entry(Limits) jobEntry {
	return jobEntry{"tidy", "", "", limitTidy}
}

// Undrain runs the commands that are due since the node was drained.
type Undrain struct{ Commands [][]string }

func (j Undrain) entry(Limits) jobEntry {
	return jobEntry{"undrain", "", "", time.Duration(len(j.Commands)) * limitCommand}
}

// The jobs that change the system, or look at one on trial.

// Measure takes the baseline.
type Measure struct{ Deployment Deployment }

func (j Measure) entry(Limits) jobEntry {
	return jobEntry{"measure", j.Deployment.ID, "", limitAsk + lookTakes(j.Deployment.Old.Checks)}
}

// Arm drains the node and starts the guard.
type Arm struct{ Deployment Deployment }

func (j Arm) entry(Limits) jobEntry {
	return jobEntry{"arm", j.Deployment.ID, "", limitAsk + time.Duration(len(j.Deployment.Drain))*limitCommand}
}

// Activate starts the trial unit, or attaches to it, and waits for its end.
type Activate struct {
	Deployment Deployment
	Attempt    int
	Baseline   Baseline
}

func (j Activate) entry(Limits) jobEntry {
	return jobEntry{"activate", attempt(j.Deployment, j.Attempt), "", 0} // its phase ends in a rollback
}

// SetGuard moves the guard's deadline, and starts the guard where it is
// gone. Until is on the boot-time clock; 0 disarms it.
type SetGuard struct {
	Deployment Deployment
	Until      time.Duration
}

func (j SetGuard) entry(Limits) jobEntry {
	return jobEntry{"guard", j.Deployment.ID, "", limitAsk}
}

// Sample looks at units, checks and connectivity once.
type Sample struct {
	Deployment Deployment
	Checks     []Check
	Baseline   Baseline
}

func (j Sample) entry(Limits) jobEntry {
	return jobEntry{"sample", j.Deployment.ID, "", lookTakes(j.Checks)}
}

// Poll has the remotes polled at once. What they answer comes as every poll's answer.
type Poll struct{ Deployment Deployment }

func (j Poll) entry(Limits) jobEntry {
	return jobEntry{"poll", j.Deployment.ID, "", limitAsk}
}

// AskOld has the old system's agent poll with the old settings.
type AskOld struct{ Deployment Deployment }

func (j AskOld) entry(Limits) jobEntry {
	return jobEntry{"ask-old", j.Deployment.ID, "", OldPollWithin + limitAsk + BusWithin}
}

// Promote disarms the guard, sets profile and boot default, and reads them back.
type Promote struct {
	Deployment Deployment
	Try        int
}

func (j Promote) entry(l Limits) jobEntry {
	return jobEntry{"promote", attempt(j.Deployment, j.Try), "", l.Promote}
}

// GoBack stops the trial and activates the old system.
type GoBack struct {
	Deployment Deployment
	Attempt    int
	Until      time.Duration // for the guard; boot-time clock
}

func (j GoBack) entry(l Limits) jobEntry {
	return jobEntry{"goback", attempt(j.Deployment, j.Attempt), "", cmp.Or(j.Deployment.Recovery.Switch, l.Rollback)}
}

// Restore makes a system that runs the default again: profile and boot loader.
type Restore struct{ System Toplevel }

func (j Restore) entry(l Limits) jobEntry {
	return jobEntry{"restore", string(j.System), "", l.Rollback}
}

// Retire ends the agent, which is no part of the running system.
type Retire struct{}

func (Retire) entry(Limits) jobEntry {
	return jobEntry{"retire", "", "", limitTidy}
}

// Reboot reboots into the boot default.
type Reboot struct{ Deployment Deployment }

func (j Reboot) entry(Limits) jobEntry {
	return jobEntry{"reboot", j.Deployment.ID, "", limitReboot}
}

func attempt(d Deployment, n int) string { return fmt.Sprintf("%s-%d", d.ID, n) }
