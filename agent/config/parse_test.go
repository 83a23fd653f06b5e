package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/infra-agent/infra-agent/agent/strict"
	"github.com/infra-agent/infra-agent/reconcile"
)

// remote is the shortest file that is accepted.
const remote = "[[source.remotes]]\nurl = \"/srv/fleet.git\"\n"

func TestShortestFile(t *testing.T) {
	got, err := Parse("config.toml", []byte(remote))
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Source.Remotes = []Remote{{Name: "origin", URL: "/srv/fleet.git", Username: "git", Timeout: time.Minute}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Parse (-want +got):\n%s", diff)
	}
}

// full.toml has values of every form.
func TestValuesOfEveryForm(t *testing.T) {
	got, err := Load("testdata/full.toml")
	if err != nil {
		t.Fatal(err)
	}
	want := Settings{
		Node: "dns-01", Mode: ModeObserve, StateDir: "/s", RunDir: "/r",
		Rollback: reconcile.RollbackHold, LastResort: reconcile.LastResortStuck,
		Source: Source{
			Branch: "release-{name}", TestingBranch: "testing-{name}", Subdir: "nix/fleet", Interval: 30 * time.Second, Encrypted: EncryptedRefuse,
			Submodules: SubmodulesFetch, LFS: true,
			Hosts: []Host{{
				Host: "modules.example.org:8443", Username: "fleet", TokenFile: "/run/modules",
				SSHKeyFile: "/run/modules-key", KnownHostsFile: "/etc/modules-hosts", CAFile: "/etc/modules.pem",
			}},
			Remotes: []Remote{
				{
					Name: "forge", URL: "https://git.example.org/fleet.git", Username: "bot",
					TokenFile: "/run/token", CAFile: "/etc/ca.pem", Timeout: 20 * time.Second,
				},
				{
					Name: "ssh", URL: "git@git.example.org:fleet.git", Username: "git",
					SSHKeyFile: "/run/key", KnownHostsFile: "/etc/known_hosts", Timeout: time.Minute,
				},
				{Name: "mirror", URL: "file:///srv/fleet.git", Username: "git", Timeout: time.Minute},
			},
		},
		Trust: Trust{
			Policy: reconcile.TrustAll, AllowedSignersFile: "/etc/infra-agent/allowed_signers",
			OpenPGPKeyringFile: "/etc/infra-agent/keyring.asc", RevocationFile: "/etc/infra-agent/revoked", ManifestSigners: "/etc/infra-agent/manifest_signers",
		},
		Manifest: Manifest{
			Mode: reconcile.ManifestOnly, Wait: 5 * time.Minute, Audit: "0%",
			Sources: []string{"branch:ci/manifests", "https://ci.example.org/{system}/{commit}/{node}.json"},
		},
		Registry: Registry{
			Source: RegistryMap, File: "nodes.toml", Attr: "fleet.registry",
			Map: Mapping{Nodes: "hosts", Roles: "profiles", System: "arch", Hostname: "name", ManagedWhen: "!appliance"},
		},
		Nix: Nix{
			Configuration: "dns", Impure: true, OverrideInputs: Inputs{"secrets": "path:/etc/fleet-secrets"}, ExtraArgs: []string{"--show-trace", "--option", "cores", "2"},
			NetrcFile: "/run/netrc", AccessTokensFile: "/run/tokens", SSHKeyFile: "/run/inputs-key", KnownHostsFile: "/etc/input_hosts", SSHConfigFile: "/etc/input_ssh_config",
		},
		Limits: Limits{
			Fetch: 7 * time.Minute, Evaluate: time.Minute, Build: time.Hour, Activate: 2 * time.Minute, Promote: 3 * time.Minute,
			Rollback: 4 * time.Minute, VerifyRollback: 5 * time.Minute,
			EvaluateMemory: 2 << 30, TreeBytes: 10 << 20, TreeEntries: 1000, FetchBytes: 64 << 20,
		},
		Confirm: Confirm{
			Settle: 0, Window: 2 * time.Second, Deadline: 20 * time.Second, DeadlineMax: time.Minute,
			Targets: []string{"[2001:db8::1]:443", "https://cache.nixos.org"}, IgnoreUnits: []string{"fwupd*.service"},
		},
		Checks: Checks{
			{
				Name: "backup", Kind: reconcile.CheckExec, Required: false, Within: 2 * time.Minute, Interval: 5 * time.Second,
				Timeout: 5 * time.Second, Successes: 2, Command: []string{"/run/current-system/sw/bin/true", "-v"},
			},
			{
				Name: "name", Kind: reconcile.CheckDNS, Required: true, Within: 2 * time.Minute, Interval: 5 * time.Second,
				Timeout: 5 * time.Second, Successes: 2, Target: "example.org", Server: "[::1]:53", Answer: "2001:db8::1",
			},
			{
				Name: "port", Kind: reconcile.CheckTCP, Required: true, Within: 2 * time.Minute, Interval: 5 * time.Second,
				Timeout: 5 * time.Second, Successes: 2, Target: "127.0.0.1:53",
			},
			{
				Name: "sshd", Kind: reconcile.CheckUnit, Required: true, Within: time.Second, Interval: 200 * time.Millisecond,
				Timeout: time.Minute, Successes: 3, Unit: "sshd.service",
			},
			{
				Name: "stamp", Kind: reconcile.CheckFile, Required: true, Within: 2 * time.Minute, Interval: 5 * time.Second,
				Timeout: 5 * time.Second, Successes: 2, Path: "/var/lib/backup/stamp", MaxAge: 26 * time.Hour,
			},
			{
				Name: "web", Kind: reconcile.CheckHTTP, Required: true, Within: 2 * time.Minute, Interval: 5 * time.Second,
				Timeout: 5 * time.Second, Successes: 2, Target: "http://localhost:8080/health", Status: 204, Contains: "ok",
			},
		},
		Metrics: Metrics{Listen: "/run/metrics.sock", Socket: "/run/scrape.sock", SocketGroup: "prometheus", Textfile: "/var/lib/node_exporter/agent.prom"},
		Notify: Notify{
			HeldAfter: 30 * time.Minute, Events: []string{"rolled_back", "suspended"},
			Command: []string{"/run/current-system/sw/bin/tell", "--json"}, CommandSecretFile: "/run/pager",
			Webhooks: []Webhook{
				{
					Name: "chat", URL: "https://chat.example.org/hooks/{secret}", SecretFile: "/run/chat", Headers: []string{"X-Title: fleet"},
					Template: `{"text": "{text}"}`, Events: []string{"promoted"}, CAFile: "/etc/chat.pem", Timeout: 30 * time.Second,
				},
				{Name: "webhook", URL: "http://localhost:8080/", Timeout: 10 * time.Second},
			},
		},
		Log:     Log{Level: "debug", Format: "json"},
		Control: Control{Group: "wheel"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Load (-want +got):\n%s", diff)
	}
}

// authorizations is a table that has its introduction.
func authorizations(path, policy, more string) string {
	return fmt.Sprintf("trust = { policy = %q, authorizations = %q, introduction = \"2f1c9d4be03a5c7786d1e0f9ab3c5d7e8f901234\"%s }", policy, path, more)
}

// TestEachProblem gives one mistake a time; the text is the problem's own line.
func TestEachProblem(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"syntax", "node = ", "config.toml:1:8: expected value but found end of file instead"},
		{"unknown key", "nod = 1", `config.toml:1:1: nod: unknown key (did you mean "node"?)`},
		{"unknown nested key", "[confirm]\n\nwindows = \"1s\"", `config.toml:3:1: confirm.windows: unknown key (did you mean "window"?)`},
		{"unknown key, none near", "[log]\ncolour = 1", `config.toml:2:1: log.colour: unknown key (known here: format, level)`},
		{"wrong type", "node = 1", "config.toml:1:1: node: want a string, got an integer"},
		{"wrong list element", "nix.extra_args = [\n\"-L\",\n2]", "config.toml:3:1: nix.extra_args[1]: want a string, got an integer"},
		{"table for a list", "[source.remotes]", "config.toml:1:1: source.remotes: want a list, got a table"},
		{"date", "node = 2024-01-01", "config.toml:1:1: node: dates and times are not supported (write it as a string)"},
		{"no remote", "", "config.toml:1:1: source.remotes: no remote to follow (add [[source.remotes]] with url = \"https://…\")"},
		{"duration without unit", "source.interval = \"60\"", `config.toml:1:1: source.interval: "60" is not a duration (write it like "90s", "5m" or "1h30m")`},
		{"duration as number", "source.interval = 60", `config.toml:1:1: source.interval: want a duration, got an integer (write it like "90s", "5m" or "1h30m")`},
		{
			"a check that takes too long", "[checks.slow]\nkind = \"unit\"\nunit = \"a.service\"\ninterval = \"9m\"\n",
			"config.toml:1:1: checks.slow: takes 10m10s to be green for confirm.window at best, and confirm.deadline is 10m0s (lower its interval or successes, or raise confirm.deadline)",
		},
		{"interval too short", "source.interval = \"4s\"", "config.toml:1:1: source.interval: 4s is not between 5s and 24h"},
		{"interval too long", "source.interval = \"25h\"", "config.toml:1:1: source.interval: 25h0m0s is not between 5s and 24h"},
		{"negative settle", "confirm.settle = \"-1s\"", "config.toml:1:1: confirm.settle: -1s is not between 0s and 24h"},
		{"no time to build", "limits.build = \"0s\"", "config.toml:1:1: limits.build: 0s is not between 1m and 168h"},
		{
			"deadline within the window", "[confirm]\nsettle = \"5m\"\nwindow = \"5m\"",
			"config.toml:1:1: confirm.deadline: 10m0s is not more than confirm.settle + confirm.window = 10m0s (raise it, or lower confirm.settle or confirm.window)",
		},
		{"deadline above its limit", "confirm.deadline = \"61m\"", "config.toml:1:1: confirm.deadline_max: 1h0m0s is less than confirm.deadline = 1h1m0s"},
		{"size without unit", "limits.tree_bytes = \"10\"", `config.toml:1:1: limits.tree_bytes: "10" is not a size: write a whole number and a unit, such as "256MiB" or "1GiB"`},
		{"size too large", "limits.tree_bytes = \"8388608TiB\"", `config.toml:1:1: limits.tree_bytes: "8388608TiB" is not a size: write a whole number and a unit, such as "256MiB" or "1GiB"`},
		{"no entries", "limits.tree_entries = 0", "config.toml:1:1: limits.tree_entries: 0 is not more than 0"},
		{"word", "rollback = \"yes\"", `config.toml:1:1: rollback: "yes" is none of auto, hold, never`},
		{"no word", "rollback = true", "config.toml:1:1: rollback: want one of auto, hold, never, got true or false"},
		{"no word of submodules", "source.submodules = 1", "config.toml:1:1: source.submodules: want one of empty, refuse, fetch, got an integer"},
		{"another word of submodules", "source.submodules = \"true\"", `config.toml:1:1: source.submodules: "true" is none of empty, refuse, fetch`},
		{"registry", "registry.source = \"yaml\"", `config.toml:1:1: registry.source: "yaml" is none of auto, toml, nix, map, none`},
		{"mapping without nodes", "registry.source = \"map\"", `config.toml:1:1: registry.map.nodes: is missing, and registry.source is map (write the key of the table of nodes, such as "hosts")`},
		{"registry attribute", "registry.attr = \"a;b\"", `config.toml:1:1: registry.attr: "a;b" is not a path of attributes such as infraAgent.registry`},
		{"policy", "trust.policy = \"some\"", `config.toml:1:1: trust.policy: "some" is none of none, tip, all`},
		{"policy without keys", "trust.policy = \"all\"", `config.toml:1:1: trust.policy: nobody could sign (name trust.allowed_signers_file or trust.openpgp_keyring_file, or trust.authorizations)`},
		{
			"authorizations alone", "trust.authorizations = \"signers\"\ntrust.policy = \"all\"",
			`config.toml:1:1: trust.introduction: is missing, and trust.authorizations is set (write the commit that brought the file, of 40 digits: git log -1 --format=%H -- signers)`,
		},
		{
			"authorizations of the newest commit alone", authorizations("signers", "tip", ""),
			`config.toml:1:11: trust.policy: "tip" does not go with trust.authorizations, which lets each commit say who may sign the next one (write "all")`,
		},
		{
			"authorizations without a policy", authorizations("signers", "none", ""),
			`config.toml:1:11: trust.policy: "none" does not go with trust.authorizations, which lets each commit say who may sign the next one (write "all")`,
		},
		{
			"authorizations and signers", authorizations("signers", "all", `, allowed_signers_file = "/etc/signers"`),
			`config.toml:1:114: trust.allowed_signers_file: does not go with trust.authorizations: one of them says who may sign (remove it; a key that must not count is named in trust.revocation_file)`,
		},
		{
			"authorizations and a keyring", authorizations("signers", "all", `, openpgp_keyring_file = "/etc/keys"`),
			`config.toml:1:114: trust.openpgp_keyring_file: does not go with trust.authorizations: one of them says who may sign (remove it; a key that must not count is named in trust.revocation_file)`,
		},
		{
			"authorizations of the node", authorizations("/etc/signers", "all", ""),
			`config.toml:1:27: trust.authorizations: "/etc/signers" is not a file inside the repository (write it as git does, such as "keys/allowed_signers")`,
		},
		{
			"authorizations with a dot", authorizations("./signers", "all", ""),
			`config.toml:1:27: trust.authorizations: "./signers" is not a file inside the repository (write it as git does, such as "keys/allowed_signers")`,
		},
		{
			"short introduction", `trust = { policy = "all", authorizations = "signers", introduction = "2f1c9d4b" }`,
			`config.toml:1:55: trust.introduction: "2f1c9d4b" is not the name of a commit (write all 40 digits: git rev-parse COMMIT)`,
		},
		{
			"introduction to nothing", `trust.introduction = "2f1c9d4be03a5c7786d1e0f9ab3c5d7e8f901234"`,
			`config.toml:1:1: trust.introduction: says where trust.authorizations begins, which is not set (name the file in trust.authorizations, or remove this)`,
		},
		{"relative keys", "trust.allowed_signers_file = \"signers\"", `config.toml:1:1: trust.allowed_signers_file: "signers" is not an absolute path`},
		{"relative state", "state_dir = \"state\"", `config.toml:1:1: state_dir: "state" is not an absolute path of a directory of its own`},
		{"subdir outside", "source.subdir = \"../x\"", `config.toml:1:1: source.subdir: "../x" is not a path inside the repository`},
		{"registry outside", "registry.file = \"/etc/x\"", `config.toml:1:1: registry.file: "/etc/x" is not a path inside the flake`},
		{"branch", "source.branch = \"a..b\"", `config.toml:1:1: source.branch: "a..b" is not the name of a branch`},
		{"full name of a branch", "source.branch = \"refs/heads/main\"", `config.toml:1:1: source.branch: "refs/heads/main" is the full name of a ref, and not the name of a branch (write "main")`},
		{"branch placeholder", "source.branch = \"{role}\"", `config.toml:1:1: source.branch: "{role}" is not the name of a branch`},
		{"testing branch", "source.testing_branch = \"a..b\"", `config.toml:1:1: source.testing_branch: "a..b" is not the name of a branch`},
		{"testing branch that is the branch", "source.testing_branch = \"main\"", `config.toml:1:1: source.testing_branch: "main" is source.branch: it would only ever be tried (give it a branch of its own)`},
		{
			"flake config", "nix.extra_args = [\"--option\", \"accept-flake-config\", \"true\"]",
			`config.toml:1:31: nix.extra_args[1]: "accept-flake-config" is not for here (remove it: a repository must not be able to change the node's Nix settings)`,
		},
		{
			"flake config by its flag", "nix.extra_args = [\"--accept-flake-config\"]",
			`config.toml:1:19: nix.extra_args[0]: "--accept-flake-config" is not for here (remove it: a repository must not be able to change the node's Nix settings)`,
		},
		{
			"impure", "nix.extra_args = [\"-j\", \"--impure\", \"--impure\"]",
			`config.toml:1:37: nix.extra_args[2]: "--impure" is not for here (set nix.impure)`,
		},
		{"argument without its value", "nix.extra_args = [\"--option\", \"cores\"]", `config.toml:1:19: nix.extra_args[0]: "--option" lacks what must follow it`},
		{
			"setting that is two lines", "nix.extra_args = [\"--option\", \"cores\", \"2\\naccept-flake-config = true\"]",
			`config.toml:1:40: nix.extra_args[2]: "2\naccept-flake-config = true" has the end of a line or a # in it, which no setting of Nix can hold`,
		},
		{
			"no builds", "nix.extra_args = [\"-j\", \"0\"]",
			`config.toml:1:25: nix.extra_args[1]: with max-jobs 0 the agent could build nothing, and no fix would arrive (where others build for the node, set nix.settings.max-jobs = 0)`,
		},
		{
			"no builds by an option", "nix.extra_args = [\"--option\", \"max-jobs\", \"0\"]",
			`config.toml:1:43: nix.extra_args[2]: with max-jobs 0 the agent could build nothing, and no fix would arrive (where others build for the node, set nix.settings.max-jobs = 0)`,
		},
		{"size that is too small", "limits.fetch_bytes = \"4KiB\"", `config.toml:1:1: limits.fetch_bytes: 4KiB is less than 1MiB, with which no fix would arrive`},
		{"number that is too small", "limits.tree_entries = 3", `config.toml:1:1: limits.tree_entries: 3 is less than 100, with which no fix would arrive`},
		{"setting that is none", "nix.extra_args = [\"--option\", \"include /x\", \"\"]", `config.toml:1:31: nix.extra_args[1]: "include /x" is not the name of a setting of Nix (nix.conf(5) lists them)`},
		{
			"file that is none of the repository", "nix = { file = \"/etc/x.nix\", attr = \"a b\", override_inputs = { a = \"b\" } }",
			`config.toml:1:9: nix.file: "/etc/x.nix" is not a path inside the repository` + "\n" +
				`config.toml:1:30: nix.attr: "a b" is not a path of attributes such as nixosConfigurations` + "\n" +
				"config.toml:1:44: nix.override_inputs: are inputs of a flake, and nix.file says that the repository is none",
		},
		{
			"attribute without a file", "nix.attr = \"nodes\"",
			"config.toml:1:1: nix.attr: is where the systems are in nix.file, which is not set (of a flake they are nixosConfigurations)",
		},
		{
			"override of nothing", "nix.override_inputs = { a = \"\" }",
			`config.toml:1:25: nix.override_inputs.a: "" is not a flake reference for an input (write NAME = "github:owner/repository/REVISION", or another flake reference)`,
		},
		{"override that is a number", "nix.override_inputs = { a = 1 }", "config.toml:1:25: nix.override_inputs.a: want a string, got an integer"},
		{"socket group", "metrics = { listen = \"/run/m.sock\", socket_group = \"a:b\" }", `config.toml:1:37: metrics.socket_group: "a:b" is not the name of a group`},
		{"group of a port", "metrics.socket_group = \"prometheus\"", `config.toml:1:1: metrics.socket_group: there is no unix socket: whoever reaches the port of metrics.listen may read (remove it, or set metrics.socket, such as "/run/infra-agent/metrics.sock")`},
		{
			"event", "notify.events = [\"promoted\", \"promotion\"]",
			`config.toml:1:30: notify.events[1]: "promotion" is none (want some of promoted, rolled_back, rollback_failed, cancelled, tested, stepped_back, waiting, stuck, ` +
				`refused, evaluation_failed, build_failed, held, drift, suspended, resumed, would_deploy, would_promote, would_roll_back)`,
		},
		{"manifests of nobody", `manifest.mode = "prefer"`, "config.toml:1:1: manifest.mode: nobody could sign a manifest (name the public keys that may sign in trust.manifest_signers_file)"},
		{"audits of all", `manifest.audit = "101%"`, `config.toml:1:1: manifest.audit: "101%" is not a share (write it like "5%")`},
		{"audits by a fraction", `manifest.audit = "0.05"`, `config.toml:1:1: manifest.audit: "0.05" is not a share (write it like "5%")`},
		{"audits of no number", `manifest.audit = "NaN%"`, `config.toml:1:1: manifest.audit: "NaN%" is not a share (write it like "5%")`},
		{
			"audits without evaluations", "manifest = { mode = \"only\", audit = \"5%\" }\ntrust.manifest_signers_file = \"/etc/ci\"",
			`config.toml:1:29: manifest.audit: does not go with manifest.mode = "only": this node never evaluates (remove it, or write manifest.mode = "prefer")`,
		},
		{"manifests of a file", `manifest.sources = ["/srv/manifests"]`, `config.toml:1:21: manifest.sources[0]: "/srv/manifests" is neither a branch nor a URL (write "branch:manifests", or "https://host/{commit}/{node}.json")`},
		{"manifests of no branch", `manifest.sources = ["branch:a..b"]`, `config.toml:1:21: manifest.sources[0]: "a..b" is not the name of a branch`},
		{"manifests with a password", `manifest.sources = ["https://u:hunter2@h/{commit}"]`, "config.toml:1:21: manifest.sources[0]: holds a user name or password (put the secret into a file, and name that in source.hosts)"},
		{"manifests of a query", `manifest.sources = ["https://h/?c={commit}"]`, "config.toml:1:21: manifest.sources[0]: has a query or fragment (remove what follows ? or #: the signature's name has .sig after it)"},
		{"pins of a commit", `manifest.sources = ["pin:https://h/{node}/{commit}"]`, "config.toml:1:21: manifest.sources[0]: a pin is of no commit, and {commit} stands for one (have the commit's manifest there)"},
		{"pins of a file", `manifest.sources = ["pin:/srv/pin"]`, `config.toml:1:21: manifest.sources[0]: "pin:/srv/pin" is neither a branch nor a URL (write "branch:manifests", or "https://host/{commit}/{node}.json")`},
		{"pins by role", `manifest.sources = ["pin:https://h/pins#{role}"]`, `config.toml:1:21: manifest.sources[0]: "pin:https://h/pins#{role}" has a placeholder that stands for nothing (known are {commit}, {node} and {system})`},
		{
			"audits of a pin", "manifest = { mode = \"prefer\", audit = \"5%\", sources = [\"pin:https://h/{node}\"] }",
			"config.toml:1:31: manifest.audit: does not go with a pin in manifest.sources: that names no commit to evaluate (remove it, or the pin)",
		},
		{"store paths with a password", `manifest.sources = ["store:https://u:hunter2@h/{commit}"]`, "config.toml:1:21: manifest.sources[0]: holds a user name or password (put the secret into a file, and name that in source.hosts)"},
		{
			"one of several of nobody", `manifest = { mode = "only", sources = ["pin:https://h/{node}", "https://h/{commit}"] }`,
			"config.toml:1:14: manifest.mode: nobody could sign a manifest (name the public keys that may sign in trust.manifest_signers_file)",
		},
		{
			"manifests by role", `manifest.sources = ["https://h/{role}"]`,
			`config.toml:1:21: manifest.sources[0]: "https://h/{role}" has a placeholder that stands for nothing (known are {commit}, {node} and {system})`,
		},
		{"program by name", "notify.command = [\"tell\"]", `config.toml:1:1: notify.command: "tell" is not an absolute path`},
		{
			"secret for nobody", "notify.command_secret_file = \"/run/x\"",
			"config.toml:1:1: notify.command_secret_file: there is no command that could read it (remove it, or set notify.command)",
		},
		{
			"two of a name", "[[notify.webhooks]]\nurl = \"http://h\"\n[[notify.webhooks]]\nurl = \"http://h\"",
			`config.toml:3:1: notify.webhooks[1].name: "webhook" is used twice, or no name (give each a name of its own, of letters, digits, "-" and "_"; "command" is notify.command)`,
		},
		{"no URL", "[[notify.webhooks]]\nname = \"x\"", `config.toml:1:1: notify.webhooks[0].url: is missing (write "https://host/path", with {secret} for its secret part)`},
		{"no web", "[[notify.webhooks]]\nurl = \"ftp://h\"", `config.toml:2:1: notify.webhooks[0].url: is no http or https URL (write "https://host/path", with {secret} for its secret part)`},
		{
			"password in the URL", "[[notify.webhooks]]\nurl = \"https://u:hunter2@h/\"",
			`config.toml:2:1: notify.webhooks[0].url: holds a user name or password (put the secret into secret_file, and {secret} where it belongs, or headers = ["Authorization: Basic {secret}"])`,
		},
		{
			"secret host", "[[notify.webhooks]]\nurl = \"https://{secret}.h/\"\nsecret_file = \"/run/x\"",
			`config.toml:2:1: notify.webhooks[0].url: has {secret} in the name of the host (write "https://host/path", with {secret} for its secret part)`,
		},
		{
			"secret without a file", "[[notify.webhooks]]\nurl = \"https://h/{secret}\"",
			"config.toml:1:1: notify.webhooks[0].secret_file: is missing, and {secret} stands for what is in it (name the file with the secret)",
		},
		{
			"secret without a place", "[[notify.webhooks]]\nurl = \"https://h/\"\nsecret_file = \"/run/x\"",
			"config.toml:3:1: notify.webhooks[0].secret_file: is not used (write {secret} in url or headers, or remove it)",
		},
		{"header", "[[notify.webhooks]]\nurl = \"https://h/\"\nheaders = [\"Authorization Bearer x\"]", `config.toml:3:12: notify.webhooks[0].headers[0]: is no header (write "Name: value")`},
		{
			"template", "[[notify.webhooks]]\nurl = \"https://h/\"\ntemplate = '{\"text\": {text}}'",
			`config.toml:3:1: notify.webhooks[0].template: it looks like JSON and is none: write values of texts between quotes, such as "{text}" (docs/notifications.md has some for chats)`,
		},
		{"socket", "metrics.socket = \"metrics.sock\"", `config.toml:1:1: metrics.socket: "metrics.sock" is not an absolute path`},
		{"one socket twice", "metrics = { listen = \"/run/m.sock\", socket = \"/run/m.sock\" }", `config.toml:1:37: metrics.socket: metrics.listen is the same (remove it)`},
		{"textfile", "metrics.textfile = \"/var/lib/agent.txt\"", `config.toml:1:1: metrics.textfile: "/var/lib/agent.txt" is not an absolute path of a file whose name ends with .prom (write a path such as "/var/lib/node_exporter/infra-agent.prom")`},
		{"listen", "metrics.listen = \"10119\"", `config.toml:1:1: metrics.listen: "10119" is neither host:port nor an absolute path (write "127.0.0.1:10119", ":10119" for all addresses, "/run/infra-agent/metrics.sock", or "" for none)`},
		{"group", "control.group = \"a b\"", `config.toml:1:1: control.group: "a b" is not the name of a group`},
		{"target", "confirm.targets = [\"example.org\"]", "config.toml:1:20: confirm.targets[0]: want host:port or an http or https URL without user and password"},
		{"glob", "confirm.ignore_units = [\"[\"]", `config.toml:1:25: confirm.ignore_units[0]: "[" is not a pattern`},
		{"check without kind", "[checks.a]\nwithin = \"1s\"", "config.toml:1:1: checks.a.kind: is missing: want unit, tcp, http, dns, exec, mount, file"},
		{"check of a later version", "[checks.a]\nkind = \"ping\"", `config.toml:2:1: checks.a.kind: "ping" is not supported by this version: want unit, tcp, http, dns, exec, mount, file`},
		{"check is no table", "checks.a = 1", "config.toml:1:1: checks.a: want a table, got an integer"},
		{"check name", "[checks.a]\nkind = \"unit\"\nunit = \"a.service\"\nname = \"b\"", `config.toml:4:1: checks.a.name: "b" is not "a" (remove it: the table's name is the check's name)`},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := c.text
			if c.name != "no remote" && c.name != "table for a list" {
				text += "\n" + remote
			}
			_, err := Parse("config.toml", []byte(text))
			got := "no error"
			if err != nil {
				got = err.Error()
			}
			if c.name == "syntax" { // the library's words are its own business
				c.want, _, _ = strings.Cut(c.want, " expected")
				got = got[:min(len(got), len(c.want))]
			}
			if got != c.want {
				t.Errorf("Parse(%q)\n got %s\nwant %s", text, got, c.want)
			}
		})
	}
}

