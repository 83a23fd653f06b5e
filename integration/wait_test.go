//go:build integration

package integration

import (
	"strings"
	"testing"

	"github.com/infra-agent/infra-agent/integration/lab"
)

// --wait stays until it is decided, through restarts of the agent, and exits by how it ended.
func TestVerbsWaitUntilItIsDecided(t *testing.T) {
	f := newFleet(t)
	web := f.up("web1")[0]
	wait := func(verb, code, want string) {
		t.Helper()
		out, err := web.agent(verb, "--wait")
		if err != nil {
			out += err.Error()
		}
		if code != "" != strings.Contains(out, ": exit code "+code+": infra-agent: ") || !strings.Contains(out, want) {
			t.Errorf("%s --wait ended with\n%s\nwant %s, code %q", verb, out, want, code)
		}
	}
	push := func(what string, files map[string]string) string {
		t.Helper()
		must[string](t)(f.Repo().Commit(what, files)) // nobody tells the node of it
		return f.tip()[:8] + " " + what
	}
	role := must[string](t)(f.Repo().File("roles/web.nix"))
	first := web.toplevel(lab.CurrentSystem)

	options := push("another agent unit", map[string]string{"agent-options.toml": "metrics.socketActivation = true\n"}) // which starts it again
	wait("sync", "", "promoted "+options)
	wait("sync", "", "in sync: "+options)
	bad := push("a bad one", map[string]string{"roles/web.nix": strings.Replace(role, "ExecStart=/bin/sleep infinity", "ExecStart=/bin/false", 1)})
	wait("sync", "6", "rolled back "+bad)
	wait("sync", "7", "held by blocked: ")
	wait("retry", "6", "rolled back "+bad)
	wait("rollback", "", "stepped back")
	web.expect(first)
}
