package agent

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"github.com/infra-agent/infra-agent/reconcile"
)

// tell logs what a person reading the journal wants to know of an event, but for what is a
// notice: that is told by its trace in the record, so that nothing of it is lost with the agent.
func (a *Agent) tell(before reconcile.Record, e reconcile.Event, after reconcile.Record) {
	switch e := e.(type) {
	case reconcile.Polled:
		a.tellPoll(before, e.Answer, after)
	case reconcile.Advanced:
		a.tellStep(e)
	case reconcile.AskedOld:
		a.Log.Warn("no remote answers the new settings", "old_settings", e.Old)
	case reconcile.Failed:
		a.Log.Warn("failed", "job", reconcile.KeyOf(e.Job), "gate", e.Gate, "why", e.Why)
	case reconcile.Entered:
		a.tellPhase(e.Phase)
	case reconcile.Activated:
		a.Log.Info("activation ended", "exit", e.Activation.Exit, "failed_units", e.Activation.Failed, "took", e.Took)
	case reconcile.Aborted:
		a.Log.Warn("not started", "gate", e.Gate, "why", e.Why)
	case reconcile.Adopted:
		a.Log.Info("adopted the running system", "system", e.System, "by_hand", e.ByHand)
	case reconcile.Converged:
		a.Log.Info("converged: this revision changes nothing here", "revision", e.Revision.Commit)
	case reconcile.Judged:
		if e.Cause.Reason == "" {
			a.Log.Info("another tool deployed this: it would have been kept", "revision", after.Good.Revision)
		} else {
			a.Log.Warn("another tool deployed this: it would have been rolled back", "revision", after.Good.Revision, "reason", e.Cause.Reason, "why", e.Cause.Why)
		}
	case reconcile.Retried:
		a.Log.Info("forgot what failed")
	case reconcile.Rewound:
		a.Log.Info("rewind allowed", "to", e.To)
	case reconcile.Accepted:
		a.Log.Info("accepted as it is", "running", e.Slots.Running, "profile", e.Slots.Profile, "boot_default", e.Slots.Default)
	case reconcile.Sampled:
		for key, red := range after.Work.Watch.Red {
			if _, told := before.Work.Watch.Red[key]; !told { // each look sees it again, with other ports and times
				a.Log.Warn("not healthy", "what", key, "why", red.Why)
			}
		}
	default: // of no interest to people
	}
}

func (a *Agent) tellPoll(before reconcile.Record, now reconcile.Answer, after reconcile.Record) {
	was := reconcile.Answer{}
	for _, r := range before.Work.Remotes {
		if r.Remote == now.Remote {
			was = r
		}
	}
	switch {
	case now.Why != "" && now.Why != was.Why:
		a.Log.Warn("poll failed", "remote", now.Remote, "why", now.Why)
	case now.Why == "" && was.Why != "":
		a.Log.Info("the remote answers again", "remote", now.Remote)
	}
	if tip := after.Work.Tip; tip.Commit != before.Work.Tip.Commit {
		a.Log.Info("new revision", "revision", tip.Commit, "remote", tip.Remote)
	}
}

func (a *Agent) tellStep(e reconcile.Advanced) {
	if f, _ := reconcile.FetchedOf(e.Step); f.Purpose == reconcile.PurposeFollow {
		if _, shown := e.Step.(reconcile.Evaluated); shown {
			a.Log.Info("it follows its branch: the new agent polled, fetched, verified and evaluated the system on trial")
		}
		return
	}
	switch s := e.Step.(type) {
	case reconcile.Fetched:
		a.Log.Info("verified", "revision", s.Revision.Commit, "subject", s.Revision.Subject, "for", s.Purpose, "took", e.Took)
	case reconcile.Resolved:
		a.Log.Info("registry", "node", s.Target.Node, "roles", s.Target.Roles, "warnings", s.Target.Warnings)
	case reconcile.Evaluated:
		a.Log.Info("evaluated", "system", s.Toplevel, "took", e.Took)
	case reconcile.Built:
		a.Log.Info("built", "system", s.Toplevel, "took", e.Took)
	case reconcile.Ready:
		a.Log.Info("preflight passed", "checks", len(s.Checks))
	}
}

