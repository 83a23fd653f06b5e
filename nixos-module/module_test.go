//go:build integration

package nixosmodule

import (
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

// TestNewSettingsReload: switch-to-configuration reloads a unit of which nothing but X-Reload-Triggers has changed, and restarts
// one that changed otherwise.
func TestNewSettingsReload(t *testing.T) {
	lines := func(settings string) []string {
		var unit string
		check(t, evaluate(t, system(remote+settings, "")+`.systemd.units."infra-agent.service".text`, &unit))
		return strings.Split(unit, "\n")
	}
	before := lines("")
	const reload, restart = "X-Reload-Triggers", "X-Restart-Triggers"
	for settings, want := range map[string][]string{
		`settings.confirm.window = "2m";`:              {reload},
		`settings.metrics.listen = "127.0.0.1:9999";`:  {reload, restart},
		`settings.log.level = "debug";`:                {reload, restart},
		`settings.control.group = "wheel";`:            {"Group", reload, restart},
		`settings.run_dir = "/run/fleet";`:             {"RequiresMountsFor", "RuntimeDirectory", reload, restart},
		`settings.state_dir = "/var/lib/fleet/agent";`: {"RequiresMountsFor", "StateDirectory", reload, restart},
	} {
		var differ []string
		for i, line := range lines(settings) {
			if line != before[i] {
				key, _, _ := strings.Cut(line, "=")
				differ = append(differ, key)
			}
		}
		slices.Sort(differ)
		if slices.Sort(want); !slices.Equal(differ, want) {
			t.Errorf("with %s the unit differs in %v, want %v", settings, differ, want)
		}
	}
}

// TestOpenFirewall opens the port that others can reach, and none before somebody says so.
func TestOpenFirewall(t *testing.T) {
	for settings, want := range map[string]string{
		"": "[]", `settings.metrics.listen = ":10119";`: "[]", `metrics.openFirewall = true; settings.metrics.listen = ":10119";`: "[10119]",
		`metrics.openFirewall = true; settings.metrics.listen = "[fd00::1]:9999";`: "[9999]", `metrics.openFirewall = true; settings.metrics.listen = "[::1]:9999";`: "[]",
	} {
		var ports []int
		check(t, evaluate(t, system(remote+settings, "")+`.networking.firewall.allowedTCPPorts`, &ports))
		if got := strings.ReplaceAll(fmt.Sprint(ports), " ", ","); got != want {
			t.Errorf("with %q the open ports are %s, want %s", settings, got, want)
		}
	}
}

func TestAssertions(t *testing.T) {
	for _, tc := range []struct{ name, agent, others, want string }{
		{"good", remote, "", ""},
		{"no remote", "", "", "nothing to follow"},
		{"autoUpgrade", remote, "system.autoUpgrade.enable = true;", "system.autoUpgrade.enable would both switch"},
		{"comin", remote, `imports = [ { options.services.comin.enable = lib.mkOption { default = true; }; } ];`, "services.comin.enable would both switch"},
		{"autoUpgrade, observed", remote + `settings.mode = "observe";`, "system.autoUpgrade.enable = true;", ""},
		{"older NixOS", remote, `system.nixos.release = "24.05";`, "needs NixOS 24.11 or newer, and this is 24.05"},
		{"newer NixOS", remote, `system.nixos.release = "25.11";`, ""},
		{"no switch", remote, "system.switch.enable = false;", "needs system.switch.enable"},
		{"an open port", remote + `metrics.openFirewall = true; settings.metrics.listen = ":10119";`, "", ""},
		{"no port to open", remote + `metrics.openFirewall = true;`, "", `openFirewall opens no port to others, since services.infra-agent.settings.metrics.listen is "127.0.0.1:10119"`},
		{"a socket and no port to open", remote + `metrics.openFirewall = true; settings.metrics.listen = "/run/m.sock";`, "", "openFirewall opens no port"},
		{"a socket of systemd by name", remote + `metrics.socketActivation = true; settings.metrics.listen = "localhost:10119";`, "", `systemd listens on addresses and paths only, and services.infra-agent.settings.metrics.listen is "localhost:10119"`},
		{"a socket of systemd", remote + `metrics.socketActivation = true; settings.metrics.listen = "[::1]:10119";`, "", ""},
		{"no socket of systemd", remote + `metrics.socketActivation = true; settings.metrics.listen = "";`, "", "systemd listens on addresses and paths only"},
		{"no Nix", remote, "nix.enable = false;", "needs nix.enable"},
		{
			"unknown credential", `credentials.other = "/run/secrets/token"; settings.source.remotes = [ { url = "https://x/y"; token_file = "/run/credentials/infra-agent.service/forge"; } ];`,
			"", "credentials has nothing of that name",
		},
		{
			"unknown credential of a host", remote + `settings.source.hosts = [ { host = "h"; token_file = "/run/credentials/infra-agent.service/h"; } ];`,
			"", "token_file of host h is /run/credentials/infra-agent.service/h, but services.infra-agent.credentials has nothing of that name",
		},
		{
			"unknown key", `credentials.other = "/run/secrets/key"; settings.source.remotes = [ { url = "ssh://git@x/y"; ssh_key_file = "/run/credentials/infra-agent.service/key"; known_hosts_file = "/etc/ssh/ssh_known_hosts"; } ];`,
			"", "the ssh_key_file of remote origin is /run/credentials/infra-agent.service/key, but services.infra-agent.credentials has nothing of that name",
		},
		{
			"known credential", `credentials.forge = "/run/secrets/token"; settings.source.remotes = [ { url = "https://x/y"; token_file = "/run/credentials/infra-agent.service/forge"; } ];`,
			"", "",
		},
		{"off", "enable = false;", "system.autoUpgrade.enable = true;", ""},
		{
			"credential that is no file's name", `credentials."a/b" = "/run/secrets/token";` + remote, "",
			"a/b is no name of a file",
		},
		{"relative credential", `credentials.forge = "secrets/token";` + remote, "", "credentials.forge is secrets/token, which is no absolute path"},
		{"credential in the store", `credentials.forge = "${builtins.storeDir}/x-token";` + remote, "", "credentials.forge is in the Nix store"},
		{"token in the store", withFile("token_file", `"${builtins.storeDir}/x-token"`), "", "the token_file of remote origin is in the Nix store"},
		{
			"secret of a webhook in the store", remote + `settings.notify.webhooks = [ { name = "chat"; url = "https://x/{secret}"; secret_file = "${builtins.storeDir}/x-key"; } ];`,
			"", "services.infra-agent: the secret_file of webhook chat is in the Nix store",
		},
		{"known hosts in the store", withFile("known_hosts_file", `"${builtins.storeDir}/x-hosts"`), "", ""},
		{"relative file", withFile("ca_file", `"ca.pem"`), "", "the ca_file of remote origin is ca.pem, which is no absolute path"},
		{"relative file of the trust", remote + `settings.trust.revocation_file = "revoked";`, "", "the revocation_file of trust is revoked"},
		{"unknown copy of keys", remote + `settings.trust.allowed_signers_file = "/run/credentials/infra-agent.service/keys";`, "", "the allowed_signers_file of trust is /run/credentials/infra-agent.service/keys, but"},
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
		{`settings.checks.web.kind = "ftp";`, "services.infra-agent.settings.checks.web.kind"},
		{`settings.checks.web = { kind = "http"; target = "http://x/"; successes = -1; };`, "services.infra-agent.settings.checks.web.successes"},
		{`settings.checks.web = { kind = "http"; target = "http://x/"; status = 20; };`, "integer between 100 and 599"},
		{`settings.limits.tree_entries = 0;`, "positive integer"},
		{`settings.limits.fetch_bytes = "0B";`, "services.infra-agent.settings.limits.fetch_bytes"},
		{`settings.metrics.socket_group = "a group";`, "services.infra-agent.settings.metrics.socket_group"},
		{`settings.control.group = "";`, "services.infra-agent.settings.control.group"},
		{`settings.confirm.window = "5 minutes";`, `is not of type ` + "`duration: numbers with the units h, m, s or ms, such as"},
	} {
		var settings any
		err := evaluate(t, system(remote+tc.agent, "")+".services.infra-agent", &settings)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want an error with %q", tc.agent, err, tc.want)
		}
	}
}

