package convention

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
)

var nodeCases = []ruleCase{
	{rule: "R001", name: "typo", text: "[roles.monitoring]\n[nodes.a]\nroles = ['monitoring', 'monitorin']", want: `4:24 error nodes.a.roles[1]: role "monitorin" is not defined (did you mean "monitoring"?)`},
	{rule: "R001", name: "implied", text: "[roles.a]\nimplies = ['zzz']", want: `3:12 error roles.a.implies[0]: role "zzz" is not defined (add [roles.zzz], or a module roles/zzz.nix)`},
	{rule: "R001", name: "conflict", text: "[roles.dns]\nconflicts = ['adguardd']\n[roles.adguard]", want: `3:14 warn roles.dns.conflicts[0]: role "adguardd" is not defined (did you mean "adguard"?)`},
	{rule: "R001", name: "defined", text: "[roles.dns]\n[nodes.a]\nroles = ['dns']"},
	{rule: "R001", name: "modules", text: "[nodes.a]\nroles = ['dns', 'web']", known: known{roles: "roles/dns.nix roles/web/default.nix"}},
	{rule: "R001", name: "flake", text: "[nodes.a]\nroles = ['dns']", known: known{flake: "nixosModules.role-dns = ./x.nix;"}},
	{rule: "R001", name: "part of a word in the flake", text: "[nodes.a]\nroles = ['dns']", known: known{flake: "role-dns-old xrole-dns"}, want: `3:10 error nodes.a.roles[0]: role "dns" is not defined (add [roles.dns], or a module roles/dns.nix)`},

	{rule: "R002", name: "own", text: "[roles.a]\n[roles.b]\nconflicts = ['a']\n[nodes.n]\nroles = ['a', 'b']", want: "6:1 error nodes.n.roles: the roles a and b conflict (remove one)"},
	{rule: "R002", name: "implied", text: "[roles.a]\nconflicts = ['b']\n[roles.b]\n[roles.c]\nimplies = ['b']\n[nodes.n]\nroles = ['a', 'c']", want: "8:1 error nodes.n.roles: the roles a and b conflict (remove one; a role implies the other, see registry show n)"},
	{rule: "R002", name: "apart", text: "[roles.a]\nconflicts = ['b', 'a']\n[roles.b]\n[nodes.n]\nroles = ['a']\n[nodes.m]\nroles = ['b']"},

	{rule: "R003", name: "x86 template on ARM", text: "[nodes.dns-02]\nsystem = 'aarch64-linux'\nroles = ['proxmox-legacy']", want: `3:1 warn nodes.dns-02.system: role proxmox-legacy is of a template for x86_64-linux (write system = "x86_64-linux", or another template's role)`},
	{rule: "R003", name: "ARM template on x86", text: "[nodes.a]\nsystem = 'x86_64-linux'\nroles = ['proxmox-arm']", want: `3:1 warn nodes.a.system: role proxmox-arm is of a template for aarch64-linux (write system = "aarch64-linux", or another template's role)`},
	{rule: "R003", name: "full name", text: "[nodes.a]\nsystem = 'aarch64-linux'\nroles = ['proxmox-x86-builder']", want: `3:1 warn nodes.a.system: role proxmox-x86-builder is of a template for x86_64-linux (write system = "x86_64-linux", or another template's role)`},
	{rule: "R003", name: "not managed: R005 says it", text: "[nodes.a]\nmanaged = false\nsystem = 'aarch64-linux'\nroles = ['proxmox-legacy']"},
	{rule: "R003", name: "fits", text: "[nodes.a]\nsystem = 'x86_64-linux'\nroles = ['proxmox-optimized', 'dns']\n[nodes.b]\nsystem = 'aarch64-linux'\nroles = ['proxmox-arm']\n[nodes.c]\nroles = ['proxmox-arm']"},

	{rule: "R004", name: "table without a port", text: "[nodes.a.proxy]\nsubdomains = ['x']", want: "2:1 error nodes.a.proxy: the proxy has no port (write port = 8080 into it)"},
	{rule: "R004", name: "bare", text: "[nodes.a]\nproxied = true\nroles = ['r']\n[roles.r.checks.c]\nkind = 'unit'\nunit = 'x.service'", want: "3:1 error nodes.a.proxied: proxied, and neither a proxy table nor a role's check says on which port (write proxy = { port = 8080 } instead)"},
	{rule: "R004", name: "impossible port", text: "[nodes.a.proxy]\nport = 65536", want: "3:1 error nodes.a.proxy.port: there is no port 65536 (choose one from 1 to 65535)"},
	{rule: "R004", name: "false beside the table", text: "[nodes.a]\nproxied = false\nproxy = {port = 80}", want: "3:1 error nodes.a.proxied: proxied = false, and a table proxy (remove it, or the table proxy)"},
	{rule: "R004", name: "false alone", text: "[nodes.a]\nproxied = false"},
	{rule: "R004", name: "port of a role", text: "[nodes.a]\nproxied = true\nroles = ['r']\n[nodes.b]\nproxied = true\nroles = ['s']\n[roles.r.checks.c]\nkind = 'tcp'\ntarget = '{address}:80'\n[roles.s.checks.c]\nkind = 'http'\ntarget = 'http://{address}/'"},
	{rule: "R004", name: "what the reader says", text: "[nodes.a]\nproxy = true"},
	{rule: "R004", name: "port", text: "[nodes.a.proxy]\nport = 80"},

	{rule: "R005", name: "roles", text: "[nodes.a]\nmanaged = false\nroles = ['x']", want: "4:1 error nodes.a.roles: managed = false, and roles, which nothing would deploy (remove the roles, or managed = false)"},
	{rule: "R005", name: "no roles of its own", text: "[roles.default]\nimplied = true\n[nodes.a]\nmanaged = false\nroles = []"},

	{rule: "R006", name: "machine", text: "[nodes.a]\nsystem = 'dell-xps13-9360'", want: `3:1 error nodes.a.system: "dell-xps13-9360" is not a system of Nix (write it like x86_64-linux)`},
	{rule: "R006", name: "unknown CPU", text: "[nodes.a]\nsystem = 'arm64-linux'", want: `3:1 error nodes.a.system: "arm64-linux" is not a system of Nix (write it like x86_64-linux)`},
	{rule: "R006", name: "number", text: "[nodes.a]\nsystem = 64", want: `3:1 error nodes.a.system: want a string, got an integer ()`},
	{rule: "R006", name: "systems", text: "[nodes.a]\nsystem = 'aarch64-darwin'\n[nodes.b]\nsystem = 'riscv64-linux'\n[nodes.c]"},

	{rule: "R007", name: "no output", text: "[nodes.web-01]", known: known{outputs: []string{"web-1", "iso"}}, want: `2:1 error nodes.web-01: the flake has no nixosConfigurations."web-01" (did you mean configuration = "web-1"?)`},
	{rule: "R007", name: "called like the machine", text: "[nodes.a]\nhostname = 'web-01'", known: known{outputs: []string{"web-01"}}, want: `2:1 error nodes.a: the flake has no nixosConfigurations."a" (write configuration = "web-01")`},
	{rule: "R007", name: "configuration", text: "[nodes.a]\nconfiguration = 'zzz'", known: known{outputs: []string{}}, want: `3:1 error nodes.a.configuration: the flake has no nixosConfigurations."zzz" (add the output, or managed = false)`},
	{rule: "R007", name: "output", text: "[nodes.a]\n[nodes.b]\nconfiguration = 'c'\n[nodes.x]\nmanaged = false\n[nodes.t]\nkind = 'template'", known: known{outputs: []string{"a", "c"}}},
	{rule: "R007", name: "not known", text: "[nodes.a]"},

	{rule: "R008", name: "two", text: "[nodes.a]", known: known{outputs: []string{"iso", "a", "installer"}}, want: `1:1 info : the output "installer" has no node (no agent deploys it; add a node if one should)
1:1 info : the output "iso" has no node (no agent deploys it; add a node if one should)`},
	{rule: "R008", name: "node, managed or not", text: "[nodes.a]\n[nodes.b]\nmanaged = false", known: known{outputs: []string{"a", "b"}}},

	{rule: "R009", name: "wave", text: "[waves]\norder = ['canary', 'rest']\n[nodes.a]\nwave = 'cannary'\n[roles.r]\nwave = 'x'", want: `5:1 error nodes.a.wave: there is no wave "cannary" (did you mean "canary"?)
7:1 error roles.r.wave: there is no wave "x" (add it to order of [waves])`},
	{rule: "R009", name: "order", text: "[waves]\norder = ['a', '', 'a']", want: `3:15 error waves.order[1]: a wave has no name (remove it, or name it)
3:19 error waves.order[2]: the wave "a" is there twice (remove one of them)`},
	{rule: "R009", name: "unknown node", text: "[nodes.a]\ndepends_on = ['other', 'db-1']\n[nodes.db-01]", want: `3:15 error nodes.a.depends_on[0]: there is no node "other" (name a node of the registry)
3:24 error nodes.a.depends_on[1]: there is no node "db-1" (did you mean "db-01"?)`},
	{rule: "R009", name: "circle", text: "[nodes.d]\ndepends_on = ['a']\n[nodes.a]\ndepends_on = ['b']\n[nodes.b]\ndepends_on = ['c', 'e']\n[nodes.c]\ndepends_on = ['a']\n[nodes.e]", want: "5:1 error nodes.a.depends_on: it goes in a circle: a → b → c → a (remove one of these dependencies)"},
	{rule: "R009", name: "itself", text: "[nodes.a]\ndepends_on = ['a']", want: "3:1 error nodes.a.depends_on: it goes in a circle: a → a (remove one of these dependencies)"},
	{rule: "R009", name: "diamond", text: "[waves]\norder = ['w']\n[nodes.a]\nwave = 'w'\ndepends_on = ['b', 'c']\n[nodes.b]\ndepends_on = ['d']\n[nodes.c]\ndepends_on = ['d']\n[nodes.d]"},

	{rule: "R010", name: "address", text: "[roles.web.checks.up]\nkind = 'tcp'\ntarget = '{address}:80'\n[nodes.a]\nroles = ['web']\n[nodes.b]\naddress = '10.0.0.1'\nroles = ['web']", want: `5:1 error nodes.a: check up: it needs {address}, which the registry does not give (give the node an address = "…")`},
	{rule: "R010", name: "domain", text: "[nodes.a.checks.page]\nkind = 'http'\ntarget = 'http://{node}.{domain}/'", want: `2:1 error nodes.a.checks.page: check page: it needs {domain}, which the registry does not give (write domain = "…" into [fleet])`},
	{rule: "R010", name: "implied", text: "[roles.default]\nimplied = true\n[roles.default.checks]\nname = {kind = 'dns', target = '{domain}'}\nport = {kind = 'tcp', target = '{address}:1'}\n[nodes.a]", want: `7:1 error nodes.a: check name: it needs {domain}, which the registry does not give (write domain = "…" into [fleet])
7:1 error nodes.a: check port: it needs {address}, which the registry does not give (give the node an address = "…")`},
	{rule: "R010", name: "what the reader says", text: "[roles.web.checks.up]\nkind = 'tcp'\ntarget = '{name}:80'\n[roles.web.checks.down]\nkind = 'tcp'\ntarget = '80'\n[nodes.a]\nroles = ['web']"},
	{rule: "R010", name: "removed, unmanaged, template", text: "[roles.web.checks.up]\nkind = 'tcp'\ntarget = '{address}:80'\n[nodes.a]\nroles = ['web']\nchecks.up = false\n[nodes.b]\nmanaged = false\nroles = ['web']\n[nodes.c]\nkind = 'template'\nroles = ['web']"},

	{rule: "R011", name: "typo", text: "[roles.web.checks.up]\nkind = 'unit'\nunit = 'a.service'\n[nodes.a]\nroles = ['web']\nchecks.upp = false", want: `7:1 warn nodes.a.checks.upp: there is no check "upp" to remove (did you mean "up"?)`},
	{rule: "R011", name: "of a role that the node has not", text: "[roles.web.checks.up]\nkind = 'unit'\nunit = 'a.service'\n[nodes.a]\nchecks.up = false", want: `6:1 warn nodes.a.checks.up: there is no check "up" to remove (remove it)`},
	{rule: "R011", name: "role", text: "[roles.web.checks]\nup = false", want: `3:1 warn roles.web.checks.up: there is no check "up" to remove (remove it)`},
	{rule: "R011", name: "there", text: "[roles.base]\nimplied = true\n[roles.base.checks]\nup = {kind = 'unit', unit = 'a.service'}\nin = {kind = 'unit', unit = 'a.service'}\n[roles.web.checks]\nup = false\n[nodes.a]\nchecks.in = false"},

	{rule: "R012", name: "unknown", text: "[nodes.a]\naddress = 'unknown'\n[nodes.b]\naddress = 'unknown'", want: `3:1 warn nodes.a.address: "unknown" is no address (remove it until the address is known)
5:1 warn nodes.b.address: "unknown" is no address (remove it until the address is known)`},
	{rule: "R012", name: "host name", text: "[nodes.a]\naddress = 'none.example.org'"},
	{rule: "N012", name: "address that is none", text: "[nodes.a]\naddress = 'TBD'\n[nodes.b]\naddress = 'TBD'"},

	{rule: "R013", name: "hold", text: "[nodes.a]\nhold = true", want: `3:1 warn nodes.a.hold: nothing says why (write reason = "why")`},
	{rule: "R013", name: "pin", text: "[nodes.a]\npin = '0123456'\nreason = ' '", want: `3:1 warn nodes.a.pin: nothing says why (write reason = "why")`},
	{rule: "R013", name: "reason", text: "[nodes.a]\npin = '0123456'\nreason = 'x'\n[nodes.b]\nhold = true\nreason = 'y'\n[nodes.c]\nhold = false"},

	{rule: "R014", name: "shared", text: "[nodes.a]\nconfiguration = 'web'\n[nodes.b]\nconfiguration = 'web'\n[nodes.web]", want: `5:1 warn nodes.b.configuration: nixosConfigurations."web" is the output of node a too (give each its own, or none: then it is the node's name)
6:1 warn nodes.web: nixosConfigurations."web" is the output of node a too (give each its own, or none: then it is the node's name)`},
	{rule: "R014", name: "of unmanaged nodes", text: "[nodes.a]\nconfiguration = 'web'\n[nodes.web]\nmanaged = false\n[nodes.b]"},
}

