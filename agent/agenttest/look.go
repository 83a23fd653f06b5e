package agenttest

import (
	"maps"
	"slices"

	"github.com/infra-agent/infra-agent/agent"
	"github.com/infra-agent/infra-agent/reconcile"
)

// Agent returns the agent that runs; nil: none does.
func (n *Node) Agent() *agent.Agent {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.process == nil || n.process.dead {
		return nil
	}
	return n.process.agent
}

// Told returns what the agent that runs told systemd.
func (n *Node) Told() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.process == nil {
		return nil
	}
	return slices.Clone(n.process.notes)
}

// Slots returns the node's links.
func (n *Node) Slots() reconcile.Slots {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.slots
}

// Whole reports whether the units of the running system run: no switch was left
// half way.
func (n *Node) Whole() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return !n.halfway && n.loaded == n.slots.Running
}

// Drained reports whether a command of the registry drained the node, and none undrained it.
func (n *Node) Drained() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.drained
}

// Booted returns the system that the machine booted.
func (n *Node) Booted() reconcile.Toplevel {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.booted
}

// VerifiedSystem reports whether a commit that was verified describes t.
func (n *Node) VerifiedSystem(t reconcile.Toplevel) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	for c := range n.verified {
		if n.Commits[c].System == t {
			return true
		}
	}
	return false
}

// Rooted reports whether t survives a garbage collection.
func (n *Node) Rooted(t reconcile.Toplevel) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Contains(slices.Collect(maps.Values(n.roots)), string(t)) || n.slots.Profile == t
}

// Record returns what is on the disk.
func (n *Node) Record() reconcile.Record {
	n.mu.Lock()
	defer n.mu.Unlock()
	return decode(n.disk)
}

// WasTold returns what the next agent knows of what was told.
func (n *Node) WasTold() reconcile.Told {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.told
}

// Writes returns the records that were written, but for the first so many.
func (n *Node) Writes(from int) []reconcile.Record {
	n.mu.Lock()
	defer n.mu.Unlock()
	var all []reconcile.Record
	for _, data := range n.writes[from:] {
		all = append(all, decode(data))
	}
	return all
}

// Units returns the agent's transient units that are in memory, sorted.
func (n *Node) Units() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var names []string
	for name := range n.units {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Descends reports whether c comes after of, or is it.
func (n *Node) Descends(c, of reconcile.Commit) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.descends(c, of)
}

func (n *Node) descends(c, of reconcile.Commit) bool {
	for ; c != ""; c = n.Commits[c].Parent {
		if c == of {
			return true
		}
	}
	return of == ""
}