// An address without a host is every address, as the documentation writes it.
func TestWhereScrapesAreHeard(t *testing.T) {
	for listen, fine := range map[string]bool{
		":10119": true, "127.0.0.1:10119": true, "[::1]:10119": true, "localhost:10119": true, "/run/m.sock": true, "": true,
		":": false, ":0": false, ":70000": false, ":x": false, "::1:10119": false, "m.sock": false,
	} {
		_, err := Parse("config.toml", []byte(fmt.Sprintf("metrics.listen = %q\n", listen)+remote))
		if (err == nil) != fine {
			t.Errorf("listen = %q: %v, want it accepted: %v", listen, err, fine)
		}
	}
}

func TestURLs(t *testing.T) {
	for _, c := range []struct{ url, want string }{
		{"https://git.example.org/fleet.git", ""},
		{"http://[2001:db8::1]:8080/fleet", ""},
		{"file:///srv/fleet.git", ""},
		{"/srv/fleet.git", ""},
		{"", "is missing"},
		{"srv/fleet.git", "is neither a URL of a known kind nor an absolute path"},
		{"https:///fleet.git", "is neither a URL of a known kind nor an absolute path"},
		{"file://host/fleet.git", "is neither a URL of a known kind nor an absolute path"},
		{"git@host:fleet.git", ""},
		{"git@[2001:db8::1]:fleet.git", ""},
		{"ssh://host/fleet.git", ""},
		{"ssh://git@host:2222/~bot/fleet.git", ""},
		{"git://host/fleet.git", ""},
		{"host:fleet.git", "is neither a URL of a known kind nor an absolute path"},
		{"git:secret@host:fleet.git", "is neither a URL of a known kind nor an absolute path"},
		{"ssh://git:secret@host/fleet.git", "holds a user name or password"},
		{"ssh://host", "is neither a URL of a known kind nor an absolute path"},
		{"git://git@host/fleet.git", "holds a user name or password"},
		{"ftp://host/fleet.git", "is neither a URL of a known kind nor an absolute path"},
		{"https://token@host/fleet.git", "holds a user name or password"},
		{"https://host/fleet.git?token=x", "has a query or fragment"},
	} {
		if got, _ := badURL(c.url); got != c.want {
			t.Errorf("badURL(%q) = %q, want %q", c.url, got, c.want)
		}
	}
}

