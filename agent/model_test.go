package agent_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/infra-agent/infra-agent/agent/agenttest"
	"github.com/infra-agent/infra-agent/reconcile"
)

// TestModel plays random days of a node: pushes, faults, heals, operators,
// hand-made switches, losses of power, crashes, clocks. After each step the
// invariants of the design hold; they are the functions I1 to I14.
func TestModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rapid.SyncTest(rt, func(rt *rapid.T) {
			w := newWorld(rt)
			w.node.Start()
			defer w.node.Stop()
			rest(rt, w.node)
			for range rapid.IntRange(1, 12).Draw(rt, "steps") {
				a := rapid.SampledFrom(actions).Draw(rt, "action")
				a.do(w)
				// Steps of a trial take half a second; minutes may pass as well.
				time.Sleep(rapid.SampledFrom([]time.Duration{
					0, 700 * time.Millisecond, 1700 * time.Millisecond, 4 * time.Second, 11 * time.Second, time.Minute, 3 * time.Minute,
				}).Draw(rt, "wait"))
				synctest.Wait()
				w.check(a.String())
			}
			w.node.Do(func() {
				w.node.DiskFull, w.node.Offline, w.node.Faulty, w.node.Broken, w.node.NoManifests = false, false, nil, nil, false
			})
			I6(w)
			w.check("rest")
			I14(w)
			I12(w)
		})
	})
}

// An action is something that happens to the node.
type action struct {
	name string
	do   func(*world)
}

func (a action) String() string { return a.name }

var actions = []action{
	{"push", (*world).push},
	{"push", (*world).push},
	{"push", (*world).push},
	{"push unsigned", (*world).pushUnsigned},
	{"push what trips the agent", (*world).pushTripping},
	{"push to the testing branch", (*world).pushTesting},
	{"move the testing branch", (*world).moveTesting},
	{"rewrite the branch", (*world).rewrite},
	{"heal", (*world).heal},
	{"verb", (*world).verb},
	{"verb", (*world).verb},
	{"verb", (*world).verb},
	{"switch by hand", (*world).switchByHand},
	{"cut the power", func(w *world) { w.node.CutPower() }},
	{"kill the agent", func(w *world) { w.node.KillAgent() }},
	{"set the clock back", (*world).setClock},
	{"go offline, or come back", (*world).offline},
	{"a remote goes bad, or is mended", (*world).spoil},
	{"fill the disk, or make room", (*world).fillDisk},
	{"manifests stop, or come", (*world).stopManifests},
	{"a secret comes, or goes", (*world).moveSecret},
	{"a command of the registry breaks, or is mended", (*world).breakCommand},
}

// A world is a node with what the model knows of it.
type world struct {
	*rapid.T
	node    *agenttest.Node
	tip     reconcile.Commit
	commits int
	records []reconcile.Record // all that were written
	proven  map[reconcile.Toplevel]bool
	full    bool // the disk was, once
}

func newWorld(t *rapid.T) *world {
	n := agenttest.New()
	n.Policy.Rollback = rapid.SampledFrom([]reconcile.RollbackMode{"auto", "auto", "hold", "never"}).Draw(t, "mode")
	n.Policy.LastResort = rapid.SampledFrom([]reconcile.LastResort{"reboot", "stuck"}).Draw(t, "last resort")
	n.Policy.Manifests = rapid.SampledFrom([]reconcile.Manifests{
		{}, {}, {Mode: reconcile.ManifestOnly}, {Mode: reconcile.ManifestPrefer, Wait: 2 * time.Minute},
	}).Draw(t, "manifests")
	if rapid.Bool().Draw(t, "mirror") {
		n.Order = append(n.Order, "mirror")
		n.Remotes["mirror"] = "c0"
	}
	return &world{T: t, node: n, tip: "c0", proven: map[reconcile.Toplevel]bool{}}
}

func (w *world) push() { w.commit(w.tip, agenttest.Commit{Target: w.target()}, w.system()) }

