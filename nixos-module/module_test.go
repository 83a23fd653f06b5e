//go:build integration

package nixosmodule

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/infra-agent/infra-agent/agent/config"
)

var update = flag.Bool("update", false, "write the golden files")

const remote = `settings.source.remotes = [ { url = "https://git.example.org/fleet.git"; } ];`

// system is an expression: the configuration of a system with the given settings of services.infra-agent, and others.
func system(agent, others string) string {
	return fmt.Sprintf(`(import (dir + /testdata/eval.nix) {
		modules = [
			{ services.infra-agent = { enable = lib.mkDefault true; package = lib.mkDefault "/agent"; }; }
			{ services.infra-agent = { %s }; }
			{ %s }
		];
	}).config`, agent, others)
}

func TestUnit(t *testing.T) {
	const golden = "testdata/infra-agent.service"
	agent := remote + `credentials.forge = "/run/secrets/forge-token"; credentials.mirror = "/run/secrets/mirror-token";`
	var got string
	check(t, evaluate(t, system(agent, "")+`.systemd.units."infra-agent.service".text`, &got))
	got = regexp.MustCompile(`/nix/store/[a-z0-9]{32}-`).ReplaceAllString(got, "/nix/store/HASH-")
	if *update {
		check(t, os.WriteFile(golden, []byte(got), 0o644))
	}
	want, err := os.ReadFile(golden)
	check(t, err)
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("the unit differs from %s; if it should, run the test with -update (-want +got):\n%s", golden, diff)
	}
}

// TestNewSettingsReload: switch-to-configuration reloads a unit of which nothing but X-Reload-Triggers has changed.
func TestNewSettingsReload(t *testing.T) {
	var units [2]string
	for i, window := range []string{"1m", "2m"} {
		agent := remote + `settings.confirm.window = "` + window + `";`
		check(t, evaluate(t, system(agent, "")+`.systemd.units."infra-agent.service".text`, &units[i]))
	}
	a, b := strings.Split(units[0], "\n"), strings.Split(units[1], "\n")
	var differ []string
	for i, line := range a {
		if line != b[i] {
			key, _, _ := strings.Cut(line, "=")
			differ = append(differ, key)
		}
	}
	if want := []string{"X-Reload-Triggers"}; !slices.Equal(differ, want) {
		t.Errorf("with other settings, the unit differs in %v, want %v", differ, want)
	}
}

func TestAssertions(t *testing.T) {
	for _, tc := range []struct{ name, agent, others, want string }{
		{"good", remote, "", ""},
		{"no remote", "", "", "nothing to follow"},
		{"autoUpgrade", remote, "system.autoUpgrade.enable = true;", "system.autoUpgrade.enable would both switch"},
		{"comin", remote, `imports = [ { options.services.comin.enable = lib.mkOption { default = true; }; } ];`, "services.comin.enable would both switch"},
		{"no Nix", remote, "nix.enable = false;", "needs nix.enable"},
		{
			"unknown credential", `credentials.other = "/run/secrets/token"; settings.source.remotes = [ { url = "https://x/y"; token_file = "/run/credentials/infra-agent.service/forge"; } ];`,
			"", "credentials has nothing of that name",
		},
		{
			"unknown key", `credentials.other = "/run/secrets/key"; settings.source.remotes = [ { url = "ssh://git@x/y"; ssh_key_file = "/run/credentials/infra-agent.service/key"; known_hosts_file = "/etc/ssh/ssh_known_hosts"; } ];`,
			"", "has the ssh_key_file /run/credentials/infra-agent.service/key, but services.infra-agent.credentials has nothing of that name",
		},
		{
			"known credential", `credentials.forge = "/run/secrets/token"; settings.source.remotes = [ { url = "https://x/y"; token_file = "/run/credentials/infra-agent.service/forge"; } ];`,
			"", "",
		},
		{"off", "enable = false;", "system.autoUpgrade.enable = true;", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got []string
			check(t, evaluate(t, "map (a: a.message) (builtins.filter (a: !a.assertion) "+system(tc.agent, tc.others)+".assertions)", &got))
			if tc.want == "" && len(got) == 0 {
				return
			}
			if len(got) != 1 || tc.want == "" || !strings.Contains(got[0], tc.want) {
				t.Errorf("failed assertions are %q, want one with %q", got, tc.want)
			}
		})
	}
}