// Who wants submodules says yes to them.
func TestSubmodulesByYesAndNo(t *testing.T) {
	for text, want := range map[string]Submodules{"true": SubmodulesFetch, "false": SubmodulesEmpty, `"refuse"`: SubmodulesRefuse} {
		s, err := Parse("c", []byte("source.submodules = "+text+"\n"+remote))
		if err != nil || s.Source.Submodules != want {
			t.Errorf("source.submodules = %s is %q, %v, want %q", text, s.Source.Submodules, err, want)
		}
	}
}

func TestFilesOfARemote(t *testing.T) {
	const ssh, web = "url = \"git@h:x\"\nssh_key_file = \"/k\"\nknown_hosts_file = \"/h\"\n", "url = \"https://h/x\"\n"
	for _, c := range []struct{ text, want string }{
		{ssh, ""},
		{web + "token_file = \"/t\"\nca_file = \"/c\"", ""},
		{"url = \"ssh://h/x\"\nknown_hosts_file = \"/h\"", "source.remotes[0].ssh_key_file: is missing"},
		{"url = \"git@h:x\"\nssh_key_file = \"/k\"", "source.remotes[0].known_hosts_file: is missing: without it, any server could answer (name a file that holds the server's host key)"},
		{ssh + "token_file = \"/t\"", "source.remotes[0].token_file: only https and http remotes take a token (remove it)"},
		{ssh + "ca_file = \"/c\"", "source.remotes[0].ca_file: only https remotes show a certificate (remove it)"},
		{web + "ssh_key_file = \"/k\"", "source.remotes[0].ssh_key_file: only ssh remotes take a key (remove it)"},
		{"url = \"git://h/x\"\nknown_hosts_file = \"/h\"", "source.remotes[0].known_hosts_file: only ssh remotes show a host key (remove it)"},
		{"url = \"git@h:x\"\nssh_key_file = \"k\"\nknown_hosts_file = \"/h\"", `source.remotes[0].ssh_key_file: "k" is not an absolute path`},
	} {
		_, err := Parse("c", []byte("[[source.remotes]]\n"+c.text))
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("Parse(%q): %v, want %q", c.text, err, c.want)
		}
	}
}