// target is what the registry says of the node: mostly nothing.
func (w *world) target() (t reconcile.Target) {
	switch rapid.IntRange(0, 9).Draw(w.T, "target") {
	case 0:
		t = everything
	case 1:
		t = drains
	case 2:
		t.Hold = "a person works on it"
	case 3: // the bubble's days begin at midnight
		t.Windows = []reconcile.Window{{Text: "later", Days: everything.Windows[0].Days, From: time.Hour, To: 2 * time.Hour, Zone: time.UTC}}
	case 4:
		t.Rollback = rapid.SampledFrom([]reconcile.RollbackMode{"auto", "hold", "never"}).Draw(w.T, "mode of the node")
	}
	return t
}

func (w *world) moveSecret() {
	w.node.Do(func() { w.node.Secrets = map[string]bool{"/run/secrets/key": !w.node.Secrets["/run/secrets/key"]} })
}

func (w *world) stopManifests() {
	w.node.Do(func() { w.node.NoManifests = !w.node.NoManifests })
}

func (w *world) breakCommand() {
	broken := rapid.SampledFrom([]string{"drain", "undrain", ""}).Draw(w.T, "command")
	w.node.Do(func() { w.node.Broken = map[string]bool{broken: true} })
}

// pushTesting puts a new commit on top of the branch, where it is only tried.
func (w *world) pushTesting() {
	s := w.system()
	name, c := w.next(w.tip, agenttest.Commit{})
	w.node.PushTesting(name, c, s)
}

// moveTesting merges the testing branch, deletes it, or goes back on it.
func (w *world) moveTesting() {
	w.node.Do(func() {
		switch rapid.IntRange(0, 2).Draw(w.T, "how") {
		case 0:
			w.node.Testing = ""
		case 1:
			w.node.Testing = commitName(rapid.IntRange(0, w.commits).Draw(w.T, "testing"))
		case 2:
			if w.node.Testing != "" {
				w.tip = w.node.Testing
				for _, r := range w.node.Order {
					w.node.Remotes[r] = w.tip
				}
			}
		}
	})
}

// system is one that works, or does not.
func (w *world) system() agenttest.System {
	with := agenttest.System{Settings: rapid.SampledFrom([]string{"", "", "2"}).Draw(w.T, "settings"), Agent: rapid.SampledFrom([]string{agenttest.Agent, agenttest.Agent, agenttest.Other, ""}).Draw(w.T, "agent")}
	own := fmt.Sprintf("settings %d", w.commits) // another system with the same ones would follow as this one does
	switch rapid.IntRange(0, 21).Draw(w.T, "fault") {
	case 1:
		with.Unevaluable = true
	case 2:
		with.Unbuildable = true
	case 3:
		with.BuildTakes = 20 * time.Second
	case 4:
		with.Locked, with.Busy = 1, 1
	case 5:
		with.Exit = 2
	case 6:
		with.Hangs = true
	case 7:
		with.Killed = rapid.IntRange(1, 2).Draw(w.T, "times")
	case 8:
		with.Failing = "db.service"
	case 9:
		with.Red = true
	case 10:
		with.Cut = true
	case 11:
		with.AgentDies = true
	case 12:
		with.Unpromotable = rapid.IntRange(1, 4).Draw(w.T, "times")
	case 13:
		with.Unreturnable = rapid.IntRange(1, 3).Draw(w.T, "times")
	case 14:
		with.Endless = rapid.IntRange(1, 2).Draw(w.T, "times")
	case 17:
		with.Settings, with.Deaf = own, true
	case 18:
		with.Settings, with.Distrust = own, true
	case 19:
		with.Settings, with.Lost = own, true
	case 20:
		with.Settings, with.Strays = own, true
	case 21:
		with.Settings, with.Jams = own, true
	case 15:
		with.Torn = rapid.IntRange(1, 2).Draw(w.T, "times")
	}
	return with
}

func (w *world) pushTripping() {
	w.commit(w.tip, agenttest.Commit{Trips: true}, agenttest.System{Agent: agenttest.Agent})
}

func (w *world) pushUnsigned() {
	w.commit(w.tip, agenttest.Commit{Unsigned: true}, agenttest.System{Agent: agenttest.Agent})
}

