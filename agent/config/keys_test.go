package config

import (
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
	"github.com/google/go-cmp/cmp"

	"github.com/infra-agent/infra-agent/reconcile"
)

// TestKeys holds some keys, of each form, against what is written here.
func TestKeys(t *testing.T) {
	want := map[string]Key{
		"node":                      {Type: "string", Default: `""`, Example: `"web1"`, Doc: "Name of this node in the registry; empty: found by hostname."},
		"rollback":                  {Type: "auto, hold, never", Default: `"auto"`, Example: `"hold"`, Doc: "What happens when a trial is not healthy; nodes and roles may override it."},
		"source.remotes[].url":      {Type: "string", Required: true, Example: `"https://git.example.org/fleet.git"`, Doc: "https://…, http://…, ssh://git@…, git@host:path, git://…, file:///… or an absolute path; never with a password."},
		"source.interval":           {Type: "duration", Default: `"1m"`, Example: `"30s"`, Doc: "Between two polls, 5s to 24h."},
		"trust.revocation_file":     {Type: "file", Default: `""`, Example: `"/etc/infra-agent/revoked"`, Doc: "SSH public keys that are not accepted any more, one a line; empty: none."},
		"nix.impure":                {Type: "bool", Default: "false", Example: "true", Doc: "Evaluations may look at the node: its files, environment and time."},
		"nix.override_inputs":       {Type: "table", Default: "{}", Example: `{ secrets = "path:/etc/fleet-secrets" }`, Doc: "Flake references by the name of the input that they stand for."},
		"limits.tree_bytes":         {Type: "size", Default: `"1GiB"`, Example: `"4GiB"`, Doc: "Most bytes in the files of a revision, of which a single one has at most 100MiB; no less than 1MiB."},
		"confirm.ignore_units":      {Type: "list", Default: "[]", Example: `["fwupd*.service"]`, Doc: "Globs of units whose failure does not count."},
		"checks.NAME.successes":     {Type: "integer", Default: "2", Example: "3", Doc: "Successes in a row that make the check green."},
		"checks.NAME.status":        {Type: "http status", Example: "204", Doc: "http: wanted status; none: any 2xx."},
		"metrics.socket_group":      {Type: "group", Default: `""`, Example: `"prometheus"`, Doc: "Group that may connect to the unix socket; empty: root alone."},
		"registry.map.managed_when": {Type: "string", Default: `""`, Example: `"!appliance"`, Doc: "map: key, !key, key=value or key!=value of managed nodes; empty: all."},
	}
	got := map[string]Key{}
	for _, key := range Keys() {
		if key.Example == "" || key.Example == `""` || !strings.HasSuffix(key.Doc, ".") {
			t.Errorf("%s: want an example and a sentence of documentation, got %q and %q", key.Name, key.Example, key.Doc)
		}
		if key.Default == key.Example {
			t.Errorf("%s: the example is the default", key.Name)
		}
		if key.Name == "checks.NAME.kind" {
			var kinds []string
			for _, kind := range reconcile.CheckKinds {
				kinds = append(kinds, string(kind))
			}
			if want := strings.Join(kinds, ", "); key.Type != want {
				t.Errorf("kinds of checks are documented as %s, and there are %s", key.Type, want)
			}
		}
		name := key.Name
		key.Name = ""
		if _, chosen := want[name]; chosen {
			got[name] = key
		}
		if name == "checks.NAME.name" || name == "checks" || name == "source.remotes" {
			t.Errorf("%s is no key that has a value", name)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Keys (-want +got):\n%s", diff)
	}
}

// TestDefaultsAreAsDocumented writes each documented default into a file: it must
// change nothing. What is written as an example must have the right form.
func TestDefaultsAreAsDocumented(t *testing.T) {
	const base = remote + "[[source.hosts]]\nhost = \"h\"\n[[notify.webhooks]]\nurl= \"https://h\"\n[checks.NAME]\nkind = \"unit\"\nunit = \"a.service\"\n"
	want, err := Parse("base", []byte(base))
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range Keys() {
		var example struct{ V any }
		if _, err := toml.Decode("V = "+key.Example, &example); err != nil {
			t.Errorf("%s: the example %s: %v", key.Name, key.Example, err)
		}
		if key.Default == "" {
			continue
		}
		line := key.Name + " = " + key.Default + "\n"
		text := line + base
		if name, ok := strings.CutPrefix(key.Name, "source.remotes[]."); ok {
			text = strings.Replace(base, "url", name+" = "+key.Default+"\nurl", 1)
		}
		if name, ok := strings.CutPrefix(key.Name, "source.hosts[]."); ok {
			text = strings.Replace(base, "host =", name+" = "+key.Default+"\nhost =", 1)
		}
		if name, ok := strings.CutPrefix(key.Name, "notify.webhooks[]."); ok {
			text = strings.Replace(base, "url=", name+" = "+key.Default+"\nurl=", 1)
		}
		if name, ok := strings.CutPrefix(key.Name, "checks.NAME."); ok {
			text = base + name + " = " + key.Default + "\n"
		}
		got, err := Parse(key.Name, []byte(text))
		if err != nil {
			t.Errorf("%s: %v", key.Name, err)
			continue
		}
		empty := cmp.FilterValues(func(a, b []string) bool { return len(a)+len(b) == 0 }, cmp.Ignore())
		if diff := cmp.Diff(want, got, empty); diff != "" {
			t.Errorf("%s: the documented default is not the default (-default +documented):\n%s", key.Name, diff)
		}
	}
}