func (a *Agent) tellPhase(p reconcile.Phase) {
	switch p := p.(type) {
	case reconcile.Arming:
		a.Log.Info("deploying", "deployment", p.Deployment.ID, "from", p.Deployment.Old.Toplevel, "to", p.Deployment.New.Toplevel, "revision", p.Deployment.New.Revision)
	case reconcile.Activating:
		a.Log.Info("activating on trial", "attempt", p.Attempt)
	case reconcile.Confirming:
		if p.Held != "" { // that is a notice
			return
		}
		a.Log.Info("confirming", "settle", p.Deployment.Confirm.Settle, "window", p.Deployment.Confirm.Window, "deadline", p.Until-p.Since)
	case reconcile.Promoting:
		a.Log.Info("promoting", "try", p.Try)
	case reconcile.RollingBack:
		a.Log.Warn("rolling back", "reason", p.Cause.Reason, "why", p.Cause.Why, "attempt", p.Attempt)
	case reconcile.VerifyingRollback:
		a.Log.Info("the old system is back, verifying", "reason", p.Cause.Reason, "why", p.Cause.Why)
	case reconcile.RebootingBack:
		a.Log.Error("rebooting into the old system", "why", p.Cause.Why)
	default: // idle and stuck: that is a notice
	}
}

// tellNotices tells of what has happened to the node: the log at once, and who else wants to know.
func (a *Agent) tellNotices(s reconcile.Snapshot) {
	told, news := reconcile.Notices(a.Told, s)
	for _, n := range news {
		a.logNotice(n)
	}
	if a.Told = told; a.Receivers != nil {
		a.Receivers.Tell(told, news)
	}
}

// logNotice logs a notice with all that it says as attributes; the journal makes fields of them.
func (a *Agent) logNotice(n reconcile.Notice) {
	level := map[reconcile.Urgency]slog.Level{
		reconcile.UrgencyInfo: slog.LevelInfo, reconcile.UrgencyWarning: slog.LevelWarn, reconcile.UrgencyError: slog.LevelError,
	}[n.Kind.Urgency()]
	attrs := []slog.Attr{slog.String("event", string(n.Kind))}
	for _, about := range []struct{ key, value string }{
		{"deployment", n.Deployment},
		{"revision", string(n.Revision)},
		{"from", string(n.From)},
		{"to", string(n.To)},
		{"reason", string(n.Reason)},
		{"gate", string(n.Gate)},
		{"why", n.Why},
	} {
		if about.value != "" {
			attrs = append(attrs, slog.String(about.key, about.value))
		}
	}
	a.Log.LogAttrs(context.Background(), level, n.Text(), attrs...)
}

// Summary says in one line what the agent is doing, for systemctl and status.
func Summary(s reconcile.Snapshot) string {
	switch p := s.Record.Phase.(type) {
	case reconcile.Idle:
		return idleSummary(s)
	case reconcile.Arming:
		return "deploying " + short(p.Deployment.New) + ": arming the guard"
	case reconcile.Activating:
		return "deploying " + short(p.Deployment.New) + ": activating on trial"
	case reconcile.Confirming:
		if p.Held != "" {
			return "held on trial: " + p.Held
		}
		doing, left := "confirming", (p.Until - s.Observation.Uptime).Round(time.Second)
		if p.Deployment.Testing() {
			doing = "testing"
		}
		return fmt.Sprintf("%s %s, %v left", doing, short(p.Deployment.New), left)
	case reconcile.Promoting:
		return "promoting " + short(p.Deployment.New)
	case reconcile.RollingBack:
		return "rolling back: " + p.Cause.Why
	case reconcile.VerifyingRollback:
		return "rolled back, verifying: " + p.Cause.Why
	case reconcile.RebootingBack:
		return "rebooting back: " + p.Cause.Why
	case reconcile.Stuck:
		return "stuck: " + p.Cause.Why
	}
	panic(fmt.Sprintf("unknown phase %T", s.Record.Phase))
}

func idleSummary(s reconcile.Snapshot) string {
	if s.Observation.Job != nil {
		what, of := reconcile.KeyOf(s.Observation.Job).Kind, reconcile.KeyOf(s.Observation.Job).Of
		if c, err := reconcile.ParseCommit(of); err == nil {
			of = c.Short()
		} else if of != "" {
			of = filepath.Base(of)
		}
		return strings.TrimSpace(what + " " + of)
	}
	if len(s.Holds) > 0 {
		why, _, _ := strings.Cut(s.Holds[0].Why, "\n")
		return fmt.Sprintf("held (%s): %s", s.Holds[0].Gate, why)
	}
	if s.InSync() {
		return "in sync at " + s.Record.Good.Revision.Short()
	}
	return "idle"
}

func short(sys reconcile.System) string {
	if sys.Revision != "" {
		return sys.Revision.Short()
	}
	return filepath.Base(string(sys.Toplevel))
}
