package convention

var nameCases = []ruleCase{
	{rule: "N001", name: "underscore", text: "[nodes.web_01]", want: `2:1 error nodes.web_01: "web_01" is no DNS label (write web-01)`},
	{rule: "N001", name: "space", text: "[nodes.\"web 01\"]", want: `2:1 error nodes."web 01": "web 01" is no DNS label (write web-01)`},
	{rule: "N001", name: "label of a long name", text: "[nodes.\"build_01.example.org\"]", want: `2:1 error nodes."build_01.example.org": "build_01" is no DNS label (use 1 to 63 letters, digits and -)`},
	{rule: "N001", name: "hyphen first", text: "[nodes.-web]", want: `2:1 error nodes.-web: "-web" is no DNS label (write web)`},
	{rule: "N001", name: "64 letters", text: "[nodes.a]\nhostname = 'aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggg'", want: `3:1 error nodes.a.hostname: "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggg" is no DNS label (use 1 to 63 letters, digits and -)`},
	{rule: "N001", name: "alias", text: "[nodes.a]\naliases = [\"ok\", \"not_ok\"]", want: `3:18 error nodes.a.aliases[1]: "not_ok" is no DNS label (write not-ok)`},
	{rule: "N001", name: "whatever level", text: "[fleet]\nnaming = 'off'\n[nodes.web_01]", want: `4:1 error nodes.web_01: "web_01" is no DNS label (write web-01)`},
	{rule: "N001", name: "capitals and dots", text: "[nodes.\"Build01.Example.org\"]\n[nodes.aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggg]"},
	{rule: "N001", name: "colon is N002", text: "[nodes.\"web:01\"]"},

	{rule: "N002", name: "name", text: "[nodes.\"web:01\"]", want: `2:1 error nodes."web:01": "web:01" has a colon, which DNS and Proxmox refuse (write web-01)`},
	{rule: "N002", name: "whatever level", text: "[fleet]\nnaming = 'info'\n[nodes.a]\nhostname = 'web:01'", want: `5:1 error nodes.a.hostname: "web:01" has a colon, which DNS and Proxmox refuse (write web-01)`},
	{rule: "N002", name: "hyphen", text: "[nodes.web-01]"},

	{rule: "N003", name: "no number", text: "[nodes.truenas]", want: `2:1 warn nodes.truenas: "truenas" is not PURPOSE-NN, such as dns-01 (write truenas-01, or keep it with naming = { exempt = true, reason = "why" })`},
	{rule: "N003", name: "no hyphen", text: "[nodes.web1]", want: `2:1 warn nodes.web1: "web1" is not PURPOSE-NN, such as dns-01 (write web-01, or keep it with naming = { exempt = true, reason = "why" })`},
	{rule: "N003", name: "prefix with a digit in it", text: "[nodes.k8s]", want: `2:1 warn nodes.k8s: "k8s" is not PURPOSE-NN, such as dns-01 (write k8s-01, or keep it with naming = { exempt = true, reason = "why" })`},
	{rule: "N003", name: "proposal is taken", text: "[nodes.web1]\n[nodes.web-01]", want: `2:1 warn nodes.web1: "web1" is not PURPOSE-NN, such as dns-01 (write web-02, or keep it with naming = { exempt = true, reason = "why" })`},
	{rule: "N003", name: "digit first", text: "[nodes.3d-printer]", want: `2:1 warn nodes.3d-printer: "3d-printer" is not PURPOSE-NN, such as dns-01 (keep it with naming = { exempt = true, reason = "why" })`},
	{rule: "N003", name: "off", text: "[fleet]\nnaming = 'off'\n[nodes.truenas]"},
	{rule: "N003", name: "capped", text: "[fleet]\nnaming = 'info'\n[nodes.web1]", want: `4:1 info nodes.web1: "web1" is not PURPOSE-NN, such as dns-01 (write web-01, or keep it with naming = { exempt = true, reason = "why" })`},
	{rule: "N003", name: "a cap raises nothing", text: "[fleet]\nnaming = 'error'\n[nodes.web1]", want: `4:1 warn nodes.web1: "web1" is not PURPOSE-NN, such as dns-01 (write web-01, or keep it with naming = { exempt = true, reason = "why" })`},
	{rule: "N003", name: "exempt", text: "[nodes.truenas]\nnaming = {exempt = true, reason = 'appliance'}"},
	{rule: "N003", name: "exempt without a reason is N013", text: "[nodes.web1]\nnaming = {exempt = true, reason = ' '}"},
	{rule: "N003", name: "words", text: "[nodes.starr-jellyfin-01]"},
	{rule: "N003", name: "what other rules say", text: "[nodes.Web-01]\n[nodes.\"web:02\"]\n[nodes.web_03]\n[nodes.web-4]\n[nodes.web-100]"},

	{rule: "N004", name: "unknown", text: "[fleet]\nprefixes = ['z']\n[nodes.starr-jellyfin-01]\n[nodes.nvr-01]\n[nodes.starr-02]", want: `4:1 warn nodes.starr-jellyfin-01: the purpose is no prefix of the convention (add to [fleet]: prefixes = ["z", "nvr", "starr"])
5:1 warn nodes.nvr-01: the purpose is no prefix of the convention (add to [fleet]: prefixes = ["z", "nvr", "starr"])
6:1 warn nodes.starr-02: the purpose is no prefix of the convention (add to [fleet]: prefixes = ["z", "nvr", "starr"])`},
	{rule: "N004", name: "typo", text: "[nodes.bakup-01]", want: `2:1 warn nodes.bakup-01: "bakup" is no prefix of the convention (did you mean "backup"? or add "bakup" to prefixes of [fleet])`},
	{rule: "N004", name: "same as a listed one", text: "[nodes.hass-01]", want: `2:1 warn nodes.hass-01: "hass" is no prefix of the convention (did you mean "ha"? or add "hass" to prefixes of [fleet])`},
	{rule: "N004", name: "begins with letters of one", text: "[nodes.webs-01]", want: `2:1 warn nodes.webs-01: "webs" is no prefix of the convention (did you mean "web"? or add "webs" to prefixes of [fleet])`},
	{rule: "N004", name: "listed", text: "[nodes.dns-01]\n[nodes.build-arm-01]\n[nodes.test-web-01]"},
	{rule: "N004", name: "the fleet's own", text: "[fleet]\nprefixes = ['starr']\n[nodes.starr-jellyfin-01]\n[nodes.starr-01]"},
	{rule: "N004", name: "an alias", text: "[fleet]\naliases = {hass = 'ha'}\n[nodes.hass-01]"},
	{rule: "N004", name: "what an alias stands for", text: "[fleet]\naliases = {arrs = 'starr'}\n[nodes.starr-01]"},
	{rule: "N004", name: "exempt", text: "[nodes.unifi-01]\nnaming = {exempt = true, reason = 'appliance'}"},
	{rule: "N004", name: "what N003 says", text: "[nodes.truenas]"},

	{rule: "N005", name: "00", text: "[nodes.web-00]", want: "2:1 warn nodes.web-00: numbers begin with 01 (write web-01)"},
	{rule: "N005", name: "01", text: "[nodes.web-01]"},

	{rule: "N006", name: "begins with 02", text: "[nodes.nas-02]\n[nodes.nas-03]", want: "2:1 info nodes.nas-02: there is no nas-01 before it (the next nas is nas-01)"},
	{rule: "N006", name: "gap", text: "[nodes.web-04]\n[nodes.web-01]\n[nodes.web-02]", want: "2:1 info nodes.web-04: there is no web-03 before it (the next web is web-03)"},
	{rule: "N006", name: "no gap", text: "[nodes.web-02]\n[nodes.web-01]\n[nodes.dns-01]"},
	{rule: "N006", name: "exempt", text: "[nodes.nas-02]\nnaming = {exempt = true, reason = 'nas-01 is truenas'}"},

	{rule: "N007", name: "one digit", text: "[nodes.web-1]", want: "2:1 warn nodes.web-1: a number has 2 digits (write web-01)"},
	{rule: "N007", name: "hundredth", text: "[nodes.web-100]", want: "2:1 warn nodes.web-100: the numbers of web end with 99 (begin a second purpose, such as web-b-01)"},
	{rule: "N007", name: "padded", text: "[nodes.web-007]", want: "2:1 warn nodes.web-007: a number has 2 digits (write web-07)"},
	{rule: "N007", name: "not octal", text: "[nodes.web-010]", want: "2:1 warn nodes.web-010: a number has 2 digits (write web-10)"},
	{rule: "N007", name: "the last, padded", text: "[nodes.web-099]", want: "2:1 warn nodes.web-099: a number has 2 digits (write web-99)"},
	{rule: "N007", name: "two digits", text: "[nodes.web-99]"},

	{rule: "N008", name: "capitals", text: "[nodes.Web-01]", want: `2:1 warn nodes.Web-01: "Web-01" has capitals (write web-01)`},
	{rule: "N008", name: "exempt", text: "[nodes.USMBDEROSER]\nnaming = {exempt = true, reason = 'company asset tag'}"},

	{rule: "N009", name: "dev", text: "[nodes.dev-web-01]", want: `2:1 info nodes.dev-web-01: the name begins with an environment (write web-01, and environment = "dev")`},
	{rule: "N009", name: "a word that begins so", text: "[nodes.device-01]"},

	{rule: "N010", name: "19 characters", text: "[nodes.starr-jellyseerr-01]", want: "2:1 info nodes.starr-jellyseerr-01: the name has more than 15 characters (a shorter name is easier to type and to read)"},
	{rule: "N010", name: "15 characters", text: "[nodes.starr-sonarr-01]"},

	{rule: "N011", name: "hostname", text: "[nodes.web-01]\nhostname = 'NixOS'", want: `3:1 error nodes.web-01.hostname: "NixOS" is what machines are called before anybody names them (give the machine a name of its own)`},
	{rule: "N011", name: "exempt", text: "[nodes.installer]\nnaming = {exempt = true, reason = 'x'}", want: `2:1 error nodes.installer: "installer" is what machines are called before anybody names them (give the machine a name of its own)`},
	{rule: "N011", name: "part of a name", text: "[nodes.nixos-01]"},

	{rule: "N012", name: "hostname", text: "[nodes.b]\nhostname = 'X'\n[nodes.a]\naliases = ['y', 'x']", want: `5:17 error nodes.a.aliases[1]: node b goes by "x" too (a name belongs to one node)`},
	{rule: "N012", name: "case", text: "[nodes.web-01]\n[nodes.WEB-01]", want: `3:1 error nodes.WEB-01: node web-01 goes by "WEB-01" too (a name belongs to one node)`},
	{rule: "N012", name: "VM id", text: "[nodes.a]\nvmid = 100\n[nodes.b]\nvmid = 100", want: `5:1 error nodes.b.vmid: node a has the VM id 100 too ("infra-agent registry vmid next" proposes a free one)`},
	{rule: "N012", name: "address", text: "[nodes.a]\naddress = '10.0.0.1'\n[nodes.b]\naddress = '10.0.0.1'", want: `5:1 warn nodes.b.address: node a has the address 10.0.0.1 too (checks with {address} would ask the other node)`},
	{rule: "N012", name: "itself", text: "[nodes.a]\nhostname = 'a'\naliases = ['a']\n[nodes.b]"},
	{rule: "N012", name: "address of an unmanaged node", text: "[nodes.a]\naddress = '10.0.0.1'\n[nodes.b]\naddress = '10.0.0.1'\nmanaged = false"},

	{rule: "N013", name: "no reason", text: "[fleet]\nnaming = 'warn'\n[nodes.unifi]\nnaming = {exempt = true}", want: `5:1 error nodes.unifi.naming: the exemption has no reason (write reason = "why it keeps the name")`},
	{rule: "N013", name: "reason", text: "[nodes.unifi]\nnaming = {exempt = true, reason = 'appliance'}"},
	{rule: "N013", name: "not exempt", text: "[nodes.unifi]\nnaming = {exempt = false}"},

	{rule: "N014", name: "ha and hass", text: "[nodes.ha-01]\n[nodes.hass-01]\n[nodes.hass-02]", want: `3:1 warn nodes.hass-01: "hass" means the same as "ha", which ha-01 has (use one of them)`},
	{rule: "N014", name: "the fleet's own", text: "[fleet]\naliases = {starr = 'arr', arrs = 'arr'}\n[nodes.starr-01]\n[nodes.arrs-01]", want: `5:1 warn nodes.arrs-01: "arrs" means the same as "starr", which starr-01 has (use one of them)`},
	{rule: "N014", name: "one of them", text: "[nodes.hass-01]\n[nodes.hass-02]\n[nodes.plex-01]"},

	{rule: "N015", name: "long name", text: "[nodes.\"build01.example.org\"]", want: `2:1 info nodes."build01.example.org": a hostname has no dots, so the machine is called otherwise (write hostname = "build01" if it is called so)`},
	{rule: "N015", name: "case", text: "[nodes.web-01]\nhostname = 'WEB-01'", want: `3:1 info nodes.web-01.hostname: the hostname "WEB-01" is spelled otherwise than the node's name (spell them alike)`},
	{rule: "N015", name: "said otherwise", text: "[nodes.\"build01.example.org\"]\nhostname = 'builder'\n[nodes.web-01]\nhostname = 'frontend'\n[nodes.db-01]\nhostname = 'db-01'"},
}