// withFile are settings with a remote that names a file.
func withFile(key, path string) string {
	return fmt.Sprintf(`settings.source.remotes = [ { url = "https://x/y"; %s = %s; } ];`, key, path)
}

// TestLostState: a record that every boot deletes is warned of where NixOS knows of it.
func TestLostState(t *testing.T) {
	const root = `fileSystems."/" = { mountPoint = "/"; fsType = "tmpfs"; };`
	const persisted = root + `fileSystems."/persist" = { mountPoint = "/persist"; fsType = "ext4"; };`
	for _, tc := range []struct{ name, agent, others, want string }{
		{"on disk", remote, `fileSystems."/" = { mountPoint = "/"; fsType = "ext4"; };`, ""},
		{"not known", remote, "", ""},
		{"in memory", remote, root, "/var/lib/infra-agent is on /, a tmpfs, and lost at every boot"},
		{"elsewhere in memory", remote, persisted, "/var/lib/infra-agent is on /, a tmpfs"},
		{"moved", remote + `settings.state_dir = "/persist/infra-agent";`, persisted, ""},
		{"beside", remote + `settings.state_dir = "/persistent/infra-agent";`, persisted, "/persistent/infra-agent is on /, a tmpfs"},
		{"bound", remote, persisted + `fileSystems."/var/lib/infra-agent" = { mountPoint = "/var/lib/infra-agent"; fsType = "none"; };`, ""},
		{"above it bound", remote, persisted + `fileSystems.lib = { mountPoint = "/var/lib"; };`, ""},
		{"bound by a unit", remote, persisted + `systemd.mounts = [ { where = "/var/lib/infra-agent"; type = ""; } ];`, ""},
		{"off", "enable = false;", root, ""},
		{"another tool deploys", remote + `settings.mode = "observe";`, "system.autoUpgrade.enable = true;", "only observes what system.autoUpgrade.enable deploys"},
		{"none deploys", remote + `settings.mode = "observe";`, "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got []string
			check(t, evaluate(t, system(tc.agent, tc.others)+".warnings", &got))
			if tc.want == "" && len(got) == 0 {
				return
			}
			if len(got) != 1 || tc.want == "" || !strings.Contains(got[0], tc.want) {
				t.Errorf("warnings are %q, want one with %q", got, tc.want)
			}
		})
	}
}