// rewrite moves the branch to a commit that does not come after its tip: a new
// one, or one from long ago, which only one remote has.
func (w *world) rewrite() {
	if w.commits > 0 && rapid.Bool().Draw(w.T, "back") {
		w.tip = commitName(rapid.IntRange(0, w.commits).Draw(w.T, "to"))
		w.node.Do(func() { w.node.Remotes["origin"] = w.tip })
		return
	}
	w.commit("c0", agenttest.Commit{}, agenttest.System{Agent: agenttest.Agent})
}

func commitName(n int) reconcile.Commit { return reconcile.Commit(fmt.Sprintf("c%d", n)) }

// commit pushes a commit.
func (w *world) commit(parent reconcile.Commit, c agenttest.Commit, s agenttest.System) {
	w.tip, c = w.next(parent, c)
	w.node.Push(w.tip, c, s)
}

// next names a commit with a new system, or with one that was pushed before.
func (w *world) next(parent reconcile.Commit, c agenttest.Commit) (reconcile.Commit, agenttest.Commit) {
	w.commits++
	c.Parent, c.System = parent, reconcile.Toplevel(fmt.Sprintf("S%d", rapid.IntRange(0, w.commits).Draw(w.T, "system")))
	if c.System == "S0" {
		c.System = "A"
	}
	return commitName(w.commits), c
}

func (w *world) heal() {
	w.node.Do(func() {
		for top, s := range w.node.Systems {
			w.node.Systems[top] = &agenttest.System{Agent: s.Agent, Settings: s.Settings}
		}
	})
}

func (w *world) verb() {
	v := rapid.SampledFrom([]reconcile.Verb{
		reconcile.Sync{},
		reconcile.Suspend{Reason: "x"},
		reconcile.Resume{},
		reconcile.Resume{},
		reconcile.Approve{},
		reconcile.CancelTrial{},
		reconcile.Extend{By: 30 * time.Second},
		reconcile.StepBack{},
		reconcile.Retry{},
		reconcile.Adopt{},
		reconcile.AllowRewind{To: w.tip},
	}).Draw(w.T, "verb")
	if a := w.node.Agent(); a != nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second) // it may just be ending
		defer cancel()
		_ = a.Command(ctx, v) // it may refuse
	}
}

// switchByHand goes to a system that keeps an agent: else nobody is left to test.
func (w *world) switchByHand() {
	var tops []reconcile.Toplevel
	for i := range w.commits + 1 {
		top := w.node.Commits[commitName(i)].System
		if s := w.node.Systems[top]; s.Agent != "" && !s.AgentDies {
			tops = append(tops, top)
		}
	}
	w.node.SwitchByHand(rapid.SampledFrom(tops).Draw(w.T, "to"), rapid.Bool().Draw(w.T, "for good"))
	w.look()
}

func (w *world) setClock() {
	w.node.SetClockBack(rapid.SampledFrom([]time.Duration{time.Second, 10 * time.Second, time.Hour}).Draw(w.T, "by"))
}

func (w *world) offline() { w.node.Do(func() { w.node.Offline = !w.node.Offline }) }

func (w *world) spoil() {
	faults := map[string]agenttest.Fault{}
	for _, name := range w.node.Order {
		faults[name] = rapid.SampledFrom([]agenttest.Fault{"", agenttest.Silent, agenttest.Lying}).Draw(w.T, name)
	}
	w.node.Do(func() { w.node.Faulty = faults })
}

// fillDisk fills the disk, or makes room and waits for the next poll: a rollback
// that went on without the record is written down then.
func (w *world) fillDisk() {
	w.full = true
	w.node.Do(func() { w.node.DiskFull = !w.node.DiskFull })
	if !w.diskFull() {
		time.Sleep(agenttest.PollInterval + time.Second)
	}
}

func (w *world) diskFull() (full bool) {
	w.node.Do(func() { full = w.node.DiskFull })
	return full
}

// look lets the agent see the node as it is, as a watch on its links does.
func (w *world) look() {
	if a := w.node.Agent(); a != nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		a.Look(ctx)
		synctest.Wait()
	}
}
