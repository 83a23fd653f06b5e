//go:build integration

package integration

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/infra-agent/infra-agent/agent/control"
	"github.com/infra-agent/infra-agent/integration/lab"
	"github.com/infra-agent/infra-agent/reconcile"
)

const (
	readsTOML  = "registry = fromTOML (readFile ./infrastructure.toml);"
	registryIs = "registry = "
)

// moved pushes a fleet whose registry is elsewhere: what fleet.nix takes it from, and
// what the flake's outputs say beside the configurations.
func (f fleet) moved(registry, outputs string, files map[string]string) {
	f.t.Helper()
	text := must[string](f.t)(f.Repo().File("fleet.nix"))
	text = strings.Replace(text, readsTOML, registryIs+registry+";", 1)
	text = strings.Replace(text, "in\n{\n  nixosConfigurations", "in\n{\n  "+outputs+"\n  nixosConfigurations", 1)
	all := map[string]string{"fleet.nix": text}
	for name, text := range files {
		all[name] = text
	}
	must[string](f.t)(f.Repo().Commit("the registry moves", all))
	must[string](f.t)(f.Repo().Delete("without infrastructure.toml", "infrastructure.toml"))
}

// deploys pushes a change of role web and waits until the node runs it.
func (f fleet) deploys(n *node) control.Status {
	f.t.Helper()
	commit := f.edit("roles/web.nix", "VERSION=1", "VERSION=2")
	s := n.wait("promoted", ended(reconcile.ResultPromoted, commit))
	n.expect(string(s.Good.Toplevel))
	return s
}

func roles(s control.Status) string { return strings.Join(names(s.Roles), " ") }

func names[S ~string](all []S) []string {
	var texts []string
	for _, s := range all {
		texts = append(texts, string(s))
	}
	slices.Sort(texts)
	return texts
}

func TestRegistryInNixDeploys(t *testing.T) {
	f := newFleet(t)
	f.moved("import ./nodes.nix", "infraAgent.registry = registry;", map[string]string{"nodes.nix": `{
  schema = 1;
  roles.default.implied = true;
  roles.web = { };
  nodes.web1 = { system = "x86_64-linux"; roles = [ "web" ]; address = null; };
}
`})
	web := f.up("web1")[0]
	if got := roles(f.deploys(web)); got != "default web" {
		t.Errorf("roles %q, want those of the flake's registry", got)
	}
	f.edit("nodes.nix", `roles = [ "web" ];`, `roles = [ "web" ]; managed = false;`)
	web.wait("unmanaged", held(reconcile.GateIdentity, "managed = false"))
}

func TestForeignRegistryDeploys(t *testing.T) {
	f := newFleet(t)
	settings := must[string](t)(f.Repo().File("config.toml"))
	f.moved(`{ nodes = mapAttrs (_: m: { roles = m.profiles; }) (fromTOML (readFile ./machines.toml)).fleet.machines; }`, "", map[string]string{
		"machines.toml": "[fleet.machines.web1]\narch = \"x86_64-linux\"\nprofiles = [\"web\"]\n[fleet.machines.web2]\narch = \"x86_64-linux\"\nprofiles = []\n[fleet.machines.printer]\narch = \"armv7l-linux\"\nprofiles = []\nmanual = true\n",
		"config.toml": settings + `
[registry]
source = "map"
file = "machines.toml"
map = { nodes = "fleet.machines", roles = "profiles", system = "arch", managed_when = "!manual" }
`,
	})
	web := f.up("web1")[0]
	if got := roles(f.deploys(web)); got != "web" {
		t.Errorf("roles %q, want those of the foreign file", got)
	}
	f.edit("machines.toml", "profiles = [\"web\"]\n", "profiles = [\"web\"]\nmanual = true\n")
	web.wait("unmanaged", held(reconcile.GateIdentity, "unmanaged"))
}

func TestPlainFlakeDeploys(t *testing.T) {
	f := newFleet(t)
	f.moved(`{ nodes.web1.roles = [ "web" ]; }`, "", nil)
	web := f.up("web1")[0]
	if got := roles(f.deploys(web)); got != "" {
		t.Errorf("roles %q, want none", got)
	}
	f.edit("fleet.nix", "nodes.web1", "nodes.web7")
	web.wait("unregistered", held(reconcile.GateIdentity, `add nixosConfigurations."web1"`))
}