// TestDirectoriesElsewhere: systemd makes what is in its own places, and waits for what
// the others are on.
func TestDirectoriesElsewhere(t *testing.T) {
	for _, tc := range []struct{ settings, state, run string }{
		{"", "infra-agent", "infra-agent"},
		{`state_dir = "/var/lib/fleet/agent"; run_dir = "/run/fleet";`, "fleet/agent", "fleet"},
		{`state_dir = "/persist/agent"; run_dir = "/srv/run";`, "", ""},
	} {
		var unit string
		check(t, evaluate(t, system(remote+"settings = {"+tc.settings+"};", "")+`.systemd.units."infra-agent.service".text`, &unit))
		for key, want := range map[string]string{"StateDirectory": tc.state, "RuntimeDirectory": tc.run} {
			if got := strings.Contains(unit, "\n"+key+"="); got != (want != "") || want != "" && !strings.Contains(unit, "\n"+key+"="+want+"\n") {
				t.Errorf("with %s the unit is\n%s\nwant %s %q", tc.settings, unit, key, want)
			}
		}
		if want := "\nRequiresMountsFor=/persist/agent\nRequiresMountsFor=/srv/run\n"; tc.state == "" && !strings.Contains(unit, want) {
			t.Errorf("with %s the unit is\n%s\nwant %s", tc.settings, unit, want)
		}
	}
}

// TestScrapersHaveAGroup: the agent may give its socket to a group only where that is one of the unit's.
func TestScrapersHaveAGroup(t *testing.T) {
	const socket = `settings.metrics = { listen = "/run/infra-agent/metrics.sock"; socket_group = "prometheus"; };`
	for agent, want := range map[string]struct {
		groups []string
		lines  string
	}{
		remote:          {[]string{"infra-agent"}, ""},
		remote + socket: {[]string{"infra-agent", "prometheus"}, "\nSupplementaryGroups=prometheus\nSystemCallArchitectures=native\nSystemCallErrorNumber=EPERM\nSystemCallFilter=@system-service\nSystemCallFilter=~@privileged @resources\nSystemCallFilter=fchownat\n"},
	} {
		var got struct {
			Groups []string
			Unit   string
		}
		check(t, evaluate(t, "let c = "+system(agent, "")+`; in { groups = builtins.attrNames c.users.groups; unit = c.systemd.units."infra-agent.service".text; }`, &got))
		if !slices.Equal(got.Groups, want.groups) || !strings.Contains(got.Unit, want.lines) || want.lines == "" && strings.Contains(got.Unit, "fchownat") {
			t.Errorf("with %s: groups %q, want %q; the unit is\n%s\nwant%s", agent, got.Groups, want.groups, got.Unit, want.lines)
		}
	}
}

