package agent_test

import (
	"fmt"
	"maps"
	"slices"

	"github.com/infra-agent/infra-agent/agent/agenttest"
	"github.com/infra-agent/infra-agent/reconcile"
)

// check fails the test when an invariant does not hold. Each gets the records
// that were written since the last step, and says how it is broken.
func (w *world) check(after string) {
	w.look()
	fresh := w.node.Writes(len(w.records))
	for _, invariant := range []func(*world, []reconcile.Record) string{I1, I2, I3, I4, I5, I7, I8, I9, I10, I11, I13} {
		if broken := invariant(w, fresh); broken != "" {
			w.Fatalf("after %q: %s\n%s", after, broken, condition(w.node))
		}
	}
	w.records = append(w.records, fresh...)
}

// I1: nothing unverified is built or activated. (An operator's rollback may go
// to a system that a person brought here.)
func I1(w *world, _ []reconcile.Record) (broken string) {
	d := w.diary()
	if len(d.Unverified) > 0 {
		return fmt.Sprintf("I1: %v without verification", d.Unverified)
	}
	if w.node.Policy.Manifests.Mode == reconcile.ManifestOnly && d.Evaluated > 0 {
		return fmt.Sprintf("I1: %d evaluations on a node that never evaluates", d.Evaluated)
	}
	for _, trial := range d.Trials {
		if !w.node.VerifiedSystem(trial.Toplevel) && !d.ByHand[trial.Toplevel] {
			return fmt.Sprintf("I1: %s was activated, and no verified commit describes it", trial.Toplevel)
		}
	}
	return ""
}

// I2: at most one activation at a time, the guard's included.
func I2(w *world, _ []reconcile.Record) string {
	if n := w.diary().AtOnce; n > 0 {
		return fmt.Sprintf("I2: %d activations began while another one ran", n)
	}
	return ""
}

// I3: when idle, running = good, or drift is reported. (On a full disk the agent
// cannot adopt what it finds, and says so in the journal.)
func I3(w *world, _ []reconcile.Record) string {
	if s, idle := w.idle(); idle && !w.diskFull() && w.node.Slots().Running != s.Record.Good.Toplevel && !drift(s) {
		return fmt.Sprintf("I3: idle on %s, good is %s, holds are %v", w.node.Slots().Running, s.Record.Good.Toplevel, s.Holds)
	}
	return ""
}

// I4: a blocked toplevel is not activated, but for another commit where the block is one of its
// revision, and for other checks of the registry where it is one of those.
func I4(w *world, _ []reconcile.Record) string {
	for _, trial := range w.diary().Trials {
		d, _ := reconcile.DeploymentOf(trial.Record.Phase)
		why, blocked := trial.Record.Blocked[trial.Toplevel]
		otherChecks := why.Reason == reconcile.ReasonCheck && why.Judged != "" && why.Judged != d.New.Care.Judged
		if blocked && !otherChecks && (!why.OfRevision || why.Revision == d.New.Revision) {
			return fmt.Sprintf("I4: %s was activated, which is blocked: %v", trial.Toplevel, why)
		}
	}
	return ""
}

// I5: a crash does not change the end state. Here: what the agent believes is on
// the disk, so an agent that starts now goes on from the same place. (The end
// states themselves are the table of crash_test.go.)
func I5(w *world, _ []reconcile.Record) string {
	a := w.node.Agent()
	if a == nil || w.diskFull() {
		return ""
	}
	believed, disk := a.Snapshot().Record, w.node.Record()
	for what, pair := range map[string][2]any{
		"phase": {believed.Phase, disk.Phase}, "good": {believed.Good, disk.Good}, "previous": {believed.Previous, disk.Previous},
		"anchor": {believed.Anchor, disk.Anchor}, "suspended": {believed.Suspended.Reason, disk.Suspended.Reason},
		"blocked": {len(believed.Blocked), len(disk.Blocked)}, "losses": {len(believed.Losses), len(disk.Losses)},
	} {
		if fmt.Sprintf("%+v", pair[0]) != fmt.Sprintf("%+v", pair[1]) {
			return fmt.Sprintf("I5: the agent believes of %s %+v, and on disk is %+v", what, pair[0], pair[1])
		}
	}
	return ""
}

