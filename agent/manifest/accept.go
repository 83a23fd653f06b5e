package manifest

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/infra-agent/infra-agent/reconcile"
)

// A Verifier says who signed a file, see [signature.Keys].
type Verifier interface {
	VerifyFile(data, sig []byte, namespace string, at time.Time) (signer string, err error)
}

// A Source is the commit for which a manifest is wanted. This node has fetched and verified it.
type Source struct {
	Commit   reconcile.Commit
	Tree     string             // its hash, by git
	Accepted []reconcile.Commit // earlier commits of the branch
}

// Open reads a manifest and its signature. It is of that very source, signed by somebody
// who may, or the error says why not. Nothing of it counts before that.
func Open(data, sig []byte, keys Verifier, of Source) (m *Manifest, signer string, err error) {
	if m, err = Parse(data); err != nil {
		return nil, "", fmt.Errorf("the manifest cannot be read: %w", err)
	}
	if signer, err = keys.VerifyFile(data, sig, Namespace, m.Created); err != nil {
		return nil, "", fmt.Errorf("the manifest's signature: %w", err)
	}
	if err := m.isOf(of); err != nil {
		return nil, "", err
	}
	return m, signer, nil
}

// isOf says why the manifest is of another source; nil: it is not.
func (m *Manifest) isOf(of Source) error {
	switch {
	case m.Commit == of.Commit && m.Tree == of.Tree:
		return nil
	case m.Commit == of.Commit:
		return fmt.Errorf("the manifest is of another tree: it says %s, and the commit has %s", m.Tree, of.Tree)
	case slices.Contains(of.Accepted, m.Commit):
		return fmt.Errorf("the manifest is of %s, which is older than %s (hint: the machine that makes manifests, or a mirror, lags behind)", m.Commit.Short(), of.Commit.Short())
	}
	return fmt.Errorf("the manifest is of another commit: it says %s, and %s is wanted", m.Commit.Short(), of.Commit.Short())
}

// Configurations returns the names of the outputs, sorted.
func (m *Manifest) Configurations() []string {
	var names []string
	for name, n := range m.Nodes {
		names = append(names, cmp.Or(n.Configuration, name))
	}
	slices.Sort(names)
	return names
}

// A Machine is who looks for its system in a manifest.
type Machine struct {
	Node          string // its name in the registry
	Configuration string // name of its output
	System        string // x86_64-linux; "": any will do
}

// For returns the entry of a node, if it is one for this machine.
func (m *Manifest) For(who Machine) (Node, error) {
	n, there := m.Nodes[who.Node]
	if !there {
		return Node{}, fmt.Errorf("the manifest has no node %q (hint: its system may not evaluate, see the run that made the manifest)", who.Node)
	}
	n.Configuration = cmp.Or(n.Configuration, who.Node)
	switch {
	case n.Configuration != who.Configuration:
		return Node{}, fmt.Errorf("the manifest has the configuration %q for node %s, and this one uses %q (hint: nix.configuration and registry.* must be those with which the manifest was made)",
			n.Configuration, who.Node, who.Configuration)
	case who.System != "" && n.System != who.System:
		return Node{}, fmt.Errorf("the manifest says that node %s is %s, and this machine is %s (hint: is this the right node?)", who.Node, n.System, who.System)
	}
	return n, nil
}