// TestJournalctlKnowsTheMessages: it finds the package's catalogue, and a new one is taken up by the switch that brings it.
func TestJournalctlKnowsTheMessages(t *testing.T) {
	var got struct{ Source, Unit string }
	check(t, evaluate(t, "let c = "+system("", "")+`; in {
		source = c.environment.etc."systemd/catalog/infra-agent.catalog".source;
		unit = c.systemd.units."infra-agent-catalog.service".text;
	}`, &got))
	if want := "/agent/lib/systemd/catalog/infra-agent.catalog"; got.Source != want {
		t.Errorf("the catalogue is %q, want %q", got.Source, want)
	}
	for _, line := range []string{"ExecStart=-/usr/bin/journalctl --update-catalog\n", "X-Restart-Triggers=/nix/store/", "WantedBy=multi-user.target"} {
		if !strings.Contains(got.Unit, line) {
			t.Errorf("the unit lacks %q:\n%s", line, got.Unit)
		}
	}
}

// TestFilesInHomesAreHandedOver: the unit does not see them, so systemd gives it a copy.
func TestFilesInHomesAreHandedOver(t *testing.T) {
	const agent = `settings = {
		source.remotes = [
			{ url = "https://x/y"; token_file = "/root/token"; ca_file = "/etc/ca.pem"; }
			{ name = "b"; url = "ssh://git@x/y"; ssh_key_file = "/run/secrets/key"; known_hosts_file = "/home/me/.ssh/known_hosts"; }
		];
		source.hosts = [ { host = "h"; token_file = "/root/modules"; ca_file = "/etc/ca.pem"; } ];
		trust = { policy = "tip"; allowed_signers_file = "/root/signers"; };
		notify = { command = [ "/x" ]; command_secret_file = "/root/pager"; webhooks = [ { url = "https://x/{secret}"; secret_file = "/root/chat"; } ]; };
		state_dir = "/var/lib/x";
	}; credentials.forge = "/run/secrets/forge";`
	var got struct {
		Unit     string
		Settings struct {
			Source struct{ Remotes, Hosts []map[string]string }
			Trust  map[string]string
			Notify struct {
				Command_secret_file string
				Webhooks            []struct{ Secret_file string }
			}
		}
	}
	check(t, evaluate(t, `let
		c = `+system(agent, "")+`;
		files = import (dir + /files.nix) { inherit lib; cfg = c.services.infra-agent; };
	in { unit = c.systemd.units."infra-agent.service".text; settings = { inherit (files.settings) source trust notify; }; }`, &got))
	const copies = "/run/credentials/infra-agent.service/"
	remotes, trust := got.Settings.Source.Remotes, got.Settings.Trust
	for what, at := range map[string]struct{ path, from string }{
		"token_file":           {remotes[0]["token_file"], "/root/token"},
		"token_file of a host": {got.Settings.Source.Hosts[0]["token_file"], "/root/modules"},
		"known_hosts_file":     {remotes[1]["known_hosts_file"], "/home/me/.ssh/known_hosts"},
		"allowed_signers_file": {trust["allowed_signers_file"], "/root/signers"},
		"command_secret_file":  {got.Settings.Notify.Command_secret_file, "/root/pager"},
		"secret_file":          {got.Settings.Notify.Webhooks[0].Secret_file, "/root/chat"},
	} {
		name, ok := strings.CutPrefix(at.path, copies)
		if line := "\nLoadCredential=" + name + ":" + at.from + "\n"; !ok || !strings.Contains(got.Unit, line) {
			t.Errorf("%s is %q, want a copy in %s that the unit loads by%s\n%s", what, at.path, copies, line, got.Unit)
		}
		if line := "\nSetCredential=" + name + ":\\n\n"; !strings.Contains(got.Unit, line) {
			t.Errorf("%s has no default, want%s", what, line)
		}
	}
	if remotes[0]["ca_file"] != "/etc/ca.pem" || remotes[1]["ssh_key_file"] != "/run/secrets/key" || trust["revocation_file"] != "" {
		t.Errorf("settings are %+v, want the files that the unit sees as they are", got.Settings)
	}
}

