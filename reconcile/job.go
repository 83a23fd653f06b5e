package reconcile

import (
	"fmt"
	"strings"
	"time"
)

// A Job is something the agent does that takes time. One job runs at a time.
// Every job is safe to start again after a crash at any point.
//
//sumtype:decl
type Job interface {
	// Key is equal for two jobs that do the same thing.
	Key() JobKey
	purpose() Purpose // what it prepares a commit for; "": it prepares none
}

// A JobKey names a job: its kind, as it is called in the log, the status and the metrics,
// and what it is about.
type JobKey struct{ Kind, Of string }

func (k JobKey) String() string { return strings.TrimSpace(k.Kind + " " + k.Of) }

// The jobs that prepare a system.
type (
	// Fetch gets the tip, verifies it and adds its tree to the store.
	Fetch struct {
		Tip      Tip
		Purpose  Purpose
		Anchor   Commit
		Accepted []Commit
		Rewind   Commit
	}
	// Resolve asks the registry what the revision wants of this node.
	Resolve struct{ From Fetched }
	// Evaluate finds the derivation and the toplevel.
	Evaluate struct{ From Resolved }
	// Build builds the toplevel and roots it.
	Build struct{ From Evaluated }
	// Preflight looks for reasons not to activate now.
	Preflight struct {
		From Built
		Old  Toplevel
	}
	// Tidy removes what earlier deployments left: guard, units, roots.
	Tidy struct{ Keep []Toplevel }
	// Undrain runs the commands that are due since the node was drained.
	Undrain struct{ Commands [][]string }
)

// The jobs that change the system, or look at one on trial.
type (
	// Measure takes the baseline.
	Measure struct{ Deployment Deployment }
	// Arm drains the node and starts the guard.
	Arm struct{ Deployment Deployment }
	// Activate starts the trial unit, or attaches to it, and waits for its end.
	Activate struct {
		Deployment Deployment
		Attempt    int
		Baseline   Baseline
	}
	// SetGuard moves the guard's deadline, and starts the guard where it is
	// gone. Until is on the boot-time clock; 0 disarms it.
	SetGuard struct {
		Deployment Deployment
		Until      time.Duration
	}
	// Sample looks at units, checks and connectivity once.
	Sample struct {
		Deployment Deployment
		Checks     []Check
		Baseline   Baseline
	}
	// Poll has the remotes polled at once. What they answer comes as every poll's answer.
	Poll struct{ Deployment Deployment }
	// AskOld has the old system's agent poll with the old settings.
	AskOld struct{ Deployment Deployment }
	// Promote disarms the guard, sets profile and boot default, and reads them back.
	Promote struct {
		Deployment Deployment
		Try        int
	}
	// GoBack stops the trial and activates the old system.
	GoBack struct {
		Deployment Deployment
		Attempt    int
		Until      time.Duration // for the guard; boot-time clock
	}
	// Restore makes a system that runs the default again: profile and boot loader.
	Restore struct{ System Toplevel }
	// Reboot reboots into the boot default.
	Reboot struct{ Deployment Deployment }
)

func (j Fetch) Key() JobKey     { return JobKey{"fetch", string(j.Tip.Commit)} }
func (j Resolve) Key() JobKey   { return JobKey{"resolve", string(j.From.Revision.Commit)} }
func (j Evaluate) Key() JobKey  { return JobKey{"evaluate", string(j.From.Revision.Commit)} }
func (j Build) Key() JobKey     { return JobKey{"build", string(j.From.Revision.Commit)} }
func (j Preflight) Key() JobKey { return JobKey{"preflight", string(j.From.Toplevel)} }
func (j Tidy) Key() JobKey      { return JobKey{"tidy", ""} }
func (j Undrain) Key() JobKey   { return JobKey{"undrain", ""} }
func (j Measure) Key() JobKey   { return JobKey{"measure", j.Deployment.ID} }
func (j Arm) Key() JobKey       { return JobKey{"arm", j.Deployment.ID} }
func (j Activate) Key() JobKey  { return JobKey{"activate", attempt(j.Deployment, j.Attempt)} }
func (j SetGuard) Key() JobKey  { return JobKey{"guard", j.Deployment.ID} }
func (j Sample) Key() JobKey    { return JobKey{"sample", j.Deployment.ID} }
func (j Poll) Key() JobKey      { return JobKey{"poll", j.Deployment.ID} }
func (j AskOld) Key() JobKey    { return JobKey{"ask-old", j.Deployment.ID} }
func (j Promote) Key() JobKey   { return JobKey{"promote", attempt(j.Deployment, j.Try)} }
func (j GoBack) Key() JobKey    { return JobKey{"goback", attempt(j.Deployment, j.Attempt)} }
func (j Restore) Key() JobKey   { return JobKey{"restore", string(j.System)} }
func (j Reboot) Key() JobKey    { return JobKey{"reboot", j.Deployment.ID} }

func attempt(d Deployment, n int) string { return fmt.Sprintf("%s-%d", d.ID, n) }

func (j Fetch) purpose() Purpose     { return j.Purpose }
func (j Resolve) purpose() Purpose   { return j.From.Purpose }
func (j Evaluate) purpose() Purpose  { return j.From.Purpose }
func (j Build) purpose() Purpose     { return j.From.Purpose }
func (j Preflight) purpose() Purpose { return j.From.Purpose }
func (Tidy) purpose() Purpose        { return "" }
func (Undrain) purpose() Purpose     { return "" }
func (Measure) purpose() Purpose     { return "" }
func (Arm) purpose() Purpose         { return "" }
func (Activate) purpose() Purpose    { return "" }
func (SetGuard) purpose() Purpose    { return "" }
func (Sample) purpose() Purpose      { return "" }
func (Poll) purpose() Purpose        { return "" }
func (AskOld) purpose() Purpose      { return "" }
func (Promote) purpose() Purpose     { return "" }
func (GoBack) purpose() Purpose      { return "" }
func (Restore) purpose() Purpose     { return "" }
func (Reboot) purpose() Purpose      { return "" }