// checkout has the files that a case knows of.
func checkout(k known) fs.FS {
	files := fstest.MapFS{}
	for _, path := range strings.Fields(k.roles) {
		files[path] = &fstest.MapFile{}
	}
	if k.flake != "" {
		files["flake.nix"] = &fstest.MapFile{Data: []byte(k.flake)}
	}
	return files
}

// TestRulesSpeakForTheReader: where a rule and the reader refuse the same value, the
// rule's words stay; what the reader alone refuses stays too.
func TestRulesSpeakForTheReader(t *testing.T) {
	got := findings(t, "[fleet]\nnaming = 'off'\n[nodes.\"web:01\"]\nvmid = true\nsystem = 'x'\nrols = []\n[nodes.dns-01]\nkind = 'lxc'", known{})
	var lines []string
	for _, f := range got {
		lines = append(lines, f.Rule+" "+f.line())
	}
	const want = `N002 4:1 error nodes."web:01": "web:01" has a colon, which DNS and Proxmox refuse (write web-01)
V001 5:1 error nodes."web:01".vmid: want an integer, got true or false ()
R006 6:1 error nodes."web:01".system: "x" is not a system of Nix (write it like x86_64-linux)
format 7:1 error nodes."web:01".rols: unknown key (did you mean "roles"?)
format 9:1 error nodes.dns-01.kind: "lxc" is none of vm, metal, cloud, template, appliance ()`
	if strings.Join(lines, "\n") != want {
		t.Errorf("Check:\n%s\nwant\n%s", strings.Join(lines, "\n"), want)
	}
}
