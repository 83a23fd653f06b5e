//go:build integration

package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/infra-agent/infra-agent/integration/lab"
)

// TestProgramsInUnitsBehaveAsChildren runs the tests of package system on a node, where
// they see a real systemd.
func TestProgramsInUnitsBehaveAsChildren(t *testing.T) {
	t.Parallel()
	l := newIdleLab(t)
	n := must[*lab.Node](t)(l.Node("web1", "10.99.0.11"))
	check(t, l.Up(t.Context(), must[string](t)(l.Repo().Tip()), n))
	out, err := onNode(t, n, "../agent/system", nil, "TestRun|TestAVariable|TestALook|TestATell")
	if err != nil || strings.Contains(out, "SKIP") || !strings.Contains(out, "/unit") {
		t.Fatalf("%v:\n%s", err, out)
	}
}

// TestPortsObeyTheirLaws holds the real switch, units, programs and Nix against the laws that
// the simulated ones obey.
func TestPortsObeyTheirLaws(t *testing.T) {
	t.Parallel()
	l := newIdleLab(t)
	n := must[*lab.Node](t)(l.Node("web1", "10.99.0.11"))
	check(t, l.Up(t.Context(), must[string](t)(l.Repo().Tip()), n))
	role := must[string](t)(l.Repo().File("roles/web.nix"))
	env, built := []string{}, map[string]string{}
	for name, settings := range map[string]string{
		"NEW":     `kernel = "6.12.2";`,
		"REFUSED": `kernel = "6.12.3";`,
		"FAILING": unit("lab-bad.service", "Type=oneshot\nExecStart=/bin/false"),
		"HANGING": unit("lab-slow.service", "Type=oneshot\nTimeoutStartSec=infinity\nExecStart=/bin/sleep infinity"),
	} {
		commit := must[string](t)(l.Repo().Commit(name, map[string]string{"roles/web.nix": strings.Replace(role, "{ ... }: {", "{ ... }: {\n"+settings, 1)}))
		built[name] = must[string](t)(n.Build(t.Context(), commit))
		env = append(env, "LAWS_"+name+"="+built[name])
	}
	real := must[string](t)(n.Read("/usr/local/sbin/lab-bootloader"))
	check(t, n.Write("/usr/local/sbin/lab-bootloader.real", real, 0o755))
	check(t, n.Write("/usr/local/sbin/lab-bootloader", "#!/bin/sh\n[ \"$1\" != "+built["REFUSED"]+" ] || exit 1\nexec lab-bootloader.real \"$1\"\n", 0o755))
	out, err := onNode(t, n, "../agent/agenttest/laws", env, "TestANode")
	if err != nil || strings.Count(out, "\n--- PASS: TestANode") != 2 {
		t.Fatalf("%v:\n%s", err, out)
	}
}

// onNode runs tests of a package on the node.
func onNode(t *testing.T, n *lab.Node, pkg string, env []string, tests string) (string, error) {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "tests")
	build := exec.CommandContext(t.Context(), "go", "test", "-c", "-tags", "integration", "-o", binary, pkg)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	check(t, n.Write("/root/tests", string(must[[]byte](t)(os.ReadFile(binary))), 0o755))
	return n.Run(t.Context(), append(append([]string{"env"}, env...), "/root/tests", "-test.v", "-test.run", tests)...)
}