func TestHosts(t *testing.T) {
	const host = "host = \"git.example.org\"\n"
	for _, c := range []struct{ text, want string }{
		{host, ""},
		{"host = \"[2001:db8::1]:8443\"\ntoken_file = \"/t\"", ""},
		{"token_file = \"/t\"", "source.hosts[0].host: is missing"},
		{"host = \"https://git.example.org\"", "is not the name of a host"},
		{"host = \"bot@git.example.org\"", "is not the name of a host"},
		{"host = \"Git.example.org\"", "is not the name of a host"},
		{host + "[[source.hosts]]\n" + host, `source.hosts[1].host: "git.example.org" is there twice`},
		{host + "token_file = \"t\"", `source.hosts[0].token_file: "t" is not an absolute path`},
		{host + "ssh_key_file = \"/k\"", "source.hosts[0].known_hosts_file: is missing: without it, any server could answer"},
		{host + "username = \"\"", "source.hosts[0].username: is empty"},
	} {
		_, err := Parse("c", []byte(remote+"[[source.hosts]]\n"+c.text))
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("Parse(%q): %v, want %q", c.text, err, c.want)
		}
	}
}

func TestSecretInURLIsNotRepeated(t *testing.T) {
	for _, url := range []string{"https://u:hunter2@h/x", "https://h/x?t=hunter2", "https://u:hunter2@h:port/x", "ssh://u:hunter2@h/x", "u:hunter2@h:x", "hunter2"} {
		_, err := Parse("c", []byte("[[source.remotes]]\nurl = \""+url+"\""))
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("Parse with url %q: %v", url, err)
		}
	}
}

