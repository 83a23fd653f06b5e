//go:build integration

package integration

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/infra-agent/infra-agent/agent/control"
	"github.com/infra-agent/infra-agent/integration/lab"
	"github.com/infra-agent/infra-agent/reconcile"
)

// agentVersion is the version that the fleet's nodes start with.
const agentVersion = "test"

// builtAgent builds the agent under test once for all tests of the process.
var builtAgent = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "infra-agent-lab-")
	if err != nil {
		return "", err
	}
	return lab.BuildAgent(context.Background(), dir, agentVersion)
})

// fleet is a lab whose nodes run the real agent.
type fleet struct {
	*lab.Lab
	t     testing.TB
	nodes *[]*node // that are up
}

func newFleet(t *testing.T) fleet {
	t.Helper()
	t.Parallel()
	agent := must[string](t)(builtAgent())
	return fleet{newLab(t, lab.Options{Agents: map[string]string{agentVersion: agent}}), t, new([]*node)}
}

var addresses = map[string]string{"web1": "10.99.0.11", "web2": "10.99.0.12", "db1": "10.99.0.13"}

// up boots nodes on the fleet's newest commit and waits until each says that it
// is in sync.
func (f fleet) up(names ...string) []*node {
	f.t.Helper()
	nodes := f.boot(names...)
	for _, n := range nodes {
		n.sync()
		n.wait("in sync at the first commit", inSync(f.tip()))
	}
	return nodes
}

// boot boots nodes on the fleet's newest commit.
func (f fleet) boot(names ...string) []*node {
	f.t.Helper()
	var nodes []*node
	var raw []*lab.Node
	for _, name := range names {
		n := must[*lab.Node](f.t)(f.Node(name, addresses[name]))
		nodes, raw = append(nodes, &node{n, f.t}), append(raw, n)
	}
	check(f.t, f.Up(f.t.Context(), f.tip(), raw...))
	*f.nodes = append(*f.nodes, nodes...)
	return nodes
}

func (f fleet) tip() string { return must[string](f.t)(f.Repo().Tip()) }

// push commits files and returns the commit.
func (f fleet) push(message string, files map[string]string) string {
	f.t.Helper()
	commit := must[string](f.t)(f.Repo().Commit(message, files))
	f.sync()
	return commit
}

// sync makes every node poll at once, as a person in a hurry would. A node whose
// agent is down polls when it is back.
func (f fleet) sync() {
	for _, n := range *f.nodes {
		n.sync()
	}
}

// edit replaces text in one file and pushes it.
func (f fleet) edit(path, old, text string) string {
	f.t.Helper()
	before := must[string](f.t)(f.Repo().File(path))
	if !strings.Contains(before, old) {
		f.t.Fatalf("%s has no %q to replace:\n%s", path, old, before)
	}
	return f.push("edit "+path, map[string]string{path: strings.Replace(before, old, text, 1)})
}

// node is a node with the agent on it.
type node struct {
	*lab.Node
	t testing.TB
}

const agentProgram = "/usr/local/lib/infra-agent-lab/" + agentVersion + "/infra-agent"

// agent runs the agent's command line on the node.
func (n *node) agent(args ...string) (string, error) {
	return n.Run(n.t.Context(), append([]string{agentProgram}, args...)...)
}

func (n *node) sync() { _, _ = n.agent("sync") }

// status asks on the agent's socket, as its command does, which would cost the machine more than most of what the tests
// wait for. Of an agent that does not run, the command knows what it wrote down.
func (n *node) status() (control.Status, error) {
	run, err := n.Path("/run/infra-agent")
	if err != nil {
		return control.Status{}, err
	}
	s, err := control.Client{RunDir: run}.Status(n.t.Context())
	if !errors.Is(err, control.ErrDown) {
		return s, err
	}
	out, err := n.agent("status", "--json")
	if err != nil {
		return s, err
	}
	return s, json.Unmarshal([]byte(out), &s)
}

// patience bounds how long a lab test waits; a test that works is far below.
const patience = 90 * time.Second

// wait asks for the status until it is as wanted, and returns it.
func (n *node) wait(what string, want func(control.Status) bool) control.Status {
	n.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		s, err := n.status()
		if err == nil && want(s) {
			return s
		}
		if time.Now().After(deadline) {
			text, _ := json.MarshalIndent(s, "", " ")
			n.t.Fatalf("%s: not %s after %v: %v\n%s", n.Name(), what, patience, err, text)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// toplevel returns where one of the node's links points.
func (n *node) toplevel(link string) string { return must[string](n.t)(n.Toplevel(link)) }

// expect compares the links that say what runs and what will boot.
func (n *node) expect(system string) {
	n.t.Helper()
	for _, link := range []string{lab.CurrentSystem, lab.Profile, lab.BootDefault} {
		if got := n.toplevel(link); got != system {
			n.t.Errorf("%s: %s is %s, want %s", n.Name(), link, got, system)
		}
	}
}

// active returns a unit's ActiveState.
func (n *node) active(unit string) string {
	n.t.Helper()
	return strings.TrimSpace(must[string](n.t)(n.Run(n.t.Context(), "systemctl", "show", "-P", "ActiveState", unit)))
}

func inSync(commit string) func(control.Status) bool {
	return func(s control.Status) bool { return s.InSync && s.Anchor == reconcile.Commit(commit) && s.Running }
}

// ended reports whether the newest deployment ended with the given result for a commit.
func ended(result reconcile.Result, commit string) func(control.Status) bool {
	return func(s control.Status) bool {
		last, ok := last(s)
		return ok && s.Deployment == nil && last.Result == result && last.Revision == reconcile.Commit(commit)
	}
}

func last(s control.Status) (reconcile.Outcome, bool) {
	if len(s.History) == 0 {
		return reconcile.Outcome{}, false
	}
	return s.History[len(s.History)-1], true
}

// held reports whether the gate keeps the node from deploying, for a reason that has the text.
func held(gate reconcile.Gate, text string) func(control.Status) bool {
	return func(s control.Status) bool {
		for _, h := range s.Holds {
			if h.Gate == gate && strings.Contains(h.Why, text) {
				return true
			}
		}
		return false
	}
}

func unit(name, service string) string {
	return fmt.Sprintf("  units.%q = ''\n[Unit]\nDescription=%s\n[Service]\n%s\n[Install]\nWantedBy=multi-user.target\n'';\n", name, name, service)
}

func settingsRefused(s control.Status) bool { return s.Settings != "" }