// TestImportedTwice: a role and common.nix may both import the module, by whichever name.
func TestImportedTwice(t *testing.T) {
	const self = `(let
		nixpkgs = import (dir + /testdata/nixpkgs.nix);
		self = (import (dir + "/../flake.nix")).outputs { inherit self nixpkgs; };
	in self)`
	const of = `let m = ` + self + `.nixosModules; in builtins.attrNames (removeAttrs (lib.evalModules {
		specialArgs.pkgs = import (dir + /testdata/pkgs.nix) { system = "x86_64-linux"; };
		modules = [ (dir + /testdata/nixos.nix) { options.services.other = lib.mkOption { type = lib.types.bool; default = true; }; } %s ];
	}).config.services [ "grafana" "prometheus" ])` // which the stand-in has
	for modules, want := range map[string][]string{
		"m.default m.infra-agent { imports = [ m.default ]; }": {"infra-agent", "other"},
		"m.default { disabledModules = [ m.infra-agent ]; }":   {"other"},
	} {
		var got []string
		if err := evaluate(t, fmt.Sprintf(of, modules), &got); err != nil || !slices.Equal(got, want) {
			t.Errorf("with %s: services %q, %v, want %q", modules, got, err, want)
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
		Modules  []string
		Packages map[string]map[string]string
		Unit     string
		Settings string
		VM       map[string]string
	}
	check(t, evaluate(t, `let self = `+self+`; checks = self.checks.x86_64-linux; in {
		vm = builtins.mapAttrs (_: m: (m { pkgs.git = "/usr"; }).services.infra-agent.credentials.missing) checks.vm.nodes;
		outputs = builtins.attrNames self;
		modules = builtins.attrNames self.nixosModules;
		inherit (self) packages;
		unit = checks.unit.text;
		settings = checks.settings.name;
	}`, &got))
	if want := []string{"checks", "devShells", "formatter", "lib", "nixosModules", "overlays", "packages", "templates"}; !slices.Equal(got.Outputs, want) {
		t.Errorf("outputs are %q, want %q", got.Outputs, want)
	}
	if want := []string{"default", "infra-agent", "monitoring"}; !slices.Equal(got.Modules, want) {
		t.Errorf("modules are %q, want %q", got.Modules, want)
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
	if want := "/run/secrets/none"; got.VM["machine"] != want {
		t.Errorf("the test's machine has the credentials %q, want %q", got.VM, want)
	}
	if want := "infra-agent-config.toml"; got.Settings != want {
		t.Errorf("the check of the settings builds %q, want %q", got.Settings, want)
	}
}

// TestPackageHasTests: of its own version, and on a machine with the very package.
func TestPackageHasTests(t *testing.T) {
	var got struct{ Version, VM string }
	check(t, evaluate(t, `let tests = (import (dir + "/../packaging/source.nix")).passthru.tests; in {
		version = tests.version.package.pname;
		vm = (builtins.head (tests.vm.nodes.machine { pkgs.git = "/usr"; }).imports).services.infra-agent.package.pname;
	}`, &got))
	if got.Version != "infra-agent" || got.VM != "infra-agent" {
		t.Errorf("the tests are of the packages %q and %q, want infra-agent", got.Version, got.VM)
	}
}

// TestConfigFile builds the settings file, which the agent of this tree checks.
func TestConfigFile(t *testing.T) {
	agent := remote + fmt.Sprintf("package = %q;", agentPackage(t))
	file := func(agent string) (string, error) {
		return build(t, system(agent, "")+`.environment.etc."infra-agent/config.toml".source`)
	}
	const checks = `
		settings.checks.web = { kind = "http"; target = "http://localhost/health"; status = 204; };
		settings.checks.db = { kind = "exec"; command = [ "/bin/true" "\"quoted\"" ]; };`
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