func TestAllProblemsAtOnce(t *testing.T) {
	_, err := Parse("c", []byte("nod = 1\nrollback = \"x\"\n[[source.remotes]]\nurl = 1\n[[source.remotes]]\nurl = \"/a\"\n[checks.x]\nkind = \"tcp\"\nunit = 1\n"))
	problems, ok := errors.AsType[*strict.Error](err)
	if !ok {
		t.Fatalf("Parse: %v, want a *strict.Error", err)
	}
	var got []string
	for _, p := range problems.Problems {
		got = append(got, string(p.Key))
	}
	want := []string{"nod", "rollback", "source.remotes[0].url", "source.remotes[1].name", "checks.x.target", "checks.x.unit"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("keys of the problems (-want +got):\n%s", diff)
	}
}

func TestLoadNamesTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none.toml")
	if _, err := Load(path); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), path) {
		t.Errorf("Load: %v, want os.ErrNotExist with the path", err)
	}
}

func TestBranchOf(t *testing.T) {
	if got := (Source{Branch: "release-{name}"}).BranchOf("dns-01"); got != "release-dns-01" {
		t.Errorf("BranchOf = %q, want release-dns-01", got)
	}
}

func TestSize(t *testing.T) {
	for _, c := range []struct {
		text string
		want Size
	}{{"1B", 1}, {"64KiB", 64 << 10}, {"256 MiB", 256 << 20}, {"1GiB", 1 << 30}, {"2TiB", 2 << 40}, {"0B", 0}} {
		var got Size
		if err := got.UnmarshalText([]byte(c.text)); err != nil || got != c.want {
			t.Errorf("UnmarshalText(%q) = %d, %v, want %d", c.text, got, err, c.want)
		}
		if back := got.String(); back != strings.ReplaceAll(c.text, " ", "") {
			t.Errorf("Size(%d).String() = %q, want %q", got, back, c.text)
		}
	}
	for _, text := range []string{"", "B", "1", "-1B", "1.5GiB", "1GB", "9999999999GiB"} {
		if err := new(Size).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("UnmarshalText(%q) succeeded, want an error", text)
		}
	}
}
