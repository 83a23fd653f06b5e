package agenttest

import (
	"time"

	"github.com/infra-agent/infra-agent/reconcile"
)

// Do runs f while nothing else looks at the node or changes it.
func (n *Node) Do(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f()
}

// Push makes c the tip of the branch on every remote.
func (n *Node) Push(c reconcile.Commit, what Commit, s System) {
	n.Do(func() {
		n.commit(c, what, s)
		for _, r := range n.Order {
			n.Remotes[r] = c
		}
	})
}

// PushTesting makes c the tip of the testing branch.
func (n *Node) PushTesting(c reconcile.Commit, what Commit, s System) {
	n.Do(func() {
		n.commit(c, what, s)
		n.Testing = c
	})
}

// SwitchByHand is "nixos-rebuild test" by a person, or "switch" when it is for good.
// While an activation runs it is refused: that one has the switch lock.
func (n *Node) SwitchByHand(t reconcile.Toplevel, forGood bool) {
	n.Do(func() {
		if n.switching > 0 {
			return
		}
		n.Diary.ByHand[t] = true
		n.run(t)
		n.load(t)
		if forGood {
			n.slots.Profile, n.slots.Default = t, t
		}
	})
}

// CutPower cuts the machine's power. It boots again by itself.
func (n *Node) CutPower() { n.Do(func() { n.cut() }) }

// KillAgent ends the agent's process, without a chance to do anything.
func (n *Node) KillAgent() {
	n.Do(func() {
		if n.process != nil {
			n.process.kill()
		}
	})
}

// SetClockBack sets the wall clock back as the boot-time clock sees it.
func (n *Node) SetClockBack(d time.Duration) { n.Do(func() { n.skew += d }) }