func TestRefusedByType(t *testing.T) {
	for _, tc := range []struct{ agent, want string }{
		{`settings.confirm.window = "2 minutes";`, "services.infra-agent.settings.confirm.window"},
		{`settings.limits.tree_bytes = "1GB";`, "services.infra-agent.settings.limits.tree_bytes"},
		{`settings.rollback = "sometimes";`, "services.infra-agent.settings.rollback"},
		{`settings.source.remotes = [ { url = "https://x/y"; token_file = dir + /embed.go; } ];`, "token_file"},
		{`credentials.forge = dir + /embed.go;`, "services.infra-agent.credentials.forge"},
		{`setting.node = "web1";`, "services.infra-agent.setting"},
		{`checks.web.kind = "ftp";`, "services.infra-agent.settings.checks.web.kind"},
	} {
		var settings any
		err := evaluate(t, system(remote+tc.agent, "")+".services.infra-agent", &settings)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want an error with %q", tc.agent, err, tc.want)
		}
	}
}

// TestFlake evaluates what ../flake.nix offers, with a stand-in for nixpkgs.
func TestFlake(t *testing.T) {
	const self = `(let
		nixpkgs = import (dir + /testdata/nixpkgs.nix);
		self = (import (dir + "/../flake.nix")).outputs { inherit self nixpkgs; };
	in self)`
	var got struct {
		Outputs  []string
		Packages map[string]map[string]string
		Unit     string
		Settings string
	}
	check(t, evaluate(t, `let self = `+self+`; checks = self.checks.x86_64-linux; in {
		outputs = builtins.attrNames self;
		inherit (self) packages;
		unit = checks.unit.text;
		settings = checks.settings.name;
	}`, &got))
	if want := []string{"checks", "devShells", "lib", "nixosModules", "overlays", "packages"}; !slices.Equal(got.Outputs, want) {
		t.Errorf("outputs are %q, want %q", got.Outputs, want)
	}
	for _, system := range []string{"x86_64-linux", "aarch64-linux"} {
		for _, name := range []string{"default", "infra-agent"} {
			if got, want := got.Packages[system][name], "/"+system+"/package.nix"; got != want {
				t.Errorf("packages.%s.%s is %q, want %q", system, name, got, want)
			}
		}
	}
	if want := "ExecStart=/x86_64-linux/package.nix/bin/infra-agent run"; !strings.Contains(got.Unit, want) {
		t.Errorf("the unit of nixosModules.default is\n%s\nwant it with the flake's own package: %q", got.Unit, want)
	}
	if want := "infra-agent-config.toml"; got.Settings != want {
		t.Errorf("the check of the settings builds %q, want %q", got.Settings, want)
	}
}

// TestConfigFile builds the settings file, which the agent of this tree checks.
func TestConfigFile(t *testing.T) {
	agent := remote + fmt.Sprintf("package = %q;", agentPackage(t))
	file := func(agent string) (string, error) {
		return build(t, system(agent, "")+`.environment.etc."infra-agent/config.toml".source`)
	}
	const checks = `
		checks.web = { kind = "http"; target = "http://localhost/health"; status = 204; };
		checks.db = { kind = "exec"; command = [ "/bin/true" "\"quoted\"" ]; };`
	const byHand = `
		[[source.remotes]]
		url = "https://git.example.org/fleet.git"
		[checks.web]
		kind = "http"
		target = "http://localhost/health"
		status = 204
		[checks.db]
		kind = "exec"
		command = ["/bin/true", '"quoted"']`
	text, err := file(agent + checks)
	check(t, err)
	got, err := config.Parse("generated", []byte(text))
	check(t, err)
	want, err := config.Parse("by hand", []byte(byHand))
	check(t, err)
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("the generated file says something else than the same settings written by hand (-want +got):\n%s", diff)
	}

	_, err = file(agent + `settings.confirm.windo = "2m";`)
	for _, want := range []string{"config.toml", "confirm.windo", `"window"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("build with a typo: %v, want an error with %s", err, want)
		}
	}
}

// agentPackage builds the agent as a package has it, and returns the package's folder.
func agentPackage(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(dir, "bin/infra-agent"), "../cmd/infra-agent")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the agent: %v\n%s", err, out)
	}
	return dir
}
