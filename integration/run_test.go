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
	binary := filepath.Join(t.TempDir(), "system.test")
	build := exec.CommandContext(t.Context(), "go", "test", "-c", "-tags", "integration", "-o", binary, "../agent/system")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	check(t, n.Write("/root/system.test", string(must[[]byte](t)(os.ReadFile(binary))), 0o755))
	out, err := n.Run(t.Context(), "/root/system.test", "-test.v", "-test.run", "TestRun|TestAVariable|TestALook|TestATell")
	if err != nil || strings.Contains(out, "SKIP") || !strings.Contains(out, "/unit") {
		t.Fatalf("%v:\n%s", err, out)
	}
}
