//go:build integration

package nixosmodule

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// monitoring is the configuration of a host with the module for monitoring alone.
func monitoring(settings string) string {
	return fmt.Sprintf(`((import (dir + /testdata/lib.nix)).evalModules {
		specialArgs.pkgs = import (dir + /testdata/pkgs.nix) { system = "x86_64-linux"; };
		modules = [ (dir + /monitoring.nix) (dir + /testdata/nixos.nix) { services.infra-agent.monitoring = { enable = true; %s }; } ];
	}).config`, settings)
}

func TestMonitoring(t *testing.T) {
	var got struct {
		Scrape    json.RawMessage
		Rules     []string
		Providers []struct{ Name string }
		Services  []string
		Node      map[string][]string
	}
	const shown = `{
		scrape = map (c: c // { file_sd_configs = map (f: builtins.length f.files) c.file_sd_configs; }) c.services.prometheus.scrapeConfigs;
		rules = map baseNameOf c.services.prometheus.ruleFiles;
		providers = c.services.grafana.provision.dashboards.settings.providers;
		services = builtins.attrNames c.systemd.services ++ builtins.attrNames c.systemd.timers;
		node = c.services.prometheus.exporters.node;
	}`
	check(t, evaluate(t, `let c = `+monitoring(`package = "/agent"; registry = "/etc/infrastructure.toml"; interval = "1m";`)+`; in `+shown, &got))
	if want := `[{"file_sd_configs":[1],"job_name":"infra-agent","scrape_interval":"1m"}]`; string(got.Scrape) != want {
		t.Errorf("it scrapes %s, want %s", got.Scrape, want)
	}
	if len(got.Rules) != 1 || !strings.HasSuffix(got.Rules[0], "-infra-agent.rules.yml") {
		t.Errorf("rules are %q", got.Rules)
	}
	if len(got.Providers) != 1 || got.Providers[0].Name != "infra-agent" || len(got.Services) > 0 {
		t.Errorf("boards of %v, units %v", got.Providers, got.Services)
	}
	check(t, evaluate(t, `let c = `+monitoring(`package = "/agent"; registry = "/r"; head.url = "https://git.example.org/fleet.git";`)+`; in `+shown, &got))
	if want := []string{"infra-agent-head", "infra-agent-head"}; !slices.Equal(got.Services, want) || !slices.Equal(got.Node["extraFlags"], []string{"--collector.textfile.directory=/var/lib/infra-agent-head"}) {
		t.Errorf("units %v, node_exporter %v", got.Services, got.Node)
	}
	if err := evaluate(t, monitoring(`package = "/agent";`)+`.services.prometheus.scrapeConfigs`, &got); err == nil || !strings.Contains(err.Error(), "services.infra-agent.monitoring.registry") {
		t.Errorf("without a registry: %v", err)
	}
}

// What is built of the registry and of the boards is built for real, by the agent of this checkout.
func TestMonitoringBuilds(t *testing.T) {
	program := t.TempDir()
	command := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(program, "bin/infra-agent"), "../cmd/infra-agent")
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	registry := filepath.Join(t.TempDir(), "infrastructure.toml")
	check(t, os.WriteFile(registry, []byte("schema = 1\n[nodes.dns-01]\nsystem = \"x86_64-linux\"\naddress = \"10.0.0.2\"\n"), 0o644))
	config := monitoring(fmt.Sprintf(`package = %q; registry = %q; port = 9999;`, program, registry))
	targets, err := build(t, `(import (dir + /testdata/pkgs.nix) { system = "x86_64-linux"; }).writeText "targets" (builtins.readFile (builtins.head (builtins.head (builtins.head `+config+`.services.prometheus.scrapeConfigs).file_sd_configs).files))`)
	check(t, err)
	var groups []struct {
		Targets []string
		Labels  map[string]string
	}
	check(t, json.Unmarshal([]byte(targets), &groups))
	if len(groups) != 1 || groups[0].Labels["node"] != "dns-01" || !slices.Equal(groups[0].Targets, []string{"10.0.0.2:9999"}) {
		t.Errorf("targets are %s", targets)
	}
	boards := `(builtins.head ` + config + `.services.grafana.provision.dashboards.settings.providers).options.path`
	for file, expression := range map[string]string{
		"grafana/fleet.json":               boards + ` + "/fleet.json"`,
		"grafana/node.json":                boards + ` + "/node.json"`,
		"prometheus/infra-agent.rules.yml": `builtins.head ` + config + `.services.prometheus.ruleFiles`,
	} {
		got, err := build(t, `(import (dir + /testdata/pkgs.nix) { system = "x86_64-linux"; }).writeText "copy" (builtins.readFile (`+expression+`))`)
		check(t, err)
		want, err := os.ReadFile(filepath.Join("../packaging", file))
		check(t, err)
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", file, diff)
		}
	}
}

// The script of the unit that asks for the branch's head leaves the last answer where there is no other.
func TestMonitoringAsksForTheHead(t *testing.T) {
	program, directory := t.TempDir(), t.TempDir()
	scriptOf := func(head string) (script string) {
		check(t, evaluate(t, monitoring(fmt.Sprintf(`package = %q; registry = "/r"; head = { directory = %q; %s };`, program, directory, head))+`.systemd.services.infra-agent-head.script`, &script))
		return script
	}
	script := scriptOf(`url = "https://git.example.org/it's.git";`)
	run := func(answer string) error {
		t.Helper()
		check(t, os.MkdirAll(filepath.Join(program, "bin"), 0o755))
		check(t, os.WriteFile(filepath.Join(program, "bin/infra-agent"), []byte("#!/bin/sh\n"+answer+"\n"), 0o755))
		unit := exec.CommandContext(t.Context(), "sh", "-e", "-c", strings.ReplaceAll(script, "/tmp/head", filepath.Join(program, "head"))) // NixOS runs scripts with -e
		return unit.Run()
	}
	check(t, run(`echo "$*"`))
	const want = "registry head --url https://git.example.org/it's.git --branch main\n"
	read := func() string {
		text, err := os.ReadFile(filepath.Join(directory, "infra-agent.prom"))
		check(t, err)
		return string(text)
	}
	if got := read(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if err := run("exit 1"); err == nil || read() != want {
		t.Errorf("when nobody answers: %v, and %q", err, read())
	}
	script = scriptOf(`config = "/etc/infra-agent/config.toml";`) // of a repository that asks who one is
	check(t, run(`echo "$*"`))
	if got, want := read(), "registry head --config /etc/infra-agent/config.toml\n"; got != want {
		t.Errorf("with settings: got %q, want %q", got, want)
	}
}
