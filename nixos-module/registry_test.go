//go:build integration

package nixosmodule

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/infra-agent/infra-agent/agent/registry"
)

// library evaluates an expression in which agent is the flake's lib.
func library(t *testing.T, expression string, result any) error {
	t.Helper()
	return evaluate(t, "let agent = import (dir + /lib.nix); in "+expression, result)
}

func TestToRegistry(t *testing.T) {
	var got map[string]any
	check(t, library(t, `agent.toRegistry {
		fleet.domain = "example.org";
		roles.dns.checks.up = { kind = "unit"; unit = "adguardhome.service"; };
		nodes = {
			dns-01 = {
				host = "10.0.0.1"; system = "x86_64-linux"; managed = true; tags = [ "infra" ]; vlan = "servers";
				roles = [ "dns" { _file = "/nix/store/x-source/flake.nix#nixosModules.role-monitoring"; imports = [ ]; } (dir + /testdata/keys.nix) (dir + /testdata/roles/web) (dir + /testdata/roles/web/default.nix)
					{ _file = "/nix/store/x-source/flake.nix#modules.nixos.backup"; } { _file = "/nix/store/x-source/flake.nix#modules.nixos.\"role-eu.mail\""; } { _file = "/nix/store/x-source/flake.nix#nixosModules.eu.web"; } ];
				kind = "nixos"; user = { name = "root"; }; vmid = "100"; environment = "lab"; reboot = "window";
				proxy = { port = 3000; extraConfig = "x"; fqdn = "dns"; subdomains = [ "dns" ]; };
			};
			nas = { host = null; proxy = null; managed = false; roles = [ "smb" (dir + /testdata/keys.nix) ]; };
			web = { managed = null; roles = [ "web" ]; role = "the fleet's own, for there is roles too"; };
			bare = { roles = null; kind = "vm"; vmid = 101; };
		};
	}`, &got))
	none := map[string]any{}
	want := map[string]any{
		"schema": 1.0, "fleet": map[string]any{"domain": "example.org"}, "waves": map[string]any{},
		"roles": map[string]any{
			"dns":        map[string]any{"checks": map[string]any{"up": map[string]any{"kind": "unit", "unit": "adguardhome.service"}}},
			"monitoring": none, "keys": none, "web": none, "backup": none, "eu.mail": none, "eu.web": none, // of modules
		},
		"nodes": map[string]any{
			"dns-01": map[string]any{
				"address": "10.0.0.1", "system": "x86_64-linux", "managed": true, "tags": []any{"infra"}, "environment": "lab", "reboot": "window",
				"roles": []any{"dns", "monitoring", "keys", "web", "web", "backup", "eu.mail", "eu.web"}, "proxy": map[string]any{"port": 3000.0, "subdomains": []any{"dns"}},
			},
			"nas":  map[string]any{"managed": false, "roles": []any{}},
			"web":  map[string]any{"roles": []any{"web"}},
			"bare": map[string]any{"roles": []any{}, "kind": "vm", "vmid": 101.0},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("toRegistry (-want +got):\n%s", diff)
	}
	for nodes, want := range map[string]string{
		`a.roles = [ ({ ... }: { }) ]`:      "a role of node a has no name",
		`a.roles = "dns"`:                   `the roles of node a are no list: write roles = [ "dns" ]`,
		`a.roles = { dns = true; }`:         "the roles of node a are no list: write roles = [ … ]",
		`a = { rolse = [ "dns" ]; }`:        "node a has the field rolse, which is like roles: correct it",
		`a = { managd = false; }`:           "has the field managd, which is like managed",
		`a = { windows = [ ]; }`:            "has the field windows, which is like window",
		`a = { hostName = "b"; }`:           "has the field hostName, which is like hostname",
		`a = { holt = true; managed = 1; }`: "has the field holt, which is like hold",
		`a = { pinn = "abcdef1"; }`:         "has the field pinn, which is like pin:",
		`a = { proxy.prot = 80; }`:          "has the field proxy.prot, which is like proxy.port:",
	} {
		err := library(t, "agent.toRegistry { nodes."+strings.TrimSpace(nodes)+"; }", &got)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("toRegistry of %s: %v, want an error with %q", nodes, err, want)
		}
	}
}

