//go:build integration

package laws_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/infra-agent/infra-agent/agent"
	"github.com/infra-agent/infra-agent/agent/agenttest/laws"
	"github.com/infra-agent/infra-agent/agent/nix"
	"github.com/infra-agent/infra-agent/agent/system"
	"github.com/infra-agent/infra-agent/reconcile"
)

// TestANode runs on a node of the lab, by package integration, which names its systems.
func TestANode(t *testing.T) {
	n := &system.Node{Bus: &system.Bus{}, Apart: true}
	old := n.Slots().Running
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	w := laws.Node{
		Ports: agent.Ports{Links: n, Units: n, Switch: n, Programs: &system.Node{}}, // the agent itself is no program here
		Old:   old, New: systemOf("NEW"), WithAgent: old, Failing: systemOf("FAILING"), Hanging: systemOf("HANGING"), Refused: systemOf("REFUSED"), FailingUnit: "lab-bad.service",
		Record: "/var/lib/infra-agent/state.json", Lock: func() func() { return lock(t) },
		Works: []string{"/bin/true"}, Fails: []string{"/bin/false"}, Secret: reconcile.Secret{Path: secret},
	}
	for _, law := range append(laws.Switch, laws.Programs...) {
		t.Run(law.Name, func(t *testing.T) { law.Holds(t, w) })
	}
}

// lock takes the lock of switch-to-configuration.
func lock(t *testing.T) (unlock func()) {
	f, err := os.OpenFile("/run/nixos/switch-to-configuration.lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err == nil {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX)
	}
	if err != nil {
		t.Fatal(err)
	}
	return func() { f.Close() }
}

func systemOf(name string) reconcile.Toplevel {
	return reconcile.Toplevel(os.Getenv("LAWS_" + name))
}

// TestANodesNix runs there, too.
func TestANodesNix(t *testing.T) {
	good := `derivation { name = "nixos-system-n"; system = "x86_64-linux"; builder = "/bin/sh"; args = [ "-c" "echo built > $out" ]; }`
	for _, law := range laws.Nix {
		t.Run(law.Name, func(t *testing.T) {
			n := &nix.Nix{Roots: filepath.Join(t.TempDir(), "roots")}
			rev := func(number int, toplevel string) reconcile.Revision {
				tree, err := n.Add(t.Context(), flake(t, toplevel), "tree")
				if err != nil {
					t.Fatal(err)
				}
				return reconcile.Revision{Commit: reconcile.Commit(fmt.Sprintf("%040d", number)), Time: time.Unix(1_700_000_000, 0), Tree: tree}
			}
			law.Holds(t, laws.Builder{
				Nix: n, Dir: flake(t, "{ }"), Configuration: "n",
				Good:        rev(1, strings.ReplaceAll(good, "built", t.Name())), // built by no law before it
				Unevaluable: rev(2, "nothing"),
				Unbuildable: rev(3, strings.ReplaceAll(good, "echo built", "exit 1; echo "+t.Name())),
				Rooted: func(path string) bool {
					out, err := exec.CommandContext(t.Context(), "nix-store", "--query", "--roots", path).Output()
					return err == nil && len(out) > 0
				},
			})
		})
	}
}

// flake returns a new directory with a flake, one configuration of which has the toplevel.
func flake(t *testing.T, toplevel string) string {
	dir := filepath.Join(t.TempDir(), "source")
	text := "{ outputs = { self }: { nixosConfigurations.n.config.system.build.toplevel = " + toplevel + "; }; }\n"
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "flake.nix"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}