// I6: in a quiet world the agent comes to rest, on a system whose units all run;
// but where it alerts that it could not go back, or nobody is left to do so.
func I6(w *world) {
	if hot := w.diary().Hot; hot != "" {
		w.Fatalf("I6: %q again and again, without a pause", hot)
	}
	rest(w.T, w.node)
	if !w.node.Whole() && !alerts(w.node) && !abandoned(w.node) {
		w.Fatalf("I6: at rest half way to another system: %s", condition(w.node))
	}
}

// alerts reports whether the agent says that the running system is not whole: it could
// not go back, or the node's mode keeps a system that is not well.
func alerts(n *agenttest.Node) bool {
	a := n.Agent()
	if a == nil {
		return false
	}
	r := a.Snapshot().Record
	if p, confirming := r.Phase.(reconcile.Confirming); confirming && p.Held != "" {
		return true
	}
	kept := len(r.History) > 0 && r.History[len(r.History)-1].Result == reconcile.ResultPromoted && r.History[len(r.History)-1].Cause.Why != ""
	return r.Tally.RollbackFailed || kept
}

// I7: running, good and booted toplevels have GC roots, and so has what waits for its trial. (A running system that
// is drift has NixOS's own root, /run/current-system.)
func I7(w *world, _ []reconcile.Record) string {
	s, idle := w.idle()
	if !idle || drift(s) || w.diskFull() {
		return ""
	}
	for _, top := range []reconcile.Toplevel{w.node.Slots().Running, s.Record.Good.Toplevel, w.node.Booted()} {
		if !w.node.Rooted(top) {
			return fmt.Sprintf("I7: %s has no root", top)
		}
	}
	for _, step := range s.Record.Work.Steps {
		top := reconcile.Toplevel("")
		switch step := step.(type) {
		case reconcile.Built:
			top = step.Toplevel
		case reconcile.Ready:
			top = step.Toplevel
		default: // it is not built
		}
		if top != "" && !w.node.Rooted(top) {
			return fmt.Sprintf("I7: %s is built, and has no root", top)
		}
	}
	return ""
}

// I8: the boot default is a confirmed or adopted toplevel, drift excepted.
func I8(w *world, fresh []reconcile.Record) string {
	for _, r := range fresh {
		w.proven[r.Good.Toplevel] = true
		if p, promoting := r.Phase.(reconcile.Promoting); promoting {
			if p.Deployment.Rollback == reconcile.RollbackAlways {
				return fmt.Sprintf("I8: %s of the testing branch is promoted", p.Deployment.New.Toplevel)
			}
			w.proven[p.Deployment.New.Toplevel] = true
		}
	}
	if boot := w.node.Slots().Default; !w.proven[boot] && !w.diary().ByHand[boot] {
		return fmt.Sprintf("I8: the boot default is %s, which nobody confirmed", boot)
	}
	return ""
}

// I9: suspended ⇒ no deployment leaves Idle; but for an operator's own rollback.
func I9(w *world, fresh []reconcile.Record) string {
	for _, p := range w.pairs(fresh) {
		d, after := reconcile.DeploymentOf(p[1].Phase)
		_, before := reconcile.DeploymentOf(p[0].Phase)
		if after && !before && !p[0].Suspended.Since.IsZero() && d.New.Toplevel != p[0].Previous.Toplevel {
			return fmt.Sprintf("I9: suspended, and %s is deployed", d.New.Toplevel)
		}
	}
	return ""
}

// I10: never two reboots for one deployment.
func I10(w *world, _ []reconcile.Record) string {
	for id, n := range w.diary().Reboots {
		if n > 1 {
			return fmt.Sprintf("I10: %d reboots for deployment %s", n, id)
		}
	}
	return ""
}

// I11: the anchor only moves to descendants, unless the operator says so.
func I11(w *world, fresh []reconcile.Record) string {
	for _, p := range w.pairs(fresh) {
		from, to := p[0].Anchor, p[1].Anchor
		if from != to && !w.node.Descends(to, from) && p[0].Rewind != to {
			return fmt.Sprintf("I11: the anchor moved from %s to %s", from, to)
		}
	}
	return ""
}