func TestStaleLockSaysWhichInput(t *testing.T) {
	f := newFleet(t)
	web := f.up("web1")[0]
	f.push("an input that nobody locked", map[string]string{
		"flake.nix":  "{\n  inputs.attic.url = \"path:/nowhere\";\n  outputs = { self, attic }: import ./fleet.nix { inherit self; };\n}\n",
		"flake.lock": `{"nodes": {"root": {"inputs": {}}}, "root": "root", "version": 7}`,
	})
	web.wait("held for the lock", held(reconcile.GateEvaluate, "flake.lock is stale: it lacks input attic"))
	f.push("an input that was locked for another URL", map[string]string{
		"flake.lock": `{"nodes": {"root": {"inputs": {"attic": "attic"}}, "attic": {
  "locked": {"lastModified": 1, "narHash": "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "path": "/elsewhere", "type": "path"},
  "original": {"path": "/elsewhere", "type": "path"}}}, "root": "root", "version": 7}`,
	})
	web.wait("held for the lock", held(reconcile.GateEvaluate, "flake.lock is stale: input attic has another URL in flake.nix"))
}

// TestInputsThatNobodyNeedsAreNotFetched: the private input is locked, and its host is not there.
func TestInputsThatNobodyNeedsAreNotFetched(t *testing.T) {
	f := newFleet(t)
	const flake = `{
  inputs.vault.url = "git+ssh://git@10.99.0.99/vault.git";
  outputs = { self, vault }: import ./fleet.nix { inherit self; } // {
    infraAgent.registry = fromTOML (builtins.readFile ./nodes.toml);
    packages.x86_64-linux.default = vault.secret;
  };
}
`
	const lock = `{"nodes": {"root": {"inputs": {"vault": "vault"}}, "vault": {
  "locked": {"lastModified": 1, "narHash": "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "ref": "refs/heads/main",
    "rev": "0123456789012345678901234567890123456789", "revCount": 1, "type": "git", "url": "ssh://git@10.99.0.99/vault.git"},
  "original": {"type": "git", "url": "ssh://git@10.99.0.99/vault.git"}}}, "root": "root", "version": 7}
`
	f.moved("fromTOML (readFile ./nodes.toml)", "", map[string]string{
		"flake.nix": flake, "flake.lock": lock, "nodes.toml": must[string](t)(f.Repo().File("infrastructure.toml")),
	})
	web := f.up("web1")[0]
	f.deploys(web)
	f.edit("fleet.nix", "config.system.build.toplevel = ", "config.system.build.toplevel = assert self.inputs.vault ? secret; ")
	web.wait("held for the input", held(reconcile.GateEvaluate, "input vault cannot be reached: ssh://git@10.99.0.99/vault.git"))
}

func TestMissingOutputSaysSo(t *testing.T) {
	f := newFleet(t)
	web := f.up("web1")[0]
	f.edit("infrastructure.toml", "roles = [\"web\"]", "configuration = \"webb\"\nroles = [\"web\"]")
	web.wait("held for the output", held(reconcile.GateIdentity, `nixosConfigurations."webb": the flake does not have this output`))
}

func TestASystemForAnotherMachineIsRefused(t *testing.T) {
	f := newFleet(t)
	web := f.up("web1")[0]
	f.edit("double/toplevel.py", `write("system", attrs["system"])`, `write("system", "aarch64-linux")`)
	web.wait("held for the machine", held(reconcile.GateIdentity, "the new system is for aarch64-linux, and this machine is x86_64-linux"))
}

