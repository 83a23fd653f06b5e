package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/infra-agent/infra-agent/agent/registry"
)

// TestDiffShowsEveryField changes each field of a registry, alone.
func TestDiffShowsEveryField(t *testing.T) {
	const node, check = "[nodes.a]\n", "[nodes.a.checks.c]\nkind = 'file'\npath = '/x'\n"
	cases := []struct{ field, text, want string }{
		{"fleet.name", "[fleet]\nname = 'x'", `[fleet] name + "x"`},
		{"fleet.domain", "[fleet]\ndomain = 'x'", `[fleet] domain + "x"`},
		{"fleet.branch", "[fleet]\nbranch = 'x'", `[fleet] branch + "x"`},
		{"fleet.subdir", "[fleet]\nsubdir = 'x'", `[fleet] subdir + "x"`},
		{"fleet.naming", "[fleet]\nnaming = 'off'", `[fleet] naming + "off"`},
		{"fleet.vmid", "[fleet]\nvmid = 'off'", `[fleet] vmid + "off"`},
		{"fleet.prefixes", "[fleet]\nprefixes = ['x', 'y']", `[fleet] prefixes + ["x","y"]`},
		{"fleet.aliases", "[fleet]\naliases = {x = 'y'}", `[fleet] aliases + {"x":"y"}`},
		{"fleet.window", "[fleet]\nwindow = ['Sun 02:00-05:00 UTC']", `[fleet] window + ["Sun 02:00-05:00 UTC"]`},
		{"waves.order", "[waves]\norder = ['x']", `[waves] order + ["x"]`},
		{"roles.NAME.description", "[roles.r]\ndescription = 'x'", "[roles.r] changed description; no node has it"},
		{"roles.NAME.conflicts", "[roles.r]\nconflicts = ['x']", "[roles.r] changed conflicts; no node has it"},
		{"nodes.NAME.hostname", node + "hostname = 'x'", "a hostname + x"},
		{"nodes.NAME.aliases", node + "aliases = ['x', 'y']", "a aliases + x, y"},
		{"nodes.NAME.configuration", node + "configuration = 'x'", `a output nixosConfigurations."a" → nixosConfigurations."x"`},
		{"nodes.NAME.kind", node + "kind = 'vm'", "a kind + vm"},
		{"nodes.NAME.managed", node + "managed = true", "a managed + true"},
		{"nodes.NAME.system", node + "system = 'x86_64-linux'", "a system + x86_64-linux"},
		{"nodes.NAME.roles", node + "roles = ['r', 's']", "a roles + r, s"},
		{"nodes.NAME.tags", node + "tags = ['x']", "a tags + x"},
		{"nodes.NAME.proxied", node + "proxied = true", "a proxied + yes"},
		{"nodes.NAME.proxy.port", node + "proxy = {port = 1}", "a proxied + port 1"},
		{"nodes.NAME.proxy.protocol", node + "proxy = {protocol = 'tcp'}", "a proxied + port 0, by tcp"},
		{"nodes.NAME.proxy.websockets", node + "proxy = {websockets = true}", "a proxied + port 0, web sockets"},
		{"nodes.NAME.proxy.ssl", node + "proxy = {ssl = true}", "a proxied + port 0, TLS"},
		{"nodes.NAME.address", node + "address = 'x'", "a address + x"},
		{"nodes.NAME.user", node + "user = 'x'", "a user + x"},
		{"nodes.NAME.vmid", node + "vmid = 100", "a vmid + 100"},
		{"nodes.NAME.vmid_reason", node + "vmid_reason = 'x'", "a vmid reason + x"},
		{"nodes.NAME.ephemeral", node + "ephemeral = true", "a ephemeral + yes"},
		{"nodes.NAME.environment", node + "environment = 'x'", "a environment + x"},
		{"nodes.NAME.wave", node + "wave = 'x'", "a wave + x"},
		{"nodes.NAME.depends_on", node + "depends_on = ['x']", "a depends on + x"},
		{"nodes.NAME.window", node + "window = ['Sun 02:00-05:00 UTC']", "a window + Sun 02:00-05:00 UTC"},
		{"nodes.NAME.branch", node + "branch = 'x'", "a branch + x"},
		{"nodes.NAME.pin", node + "pin = '0123abc'", "a pin + 0123abc"},
		{"nodes.NAME.hold", node + "hold = true", "a hold + no reason given"},
		{"nodes.NAME.reason", node + "hold = true\nreason = 'x'", "a hold + x"},
		{"nodes.NAME.retire", node + "retire = true", "a retire + yes"},
		{"nodes.NAME.reboot", node + "reboot = 'window'", `reboot + "window"`},
		{"nodes.NAME.rollback", node + "rollback = 'hold'", "a rollback + hold"},
		{"nodes.NAME.checks", check, "a check c + file /x"},
		{"nodes.NAME.naming.exempt", node + "naming = {exempt = true, reason = 'x'}", "a naming + exempt: x"},
		{"nodes.NAME.naming.reason", node + "naming = {reason = 'x'}", `a naming + {"reason":"x"}`},
		{"nodes.NAME.meta", node + "meta = {x = 1}", `a meta + {"x":1}`},
		{"check status", "[nodes.a.checks.c]\nkind = 'http'\ntarget = 'http://x'\nstatus = 404", "a check c + http http://x 404"},
		{"check contains", check + "contains = 'x'", `a check c + file /x with "x"`},
		{"check max_age", check + "max_age = '26h'", "a check c + file /x, max_age 26h0m0s"},
		{"check within", check + "within = '1m'", "a check c + file /x, within 1m0s"},
		{"check interval", check + "interval = '1m'", "a check c + file /x, interval 1m0s"},
		{"check timeout", check + "timeout = '1m'", "a check c + file /x, timeout 1m0s"},
		{"check successes", check + "successes = 1", "a check c + file /x, successes 1"},
		{"check required", check + "required = false", "a check c + file /x (not required)"},
	}
	before, err := registry.Parse("before", []byte("schema = 1\n[nodes.a]\n[roles.r]\n"))
	if err != nil {
		t.Fatal(err)
	}
	shown := []string{"nodes.NAME.proxy.subdomains"} // see registry-show.txtar
	for _, c := range cases {
		shown = append(shown, c.field)
		text := "schema = 1\n" + c.text
		for _, table := range []string{"nodes.a", "roles.r"} {
			if !strings.Contains(text, "["+table) {
				text += "\n[" + table + "]"
			}
		}
		after, err := registry.Parse("after", []byte(text))
		if err != nil {
			t.Errorf("%s: %v", c.field, err)
			continue
		}
		var out strings.Builder
		if err := compare(&out, before, after); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(strings.Fields(out.String()), " "); !strings.Contains(got, c.want+" ") {
			t.Errorf("diff of %s: %s, want %s", c.field, got, c.want)
		}
	}
	for _, f := range registry.Fields() {
		if f.Path != "schema" && f.Path != "min_reader" && !strings.HasPrefix(f.Path, "roles.") && !slices.Contains(shown, f.Path) {
			t.Errorf("no case changes %s", f.Path)
		}
	}
}
