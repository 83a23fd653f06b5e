//go:build integration

package integration

import (
	"testing"

	"github.com/infra-agent/infra-agent/agent/manifest"
	"github.com/infra-agent/infra-agent/integration/lab"
)

// manifest makes the newest commit's manifest on the node, as a machine of CI would.
func (n *node) manifest(args ...string) *manifest.Manifest {
	n.t.Helper()
	must[string](n.t)(n.Run(n.t.Context(), "sh", "-c", "cd / && rm -rf /root/ci && git clone --quiet "+lab.GitURL+" /root/ci"))
	out := must[string](n.t)(n.agent(append([]string{"registry", "manifest", "/root/ci"}, args...)...))
	return must[*manifest.Manifest](n.t)(manifest.Parse([]byte(out)))
}

// Whoever evaluates a commit, for whichever node: it is the same system.
func TestManifestSaysWhatNodesEvaluate(t *testing.T) {
	f := newFleet(t)
	nodes := f.up("web1", "db1")
	commit := f.push("every commit is a system of its own", map[string]string{"roles/default.nix": "{ self, ... }: { configurationRevision = self.rev; }\n"})
	for _, n := range nodes {
		n.wait("at the commit", inSync(commit))
	}
	m := nodes[1].manifest("--build")
	if string(m.Commit) != commit {
		t.Errorf("it is of %s, want %s", m.Commit, commit)
	}
	for _, n := range nodes {
		got := m.Nodes[n.Name()]
		if want := n.toplevel(lab.CurrentSystem); string(got.Toplevel) != want || got.System != "x86_64-linux" {
			t.Errorf("%s: the manifest says %+v, the node runs %s", n.Name(), got, want)
		}
		must[string](t)(nodes[1].Run(t.Context(), "nix-store", "--query", "--hash", string(got.Toplevel))) // it was built
	}
}