func TestARoleMovesFromOneNodeToAnother(t *testing.T) {
	f := newFleet(t)
	nodes := f.up("web1", "db1")
	web, db := nodes[0], nodes[1]
	registry := must[string](t)(f.Repo().File("infrastructure.toml"))
	registry += "\n[roles.db.checks.service]\nkind = \"unit\"\nunit = \"lab-db.service\"\n"
	registry = strings.Replace(registry, `roles = ["web"]`, `roles = ["web", "db"]`, 1)
	registry = strings.Replace(registry, `roles = ["db"]`, `roles = []`, 1)
	commit := f.push("db moves to web1", map[string]string{"infrastructure.toml": registry})
	for _, n := range nodes {
		n.wait("promoted", ended(reconcile.ResultPromoted, commit))
	}
	if got := web.active("lab-db.service"); got != "active" {
		t.Errorf("web1: the database is %s, want active", got)
	}
	if got := db.active("lab-db.service"); got != "inactive" {
		t.Errorf("db1: the database is %s, want inactive", got)
	}
	on, off := must[control.Status](t)(web.status()), must[control.Status](t)(db.status())
	if roles(on) != "db default web" || roles(off) != "default" {
		t.Errorf("roles of web1 %q and db1 %q, want db on web1 alone", roles(on), roles(off))
	}
	if !slices.ContainsFunc(on.Good.Checks, isCheck("service")) || slices.ContainsFunc(off.Good.Checks, isCheck("service")) {
		t.Errorf("checks of web1 %v and db1 %v, want the role's check on web1 alone", on.Good.Checks, off.Good.Checks)
	}
	if metrics := web.metrics(); !strings.Contains(metrics, `infra_agent_node_role{role="db"} 1`) {
		t.Errorf("the metrics of web1 do not name its new role:\n%s", metrics)
	}
}

func isCheck(name string) func(reconcile.Check) bool {
	return func(c reconcile.Check) bool { return c.Name == name }
}

func TestARemovedNodeStaysUp(t *testing.T) {
	f := newFleet(t)
	web := f.up("web1")[0]
	good := web.toplevel(lab.CurrentSystem)
	registry := must[string](t)(f.Repo().File("infrastructure.toml"))
	before, rest, _ := strings.Cut(registry, "[nodes.web1]")
	_, after, _ := strings.Cut(rest, "[nodes.web2]")
	f.push("web1 is removed", map[string]string{"infrastructure.toml": before + "[nodes.web2]" + after})
	web.wait("unregistered", held(reconcile.GateIdentity, "unregistered"))
	web.expect(good)
	if got := web.active("lab-web.service"); got != "active" {
		t.Errorf("its service is %s, want active", got)
	}
	f.push("it is back", map[string]string{"infrastructure.toml": registry})
	fix := f.edit("roles/web.nix", "VERSION=1", "VERSION=2")
	web.wait("promoted", ended(reconcile.ResultPromoted, fix))
}

func TestSecretsHoldUntilTheyAreThere(t *testing.T) {
	f := newFleet(t)
	web := f.up("web1")[0]
	f.push("a role that needs a secret", map[string]string{
		"infrastructure.toml": strings.Replace(must[string](t)(f.Repo().File("infrastructure.toml")), "description = \"Web servers\"",
			"secrets = [\"/home/me/key\", { path = \"/home/me/token\", owner = \"nobody\", mode = \"0440\" }]", 1),
	})
	commit := f.edit("roles/web.nix", "VERSION=1", "VERSION=2")
	// The agent's own process sees no home, and has no right to enter this one.
	must[string](t)(web.Run(t.Context(), "install", "-d", "-o", "nobody", "-m", "0700", "/home/me"))
	web.wait("held for both", held(reconcile.GateSecrets, "/home/me/key is missing; /home/me/token is missing"))
	check(t, web.Write("/home/me/key", "k", 0o400))
	check(t, web.Write("/home/me/token", "t", 0o440))
	web.sync()
	web.wait("held for the owner", held(reconcile.GateSecrets, "/home/me/token belongs to user root, want nobody"))
	must[string](t)(web.Run(t.Context(), "chown", "nobody", "/home/me/token"))
	web.sync()
	web.wait("promoted", ended(reconcile.ResultPromoted, commit))
}

func TestTheRegistryHoldsAndPins(t *testing.T) {
	f := newFleet(t)
	web := f.up("web1")[0]
	good, first := web.toplevel(lab.CurrentSystem), f.tip()
	f.edit("infrastructure.toml", "[nodes.web2]", "[nodes.web2]\nhold = true\nreason = \"not this one\"")
	registry := must[string](t)(f.Repo().File("infrastructure.toml"))
	f.edit("infrastructure.toml", `address = "10.99.0.11"`, "address = \"10.99.0.11\"\nhold = true\nreason = \"the database moves\"")
	f.edit("roles/web.nix", "VERSION=1", "VERSION=2")
	web.wait("held", held(reconcile.GateHold, "the registry holds this node: the database moves"))
	f.push("pinned instead", map[string]string{
		"infrastructure.toml": strings.Replace(registry, `address = "10.99.0.11"`, "address = \"10.99.0.11\"\npin = \""+first[:12]+"\"\nreason = \"audit\"", 1),
	})
	s := web.wait("pinned", held(reconcile.GateHold, "the registry pins this node to "+first[:12]))
	web.expect(good)
	if len(s.History) != 0 {
		t.Errorf("deployed %v, want nothing", s.History)
	}
	commit := f.push("free", map[string]string{"infrastructure.toml": registry})
	web.wait("promoted", ended(reconcile.ResultPromoted, commit))
}

