package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/infra-agent/infra-agent/agent/command"
	"github.com/infra-agent/infra-agent/agent/config"
	"github.com/infra-agent/infra-agent/agent/control"
	"github.com/infra-agent/infra-agent/agent/guard"
	"github.com/infra-agent/infra-agent/agent/source"
	"github.com/infra-agent/infra-agent/agent/system"
	"github.com/infra-agent/infra-agent/metrics"
	"github.com/infra-agent/infra-agent/reconcile"
)

// An effect is what becomes of a setting: what is looked at must be another one with it than without.
type effect struct {
	key  string
	with string // the setting, as text of the file; of a remote or a check, its line in their table
	on   func(t *testing.T, s config.Settings) any
}

// Where the effects are looked at: in the hands of the code that uses them.
var (
	thePolicy = func(_ *testing.T, s config.Settings) any { return policy(s) }

	// What is polled and fetched, from where and within which limits.
	theSource = func(_ *testing.T, s config.Settings) any { return sourceOptions(s) }

	// Where a manifest is looked for, and who may sign it.
	theManifests = func(_ *testing.T, s config.Settings) any {
		p := manifestPort{settings: s.Manifest, signers: manifestSigners(s)}
		var places []source.Place
		for _, at := range s.Manifest.Places() {
			places = append(places, p.place(at, "c", "n"))
		}
		return fmt.Sprint(places, p.signers, p.settings.AuditShare())
	}

	theResolver = func(_ *testing.T, s config.Settings) any { return resolver(s) }

	// The command that an evaluation runs.
	theEvaluation = func(t *testing.T, s config.Settings) any {
		var ran []command.Command
		nx := nixOf(s)
		nx.Credentials.Home = filepath.Dir(t.TempDir()) // the same for each look
		nx.Run = func(_ context.Context, c command.Command) ([]byte, error) {
			c.Stderr = nil
			ran = append(ran, c)
			return nil, errors.New("not here")
		}
		rev := reconcile.Revision{Commit: reconcile.Commit(strings.Repeat("a", 40)), Tree: "/nix/store/x-source"}
		if _, _, err := nx.Evaluate(t.Context(), rev, "web"); err == nil || len(ran) == 0 {
			t.Fatalf("the evaluation ran %v, %v", ran, err)
		}
		return ran
	}

	// What a person asks the agent at, and the record's place.
	theCommands = func(of func(*cobra.Command) (string, error)) func(*testing.T, config.Settings) any {
		return func(t *testing.T, s config.Settings) any {
			path := filepath.Join(t.TempDir(), "config.toml")
			write(t, path, fmt.Sprintf("run_dir = %q\nstate_dir = %q\nsource.remotes = [{ url = \"/srv/fleet\" }]\n", s.RunDir, s.StateDir))
			c := &cobra.Command{}
			dirFlags(c)
			if err := c.ParseFlags([]string{"--config", path}); err != nil {
				t.Fatal(err)
			}
			dir, err := of(c)
			if err != nil {
				t.Fatal(err)
			}
			return dir
		}
	}

	theGuard = func(_ *testing.T, s config.Settings) any {
		return node{system: &system.Node{}}.ports(s).Guard.(*guard.Client).Place
	}

	// What is logged, without the time.
	theLog = func(t *testing.T, s config.Settings) any {
		file, err := os.Create(filepath.Join(t.TempDir(), "log"))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		t.Setenv("JOURNAL_STREAM", "")
		log := logger(s, file)
		log.Debug("small", slog.Int("n", 1))
		log.Info("large", slog.Int("n", 2))
		text, err := os.ReadFile(file.Name())
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(bytes.Count(text, []byte("\n")), " lines, JSON: ", bytes.HasPrefix(text, []byte("{")))
	}

	theReceivers = func(_ *testing.T, s config.Settings) any { return node{}.receivers(s) }

	theControlSocket = func(t *testing.T, s config.Settings) any {
		dir := t.TempDir()
		l, err := control.Listen(dir, s.Control.Group)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		return mode(t, filepath.Join(dir, control.SocketName))
	}

	theMetrics = func(t *testing.T, s config.Settings) any {
		dir := t.TempDir()
		for _, path := range []*string{&s.Metrics.Listen, &s.Metrics.Socket, &s.Metrics.Textfile} {
			switch {
			case filepath.IsAbs(*path):
				*path = dir + *path
			case *path != "":
				*path = "127.0.0.1:0" // whichever is free
			}
		}
		c := metrics.New("", func() reconcile.Snapshot { return reconcile.Snapshot{Record: reconcile.New()} })
		got := map[string]string{}
		for _, o := range metricsOutputs(s.Metrics, nil) {
			ctx, cancel := context.WithCancel(t.Context())
			err := o.show(ctx, c, func() {
				got[o.name] = "a port"
				if files, _ := filepath.Glob(dir + "/*"); len(files) > 0 {
					got[o.name] = mode(t, files[len(files)-1])
				}
				cancel()
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		return got
	}
)

func mode(t *testing.T, path string) string {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().String()
}

var effects = []effect{
	{"node", `node = "web9"`, theResolver},
	{"mode", `mode = "observe"`, thePolicy},
	{"state_dir", `state_dir = "/persist/agent"`, theGuard},
	{"run_dir", `run_dir = "/run/fleet"`, theCommands(runDir)},
	{"rollback", `rollback = "hold"`, thePolicy},
	{"last_resort", `last_resort = "stuck"`, thePolicy},
	{"source.remotes[].name", `name = "forge"`, theSource},
	{"source.remotes[].url", `url = "https://other.example.org/fleet.git"`, theSource},
	{"source.remotes[].username", `username = "bot"`, theSource},
	{"source.remotes[].token_file", `token_file = "/run/token"`, theSource},
	{"source.remotes[].ssh_key_file", `ssh_key_file = "/run/other"`, theSource},
	{"source.remotes[].known_hosts_file", `known_hosts_file = "/etc/other"`, theSource},
	{"source.remotes[].ca_file", `ca_file = "/etc/ca.pem"`, theSource},
	{"source.remotes[].timeout", `timeout = "5s"`, theSource},
	{"source.branch", `source.branch = "release-{name}"`, theSource},
	{"source.testing_branch", `source.testing_branch = "testing"`, theSource},
	{"source.subdir", `source.subdir = "nix"`, theEvaluation},
	{"source.interval", `source.interval = "5s"`, theSource},
	{"source.expose_revision", `source.expose_revision = false`, theEvaluation},
	{"source.encrypted", `source.encrypted = "refuse"`, theSource},
	{"source.submodules", `source.submodules = "fetch"`, theSource},
	{"source.lfs", `source.lfs = true`, theSource},
	{"source.hosts[].host", `source.hosts = [{ host = "other.example.org" }]`, theSource},
	{"source.hosts[].username", `source.hosts = [{ host = "h", username = "bot" }]`, theSource},
	{"source.hosts[].token_file", `source.hosts = [{ host = "h", token_file = "/run/token" }]`, theSource},
	{"source.hosts[].ssh_key_file", `source.hosts = [{ host = "h", known_hosts_file = "/etc/hosts", ssh_key_file = "/run/key" }]`, theSource},
	{"source.hosts[].known_hosts_file", `source.hosts = [{ host = "h", known_hosts_file = "/etc/hosts" }]`, theSource},
	{"source.hosts[].ca_file", `source.hosts = [{ host = "h", ca_file = "/etc/ca.pem" }]`, theSource},
	{"trust.policy", `trust = { policy = "tip", allowed_signers_file = "/etc/signers" }`, theSource},
	{"trust.allowed_signers_file", `trust.allowed_signers_file = "/etc/signers"`, theSource},
	{"trust.openpgp_keyring_file", `trust.openpgp_keyring_file = "/etc/keys"`, theSource},
	{"trust.revocation_file", `trust.revocation_file = "/etc/revoked"`, theSource},
	{"trust.manifest_signers_file", `trust.manifest_signers_file = "/etc/ci"`, theManifests},
	{"manifest.mode", `manifest.mode = "prefer"` + "\n" + `trust.manifest_signers_file = "/etc/ci"`, thePolicy},
	{"manifest.wait", `manifest.wait = "5m"`, thePolicy},
	{"manifest.audit", `manifest.audit = "5%"`, theManifests},
	{"manifest.sources", `manifest.sources = ["branch:ci", "https://ci.example.org/{commit}/{node}.json", "store:https://ci.example.org/{commit}", "pin:https://ci.example.org/pins#{node}"]`, theManifests},
	{"trust.authorizations", `trust = { policy = "all", introduction = "2f1c9d4be03a5c7786d1e0f9ab3c5d7e8f901234", authorizations = "signers" }`, theSource},
	{"trust.introduction", `trust = { policy = "all", authorizations = "signers", introduction = "2f1c9d4be03a5c7786d1e0f9ab3c5d7e8f901234" }`, theSource},
	{"registry.source", `registry.source = "none"`, theResolver},
	{"registry.file", `registry.file = "nodes.toml"`, theResolver},
	{"registry.attr", `registry.attr = "fleet.registry"`, theResolver},
	{"registry.map.nodes", `registry.map.nodes = "hosts"`, theResolver},
	{"registry.map.roles", `registry.map.roles = "profiles"`, theResolver},
	{"registry.map.system", `registry.map.system = "arch"`, theResolver},
	{"registry.map.hostname", `registry.map.hostname = "name"`, theResolver},
	{"registry.map.managed_when", `registry.map.managed_when = "!appliance"`, theResolver},
	{"nix.configuration", `nix.configuration = "web"`, theResolver},
	{"nix.file", `nix.file = "default.nix"`, theEvaluation},
	{"nix.attr", "nix.file = \"default.nix\"\nnix.attr = \"nodes\"", theEvaluation},
	{"nix.impure", `nix.impure = true`, theEvaluation},
	{"nix.override_inputs", `nix.override_inputs = { secrets = "path:/etc/s" }`, theEvaluation},
	{"nix.netrc_file", `nix.netrc_file = "/run/netrc"`, theEvaluation},
	{"nix.access_tokens_file", `nix.access_tokens_file = "/run/tokens"`, theEvaluation},
	{"nix.ssh_key_file", `nix.ssh_key_file = "/run/key"`, theEvaluation},
	{"nix.ssh_config_file", `nix.ssh_config_file = "/etc/ssh_config"`, theEvaluation},
	{"nix.known_hosts_file", `nix.known_hosts_file = "/etc/hosts"`, theEvaluation},
	{"nix.extra_args", `nix.extra_args = ["--show-trace"]`, theEvaluation},
	{"limits.fetch", `limits.fetch = "30m"`, thePolicy},
	{"limits.fetch", `limits.fetch = "30m"`, theSource},
	{"limits.evaluate", `limits.evaluate = "30m"`, thePolicy},
	{"limits.build", `limits.build = "30m"`, thePolicy},
	{"limits.activate", `limits.activate = "30m"`, thePolicy},
	{"limits.promote", `limits.promote = "30m"`, thePolicy},
	{"limits.rollback", `limits.rollback = "30m"`, thePolicy},
	{"limits.verify_rollback", `limits.verify_rollback = "30m"`, thePolicy},
	{"limits.evaluate_memory", `limits.evaluate_memory = "1GiB"`, theEvaluation},
	{"limits.tree_bytes", `limits.tree_bytes = "1MiB"`, theSource},
	{"limits.tree_entries", `limits.tree_entries = 1000`, theSource},
	{"limits.fetch_bytes", `limits.fetch_bytes = "1MiB"`, theSource},
	{"confirm.settle", `confirm.settle = "20s"`, thePolicy},
	{"confirm.window", `confirm.window = "2m"`, thePolicy},
	{"confirm.deadline", `confirm.deadline = "20m"`, thePolicy},
	{"confirm.deadline_max", `confirm.deadline_max = "2h"`, thePolicy},
	{"confirm.targets", `confirm.targets = ["192.0.2.1:443"]`, thePolicy},
	{"confirm.ignore_units", `confirm.ignore_units = ["fwupd*.service"]`, thePolicy},
	{"checks.NAME.kind", `kind = "file", path = "/a"`, thePolicy},
	{"checks.NAME.required", `kind = "unit", unit = "a.service", required = false`, thePolicy},
	{"checks.NAME.within", `kind = "unit", unit = "a.service", within = "7s"`, thePolicy},
	{"checks.NAME.interval", `kind = "unit", unit = "a.service", interval = "7s"`, thePolicy},
	{"checks.NAME.timeout", `kind = "unit", unit = "a.service", timeout = "7s"`, thePolicy},
	{"checks.NAME.successes", `kind = "unit", unit = "a.service", successes = 3`, thePolicy},
	{"checks.NAME.unit", `kind = "unit", unit = "b.service"`, thePolicy},
	{"checks.NAME.target", `kind = "http", target = "http://localhost/b"`, thePolicy},
	{"checks.NAME.status", `kind = "http", target = "http://localhost/", status = 204`, thePolicy},
	{"checks.NAME.contains", `kind = "http", target = "http://localhost/", contains = "ok"`, thePolicy},
	{"checks.NAME.command", `kind = "exec", command = ["/bin/false"]`, thePolicy},
	{"checks.NAME.server", `kind = "dns", target = "localhost", server = "127.0.0.1:53"`, thePolicy},
	{"checks.NAME.answer", `kind = "dns", target = "localhost", answer = "192.0.2.7"`, thePolicy},
	{"checks.NAME.path", `kind = "mount", path = "/b"`, thePolicy},
	{"checks.NAME.max_age", `kind = "file", path = "/a", max_age = "1h"`, thePolicy},
	{"metrics.listen", `metrics.listen = "/s"`, theMetrics},
	{"metrics.socket", `metrics.socket = "/s"`, theMetrics},
	{"metrics.textfile", `metrics.textfile = "/x.prom"`, theMetrics},
	{"metrics.socket_group", `metrics = { listen = "/s", socket_group = "daemon" }`, theMetrics},
	{"notify.held_after", `notify.held_after = "30m"`, thePolicy},
	{"notify.events", "notify.events = [\"tested\"]\n" + aHook(""), theReceivers},
	{"notify.command", `notify.command = ["/bin/tell"]`, theReceivers},
	{"notify.command_secret_file", "notify.command = [\"/bin/tell\"]\nnotify.command_secret_file = \"/run/pager\"", theReceivers},
	{"notify.webhooks[].name", aHook(`name = "chat"`), theReceivers},
	{"notify.webhooks[].url", `notify.webhooks = [{ url = "http://h/" }]`, theReceivers},
	{"notify.webhooks[].secret_file", `notify.webhooks = [{ url = "http://h/{secret}", secret_file = "/run/other" }]`, theReceivers},
	{"notify.webhooks[].headers", aHook(`headers = ["X-Title: x"]`), theReceivers},
	{"notify.webhooks[].template", aHook(`template = "{text}"`), theReceivers},
	{"notify.webhooks[].events", aHook(`events = ["tested"]`), theReceivers},
	{"notify.webhooks[].ca_file", aHook(`ca_file = "/etc/ca.pem"`), theReceivers},
	{"notify.webhooks[].timeout", aHook(`timeout = "7s"`), theReceivers},
	{"log.level", `log.level = "debug"`, theLog},
	{"log.format", `log.format = "json"`, theLog},
	{"control.group", `control.group = "daemon"`, theControlSocket},
}

// without is the file of an effect without its setting; where nothing stands here it is the smallest one.
var without = map[string]string{
	"source.remotes[].ssh_key_file":     sshRemote(""),
	"source.remotes[].known_hosts_file": sshRemote(""),
	"source.hosts[].host":               aHost(""),
	"source.hosts[].username":           aHost(""),
	"source.hosts[].token_file":         aHost(""),
	"source.hosts[].ssh_key_file":       aHost(`, known_hosts_file = "/etc/hosts"`),
	"source.hosts[].known_hosts_file":   aHost(""),
	"source.hosts[].ca_file":            aHost(""),
	"trust.policy":                      webRemote("") + `trust.allowed_signers_file = "/etc/signers"` + "\n",
	"trust.authorizations":              webRemote("") + `trust = { policy = "all", introduction = "2f1c9d4be03a5c7786d1e0f9ab3c5d7e8f901234", authorizations = "keys" }` + "\n",
	"trust.introduction":                webRemote("") + `trust = { policy = "all", authorizations = "signers", introduction = "1111111111111111111111111111111111111111" }` + "\n",
	"checks.NAME.kind":                  aCheck(`kind = "mount", path = "/a"`),
	"checks.NAME.target":                aCheck(`kind = "http", target = "http://localhost/a"`),
	"checks.NAME.status":                aCheck(`kind = "http", target = "http://localhost/"`),
	"checks.NAME.contains":              aCheck(`kind = "http", target = "http://localhost/"`),
	"checks.NAME.command":               aCheck(`kind = "exec", command = ["/bin/true"]`),
	"checks.NAME.server":                aCheck(`kind = "dns", target = "localhost"`),
	"checks.NAME.answer":                aCheck(`kind = "dns", target = "localhost"`),
	"checks.NAME.path":                  aCheck(`kind = "mount", path = "/a"`),
	"checks.NAME.max_age":               aCheck(`kind = "file", path = "/a"`),
	"notify.events":                     webRemote("") + aHook("") + "\n",
	"notify.command_secret_file":        webRemote("") + `notify.command = ["/bin/tell"]` + "\n",
	"notify.webhooks[].name":            webRemote("") + aHook("") + "\n",
	"notify.webhooks[].url":             webRemote("") + aHook("") + "\n",
	"notify.webhooks[].secret_file":     webRemote("") + `notify.webhooks = [{ url = "http://h/{secret}", secret_file = "/run/secret" }]` + "\n",
	"notify.webhooks[].headers":         webRemote("") + aHook("") + "\n",
	"notify.webhooks[].template":        webRemote("") + aHook("") + "\n",
	"notify.webhooks[].events":          webRemote("") + aHook("") + "\n",
	"notify.webhooks[].ca_file":         webRemote("") + aHook("") + "\n",
	"notify.webhooks[].timeout":         webRemote("") + aHook("") + "\n",
	"metrics.socket_group":              webRemote("") + `metrics.listen = "/s"` + "\n",
}

func webRemote(line string) string {
	return remoteOf(line, `url = "https://git.example.org/fleet.git"`)
}

func sshRemote(line string) string {
	return remoteOf(line, `url = "ssh://git@git.example.org/fleet.git"`, `ssh_key_file = "/run/key"`, `known_hosts_file = "/etc/hosts"`)
}

// remoteOf is a remote with a line, which replaces the one of the same key.
func remoteOf(line string, lines ...string) string {
	key, _, _ := strings.Cut(line, " ")
	var all []string
	for _, l := range lines {
		if key == "" || !strings.HasPrefix(l, key+" ") {
			all = append(all, l)
		}
	}
	if line != "" {
		all = append(all, line)
	}
	return "source.remotes = [{ " + strings.Join(all, ", ") + " }]\n"
}

func aHost(more string) string {
	return webRemote("") + `source.hosts = [{ host = "h"` + more + " }]\n"
}

func aHook(more string) string {
	return strings.Replace(`notify.webhooks = [{ url = "https://h/", MORE }]`, ", MORE", strings.TrimRight(", "+more, ", "), 1)
}

func aCheck(text string) string { return webRemote("") + "checks.a = { " + text + " }\n" }

// TestEverySettingHasAnEffect: a key that nobody uses is a promise that is not kept. What comes of an effect there is tested
// where it is used; here each key arrives there.
func TestEverySettingHasAnEffect(t *testing.T) {
	seen := map[string]bool{}
	for _, e := range effects {
		seen[e.key] = true
		t.Run(e.key, func(t *testing.T) {
			if os.Getuid() != 0 && strings.Contains(e.with, "daemon") {
				t.Skip("only root may give a socket to a group")
			}
			before, after := webRemote(""), webRemote("")+e.with+"\n"
			if strings.HasPrefix(e.key, "checks.") {
				before, after = aCheck(`kind = "unit", unit = "a.service"`), aCheck(e.with)
			} else if strings.HasPrefix(e.key, "source.remotes[].") {
				after = webRemote(e.with)
			}
			if text, ok := without[e.key]; ok {
				if before = text; strings.Contains(text, "ssh://") {
					after = sshRemote(e.with)
				}
			}
			parse := func(text string) any {
				s, err := config.Parse("config.toml", []byte(text))
				if err != nil {
					t.Fatal(err)
				}
				return e.on(t, s)
			}
			a, again, b := fmt.Sprintf("%+v", parse(before)), fmt.Sprintf("%+v", parse(before)), fmt.Sprintf("%+v", parse(after))
			if a != again {
				t.Errorf("without a change it is %s and then %s", a, again)
			}
			if a == b {
				t.Errorf("%s changes nothing: it is %s", e.with, a)
			}
		})
	}
	for _, key := range config.Keys() {
		if !seen[key.Name] {
			t.Errorf("%s: say in the table of effects what it changes", key.Name)
		}
	}
}