// I14: at rest, each end of a deployment was told, and none that was not. An agent that is killed before it tells leaves
// that to the next one. What was told while nothing could be written may end otherwise after a
// restart: better that than to tell nobody of a node whose disk is full.
func I14(w *world) {
	if odd := untold(w.node); w.node.Agent() != nil && odd != "" && !w.full {
		w.Fatalf("I14: %s", odd)
	}
}

func untold(n *agenttest.Node) string {
	var d agenttest.Diary
	n.Do(func() { d = n.Diary })
	var ends, told []string
	for _, o := range n.Record().History {
		ends = append(ends, string(o.Result)+"/"+o.ID)
	}
	for _, notice := range d.Notices {
		if slices.Contains(reconcile.Results, reconcile.Result(notice.Kind)) && notice.Deployment != "" {
			told = append(told, notice.ID)
		}
	}
	for _, end := range ends {
		if !slices.Contains(told, end) {
			return "nobody was told of " + end
		}
	}
	for _, notice := range told {
		if !slices.Contains(ends, notice) {
			return "it did not happen, and was told: " + notice
		}
	}
	return ""
}

// I13: what was drained is undrained, or that is owed.
func I13(w *world, _ []reconcile.Record) string {
	s, idle := w.idle()
	owed := slices.ContainsFunc(s.Record.Owed, func(d reconcile.Debt) bool { return d.Kind == reconcile.DebtUndrain })
	if idle && w.node.Drained() && !owed {
		return "I13: the node is drained, and nobody owes it an undrain"
	}
	return ""
}

// I12: after every promotion a later push arrives. A system that a person brought here,
// or kept, may be deaf: nobody proved it.
func I12(w *world) {
	slots, a := w.node.Slots(), w.node.Agent()
	if a == nil || approved(w.node, slots.Running) || alerts(w.node) {
		return
	}
	if _, idle := a.Snapshot().Record.Phase.(reconcile.Idle); !idle {
		return
	}
	retires := false // once its debts are paid
	w.node.Do(func() { retires = w.node.Systems[slots.Running].Agent == "" })
	if retires {
		return
	}
	say := func(verbs ...reconcile.Verb) {
		for _, v := range verbs {
			if a := w.node.Agent(); a != nil {
				_ = a.Command(w.Context(), v) // it may refuse
			}
		}
	}
	say(reconcile.Resume{}, reconcile.Retry{}, reconcile.Adopt{})
	w.node.Do(func() { w.node.Testing = "" })
	w.node.Push("last", agenttest.Commit{Parent: a.Snapshot().Record.Anchor, System: "last"}, agenttest.System{Agent: agenttest.Agent})
	for range 3 { // what retry tried may wait for a person, and may have moved the anchor
		say(reconcile.AllowRewind{To: "last"})
		rest(w.T, w.node)
		if alerts(w.node) {
			say(reconcile.CancelTrial{}, reconcile.Resume{})
		}
	}
	if w.node.Slots().Running != "last" {
		w.Fatalf("I12: a push does not arrive: %s", condition(w.node))
	}
}

// pairs returns each fresh record with the one before it.
func (w *world) pairs(fresh []reconcile.Record) [][2]reconcile.Record {
	var all [][2]reconcile.Record
	before := reconcile.New()
	if len(w.records) > 0 {
		before = w.records[len(w.records)-1]
	}
	for _, r := range fresh {
		all = append(all, [2]reconcile.Record{before, r})
		before = r
	}
	return all
}

// idle returns the agent's view when it has nothing to do just now.
func (w *world) idle() (reconcile.Snapshot, bool) {
	a := w.node.Agent()
	if a == nil {
		return reconcile.Snapshot{}, false
	}
	s := a.Snapshot()
	_, idle := s.Record.Phase.(reconcile.Idle)
	return s, idle && s.Observation.Job == nil && s.Record.Work.Tidied
}

func drift(s reconcile.Snapshot) bool {
	for _, h := range s.Holds {
		if h.Gate == reconcile.GateDrift {
			return true
		}
	}
	return false
}

// diary returns a copy of the node's diary that nobody changes.
func (w *world) diary() (d agenttest.Diary) {
	w.node.Do(func() {
		d = w.node.Diary
		d.Reboots, d.ByHand = maps.Clone(d.Reboots), maps.Clone(d.ByHand)
	})
	return d
}