func TestAWindowThatIsShutHolds(t *testing.T) {
	f := newFleet(t)
	web := f.up("web1")[0]
	good := web.toplevel(lab.CurrentSystem)
	tomorrow := time.Now().UTC().Add(24 * time.Hour).Format("Mon")
	window := fmt.Sprintf("address = \"10.99.0.11\"\nwindow = [\"%s 03:00-04:00 UTC\"]", tomorrow)
	f.edit("infrastructure.toml", `address = "10.99.0.11"`, window)
	f.edit("roles/web.nix", "VERSION=1", "VERSION=2")
	s := web.wait("held for the window", held(reconcile.GateWindow, tomorrow+" 03:00-04:00 UTC"))
	web.expect(good)
	for _, h := range s.Holds {
		if h.Gate == reconcile.GateWindow && (h.Until.UTC().Hour() != 3 || h.Until.Before(time.Now())) {
			t.Errorf("it says that the window opens at %v", h.Until)
		}
	}
	commit := f.edit("infrastructure.toml", tomorrow+" 03:00-04:00 UTC", "Mon..Sun 00:00-24:00 Europe/Berlin")
	web.wait("promoted", ended(reconcile.ResultPromoted, commit))
}

func TestANodeIsDrainedAroundAnActivation(t *testing.T) {
	f := newFleet(t)
	web := f.up("web1")[0]
	note := func(word string) string {
		return fmt.Sprintf("[\"/bin/sh\", \"-c\", \"echo %s >> /var/lib/drained\"]", word)
	}
	f.edit("infrastructure.toml", "description = \"Web servers\"", "drain = "+note("drain")+"\nundrain = "+note("undrain"))
	bad := f.edit("roles/web.nix", "VERSION=1", "VERSION=2\nExecStartPre=/bin/false")
	web.wait("rolled back", ended(reconcile.ResultRolledBack, bad))
	good := f.edit("roles/web.nix", "VERSION=2\nExecStartPre=/bin/false", "VERSION=3")
	web.wait("promoted", ended(reconcile.ResultPromoted, good))
	web.wait("at rest", func(s control.Status) bool { return s.InSync && s.Doing == "" })
	if got := must[string](t)(web.Read("/var/lib/drained")); got != "drain\nundrain\ndrain\nundrain\n" {
		t.Errorf("it ran %q, want drain and undrain around each activation", got)
	}
}

// A repository that is no flake deploys by its file: registry, evaluation, build, and what is told of a mistake.
func TestARepositoryWithoutAFlakeDeploys(t *testing.T) {
	f := newFleet(t)
	f.withoutFlake()
	web := f.up("web1")[0]
	must[string](t)(f.Repo().Delete("without the flake", "flake.nix"))
	if got := roles(f.deploys(web)); got != "default web" {
		t.Errorf("roles %q, want those of the registry", got)
	}
	good := web.toplevel(lab.CurrentSystem)
	role := must[string](t)(f.Repo().File("roles/web.nix"))
	f.push("NIX_PATH", map[string]string{"roles/web.nix": "{ ... }: { etc.x = toString <nixpkgs>; }\n"})
	web.wait("held", held(reconcile.GateEvaluate, "default.nix looks something up in NIX_PATH"))
	web.expect(good)
	fix := f.push("back", map[string]string{"roles/web.nix": role})
	web.wait("in sync", inSync(fix))
}

// withoutFlake gives the repository a file with the systems, beside the flake, and has the agent take that.
func (f fleet) withoutFlake() {
	f.t.Helper()
	settings := must[string](f.t)(f.Repo().File("config.toml"))
	must[string](f.t)(f.Repo().Commit("a file beside the flake", map[string]string{
		"default.nix": "import ./fleet.nix { self = { outPath = ./.; }; }\n",
		"config.toml": settings + "\n[nix]\nfile = \"default.nix\"\nattr = \"nixosConfigurations\"\n",
	}))
}
