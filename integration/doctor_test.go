//go:build integration

package integration

import (
	"errors"
	"strings"
	"testing"

	"github.com/infra-agent/infra-agent/integration/lab"
)

// doctor runs the doctor and returns what it prints and its exit code.
func (n *node) doctor(args ...string) (string, int) {
	n.t.Helper()
	out, err := n.agent(append([]string{"doctor"}, args...)...)
	if failed, ok := errors.AsType[*lab.CommandError](err); ok {
		return out + failed.Stdout, failed.Code
	}
	check(n.t, err)
	return out, 0
}

func TestDoctor(t *testing.T) {
	f := newFleet(t)
	web := f.up("web1")[0]
	says := func(code int, texts ...string) {
		t.Helper()
		out, got := web.doctor()
		for _, text := range texts {
			if !strings.Contains(out, text) {
				t.Errorf("it does not say %q:\n%s", text, out)
			}
		}
		if got != code {
			t.Errorf("exit code %d, want %d:\n%s", got, code, out)
		}
	}
	t.Log("on a node that is well")
	says(0,
		"ok    settings   /etc/infra-agent/config.toml\n", "ok    nix        nix (Nix) 2.", "ok    remote     lab: branch main is at "+f.tip()[:8],
		"ok    registry   node web1, roles default, web, 0 checks\n", "ok    system     /nix/store/", "boot       running system, profile and boot default agree\n",
		"ok    agent      test, idle\n", "warn  nix        CVE-",
	)
	if web.toplevel(lab.CurrentSystem) != web.toplevel(lab.Profile) {
		t.Error("the doctor changed the node")
	}
	t.Log("a secret is missing, and the next commit does not evaluate")
	f.edit("infrastructure.toml", "description = \"Web servers\"", "secrets = [\"/run/key\"]")
	f.edit("roles/web.nix", "VERSION=1", "VERSION=${toString missing}")
	says(1, "FAIL  system     evaluate nixosConfigurations.\"web1\": undefined variable 'missing'", "FAIL  secrets    secrets: /run/key is missing")
	t.Log("the registry has a mistake")
	f.edit("infrastructure.toml", "secrets = ", "secretz = ")
	says(1, "FAIL  registry   infrastructure.toml:", `unknown key (did you mean "secrets"?)`)
	t.Log("the git server is gone")
	check(t, f.StopGit())
	says(1, "FAIL  remote     lab: poll lab: ")
}