func TestFromRegistry(t *testing.T) {
	const fleet = `(agent.fromRegistry {
		registry = {
			roles = { base.implied = true; web.implies = [ "tls" ]; tls = { }; odd.conflicts = [ "web" ]; };
			nodes = {
				web-01 = { system = "aarch64-linux"; roles = [ "web" ]; };
				"build.example.org" = { configuration = "build"; hostname = "builder"; };
				nas.managed = false;
				both.roles = [ "odd" "web" ];
			};
		};
		roles = { web = "web's module"; role-tls = "tls' module"; };
		modules = { name, roles, ... }: [ "more for ${name}: ${toString roles}" ];
		nixosSystem = args: { modules = map (m: if builtins.isFunction m then m { lib = { mkDefault = x: x; mkIf = c: x: if c then x else null; }; } else m) args.modules; node = args.specialArgs.node; };
	})`
	var got map[string]any
	check(t, library(t, "removeAttrs "+fleet+` [ "both" ]`, &got))
	want := map[string]any{
		"web-01": map[string]any{
			"node": map[string]any{"system": "aarch64-linux", "roles": []any{"web"}},
			"modules": []any{
				"tls' module", "web's module",
				map[string]any{
					"_file": "infrastructure.toml, node web-01", "networking": map[string]any{"hostName": "web-01"},
					"nixpkgs": map[string]any{"hostPlatform": "aarch64-linux"},
				},
				"more for web-01: base tls web",
			},
		},
		"build": map[string]any{
			"node": map[string]any{"configuration": "build", "hostname": "builder"},
			"modules": []any{
				map[string]any{
					"_file": "infrastructure.toml, node build.example.org", "networking": map[string]any{"hostName": "builder"},
					"nixpkgs": map[string]any{"hostPlatform": nil},
				},
				"more for build.example.org: base",
			},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("fromRegistry (-want +got):\n%s", diff)
	}
	err := library(t, fleet+".both.node", &got)
	if err == nil || !strings.Contains(err.Error(), "node both has the roles odd and web, which conflict") {
		t.Errorf("roles that conflict: %v, want that they do", err)
	}
}

// TestOneOutputOfTwoNodes: each would be built with the name and the roles of one of them.
func TestOneOutputOfTwoNodes(t *testing.T) {
	var got []string
	err := library(t, `builtins.attrNames (agent.fromRegistry {
		registry.nodes = { a = { }; b.configuration = "web"; web = { }; nas = { managed = false; configuration = "a"; }; };
		nixosSystem = args: args;
	})`, &got)
	if err == nil || !strings.Contains(err.Error(), "the nodes b, web have one output, web: fromRegistry makes one of each node") {
		t.Errorf("fromRegistry: %v, %q, want that two nodes have one output", err, got)
	}
}

// TestRolesOfADirectory: what the conventions take for a role's module is one. A role
// may have no module, but not be unknown.
func TestRolesOfADirectory(t *testing.T) {
	const fleet = `(agent.fromRegistry {
		registry = {
			roles.checked.checks.up = { kind = "unit"; unit = "x.service"; };
			nodes = { a.roles = [ "dns" "web" "checked" ]; b.roles = [ "dnss" ]; c = { }; };
		};
		roles = dir + /testdata/roles;
		nixosSystem = args: builtins.length args.modules;
	})`
	var got map[string]int
	check(t, library(t, "removeAttrs "+fleet+` [ "b" ]`, &got))
	if diff := cmp.Diff(map[string]int{"a": 3, "c": 1}, got); diff != "" {
		t.Errorf("modules, one of them of the identity (-want +got):\n%s", diff)
	}
	err := library(t, fleet+".b", &got)
	if err == nil || !strings.Contains(err.Error(), "node b has the role dnss, which has neither a module nor a table [roles.dnss] in the registry") {
		t.Errorf("an unknown role: %v, want that it is named", err)
	}
}

// TestRolesAsTheAgentSeesThem gives Nix and the agent the same random registries.
func TestRolesAsTheAgentSeesThem(t *testing.T) {
	const registries = 100
	dir, err := os.MkdirTemp(here(t), ".registries-") // Nix sees nothing but this repository
	check(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	random := rand.New(rand.NewPCG(1, 2))
	roles := []string{"a", "b", "c", "d", "e"}
	some := func() string {
		var picked []string
		for _, r := range roles {
			if random.IntN(3) == 0 {
				picked = append(picked, fmt.Sprintf("%q", r))
			}
		}
		random.Shuffle(len(picked), func(i, j int) { picked[i], picked[j] = picked[j], picked[i] })
		return "[" + strings.Join(picked, ", ") + "]"
	}
	want := map[string]map[string][]string{}
	for i := range registries {
		var text strings.Builder
		text.WriteString("schema = 1\n")
		for _, r := range roles[:1+random.IntN(len(roles))] {
			fmt.Fprintf(&text, "[roles.%s]\nimplied = %t\nimplies = %s\n", r, random.IntN(4) == 0, some())
		}
		for n := range 3 {
			fmt.Fprintf(&text, "[nodes.n%d]\nroles = %s\n", n, some())
		}
		name := fmt.Sprintf("r%d.toml", i)
		check(t, os.WriteFile(filepath.Join(dir, name), []byte(text.String()), 0o644))
		f, err := registry.Parse(name, []byte(text.String()))
		check(t, err)
		want[name] = map[string][]string{}
		for _, n := range slices.Sorted(maps.Keys(f.Nodes)) {
			want[name][n] = append([]string{}, f.RolesOf(f.Nodes[n])...)
		}
	}
	var got map[string]map[string][]string
	check(t, library(t, fmt.Sprintf(`builtins.listToAttrs (map (name: {
		inherit name;
		value = let r = builtins.fromTOML (builtins.readFile (dir + "/%s/${name}")); in builtins.mapAttrs (_: agent.rolesOf r) r.nodes;
	}) (builtins.genList (i: "r${toString i}.toml") %d))`, filepath.Base(dir), registries), &got))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("roles (-agent +Nix):\n%s", diff)
	}
}
