package registry

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/infra-agent/infra-agent/reconcile"
)

// valued is a flake whose registry is this JSON; "" when it has none.
func valued(t *testing.T, attr, json string) Flake {
	f := flake("dns-01")
	f.Value = func(_ context.Context, got string) ([]byte, error) {
		if got != attr {
			t.Errorf("asked for %s, want %s", got, attr)
		}
		if json == "" {
			return nil, nil
		}
		return []byte(json), nil
	}
	return f
}

func TestRegistryOfTheFlake(t *testing.T) {
	const attr = "infraAgent.registry"
	const registry = `{"schema": 1, "fleet": {"domain": "example.org"}, "nodes": {"dns-01": {
		"roles": ["dns"], "vmid": 100, "meta": {"size": 1.5, "none": null, "list": [null]}, "address": null,
		"checks": {"up": {"kind": "tcp", "target": "{node}.{domain}:53"}}}}}`
	got, err := here().Resolve(t.Context(), t.TempDir(), valued(t, attr, registry))
	if err != nil || len(got.Roles) != 1 || len(got.Checks) != 1 || got.Checks[0].Target != "dns-01.example.org:53" {
		t.Errorf("Resolve = %+v, %v, want role and check of the flake's registry", got, err)
	}
	other := here()
	other.Source, other.Attr = Nix, "fleet.nodes"
	if got, err := other.Resolve(t.Context(), t.TempDir(), valued(t, "fleet.nodes", registry)); err != nil || len(got.Roles) != 1 {
		t.Errorf("Resolve of another attribute = %+v, %v", got, err)
	}
	if got, err := here().Resolve(t.Context(), t.TempDir(), valued(t, attr, "")); err != nil || got.Node != "dns-01" || got.Roles != nil {
		t.Errorf("Resolve without a registry = %+v, %v, want the output dns-01", got, err)
	}
	must := here()
	must.Source = Nix
	_, err = must.Resolve(t.Context(), t.TempDir(), valued(t, attr, ""))
	wantRefused(t, err, "the flake has no attribute infraAgent.registry, and registry.source is nix")
	for json, want := range map[string]string{
		`[]`: "infraAgent.registry: is not a JSON object",
		`{"schema": 1, "nodes": {"a": {"rolez": []}}}`:                  `infraAgent.registry: nodes.a.rolez: unknown key (did you mean "roles"?)`,
		`{"schema": 1, "nodes": {"a": {"vmid": 9223372036854775808}}}`:  "the number 9223372036854775808 is too large",
		`{"schema": 1, "nodes": {"a": {"_x": 1}}}`:                      "nodes.a._x: Nix gives keys",
		`{"schema": 1, "nodes": {"a": {"roles": ["x", null]}}}`:         "infraAgent.registry: nodes.a.roles[1]: want a string, got null",
		`{"schema": 1, "waves": [null]}`:                                "infraAgent.registry: waves: want a table, got a list",
		`{"schema": 1, "roles": {"r": {"secrets": [null]}}}`:            "infraAgent.registry: roles.r.secrets[0]: want a table, got null",
		`{"schema": 1, "": 1}`:                                          `infraAgent.registry: "": unknown key`,
		`{"schema": 1, "nodes": {"a": {"vmid": 1.5}}}`:                  "nodes.a.vmid: want an integer, got a fraction",
		`{"schema": 1, "nodes": {"a": {"checks": {"c": {"kind": 1}}}}}`: "nodes.a.checks.c.kind: want a string, got an integer",
	} {
		_, err := here().Resolve(t.Context(), t.TempDir(), valued(t, attr, json))
		wantRefused(t, err, want)
	}
	broken := errors.New("cannot evaluate")
	f := valued(t, attr, "")
	f.Value = func(context.Context, string) ([]byte, error) { return nil, broken }
	if _, err := here().Resolve(t.Context(), t.TempDir(), f); !errors.Is(err, broken) {
		t.Errorf("Resolve: %v, want the evaluation's error", err)
	}
	if _, rejected := reconcile.RejectedBy(err); !rejected {
		t.Errorf("%v is not rejected", err)
	}
}

func TestForeignFiles(t *testing.T) {
	byName := Mapping{Nodes: "infra.hosts", Roles: "profiles", System: "deploy.arch", Hostname: "name", ManagedWhen: "!appliance"}
	const table = `
[infra.hosts.web]
name = "dns-01"
profiles = ["web", "db"]
deploy = { arch = "x86_64-linux", user = "root" }
[infra.hosts.nas]
appliance = true
profiles = { smb = true, nfs = false }
`
	list := Mapping{Nodes: "machines", Roles: "role", Hostname: "host", ManagedWhen: "state=live"}
	const json = `{"machines": [{"host": "dns-01", "role": "dns", "state": "live"}, {"host": "old", "state": "retired"}, {"host": "new"}]}`
	for _, c := range []struct {
		name, file, text string
		mapping          Mapping
		host             string
		roles            string
		refused          string
	}{
		{name: "table", file: "hosts.toml", text: table, mapping: byName, host: "dns-01", roles: "[db web]"},
		{name: "opt-out", file: "hosts.toml", text: table, mapping: byName, host: "nas", refused: "node nas is unmanaged"},
		{name: "switches", file: "hosts.toml", text: table, mapping: Mapping{Nodes: "infra.hosts", Roles: "profiles"}, host: "nas", roles: "[smb]"},
		{name: "list", file: "m.json", text: json, mapping: list, host: "dns-01", roles: "[dns]"},
		{name: "opt-in by value", file: "m.json", text: json, mapping: list, host: "old", refused: "node old is unmanaged"},
		{name: "opt-in without the key", file: "m.json", text: json, mapping: list, host: "new", refused: "node new is unmanaged"},
		{name: "opt-out by value", file: "m.json", text: json, mapping: Mapping{Nodes: "machines", Hostname: "host", ManagedWhen: "state!=retired"}, host: "new", roles: "[]"},
		{name: "opt-in by flag", file: "hosts.toml", text: table, mapping: Mapping{Nodes: "infra.hosts", ManagedWhen: "managed"}, host: "web", refused: "node web is unmanaged"},
		{name: "list of tables", file: "l.toml", text: "[[h]]\nn = \"dns-01\"\n", mapping: Mapping{Nodes: "h", Hostname: "n"}, host: "dns-01", roles: "[]"},
		{name: "no such table", file: "hosts.toml", text: table, mapping: Mapping{Nodes: "hosts"}, host: "web", refused: "registry.map.nodes: the file has no hosts"},
		{name: "no table", file: "hosts.toml", text: table, mapping: Mapping{Nodes: "infra.hosts.web.name"}, host: "web", refused: "is neither a table nor a list"},
		{name: "list without names", file: "m.json", text: json, mapping: Mapping{Nodes: "machines"}, host: "web", refused: "machines[0]: registry.map.hostname must name a key"},
		{name: "system that is none", file: "hosts.toml", text: table, mapping: Mapping{Nodes: "infra.hosts", System: "name"}, host: "web", refused: `nodes.web.system: "dns-01" is not a system`},
		{name: "another system", file: "hosts.toml", text: strings.Replace(table, "x86_64", "aarch64", 1), mapping: byName, host: "dns-01", refused: "node web is aarch64-linux in the registry"},
		{name: "syntax", file: "hosts.toml", text: "[", mapping: byName, host: "web", refused: "hosts.toml:1:"},
		{name: "not JSON", file: "m.json", text: "{", mapping: list, host: "web", refused: "m.json: is not a JSON object"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, c.file), []byte(c.text), 0o644); err != nil {
				t.Fatal(err)
			}
			r := named(c.host, "")
			r.Source, r.File, r.Mapping = Map, c.file, c.mapping
			got, err := r.Resolve(t.Context(), dir, never(t))
			if c.refused != "" {
				wantRefused(t, err, c.refused)
				return
			}
			if roles := fmt.Sprint(got.Roles); err != nil || roles != c.roles {
				t.Errorf("roles %s, %v, want %s", roles, err, c.roles)
			}
		})
	}
}

// TestNarrowChangesNothing resolves random registries whole and narrowed.
func TestNarrowChangesNothing(t *testing.T) {
	names := []string{"web-01", "web-010", "WEB-01", "db.x", "x"}
	rapid.Check(t, func(t *rapid.T) {
		name := func(label string) string { return rapid.SampledFrom(names).Draw(t, label) }
		var text strings.Builder
		text.WriteString("schema = 1\n[roles.r]\nwave = \"w\"\n")
		for i, n := range rapid.SliceOfNDistinct(rapid.SampledFrom(names), 1, 5, rapid.ID).Draw(t, "nodes") {
			fmt.Fprintf(&text, "[nodes.%q]\n", n)
			if rapid.Bool().Draw(t, "hostname") {
				fmt.Fprintf(&text, "hostname = %q\n", name("hostname"))
			}
			if rapid.Bool().Draw(t, "alias") {
				fmt.Fprintf(&text, "aliases = [\n  \"\\u0077eb-01\", '''%s''']\n", name("alias"))
			}
			fmt.Fprintf(&text, "roles = [\"r\"] # [nodes.y]\nmeta = \"\"\"\n[nodes.z]\n\"\"\"\n[nodes.%q.checks.c%d]\nkind = \"unit\"\nunit = \"a.service\"\n", n, i)
		}
		r := named(name("short"), "")
		if rapid.Bool().Draw(t, "set") {
			r = named("nixos", "")
			r.Node = name("node")
		}
		data := []byte(text.String())
		narrowed := narrow(data, r.names())
		if got, want := strings.Count(string(narrowed), "\n"), strings.Count(text.String(), "\n"); got != want {
			t.Fatalf("%d lines, want %d", got, want)
		}
		resolved := func(data []byte) (reconcile.Target, string) {
			f, err := Parse("f", data)
			if err != nil {
				t.Fatal(err)
			}
			got, err := r.registered(f)
			if err != nil {
				text, _, _ := strings.Cut(err.Error(), " (hint") // of names that are near
				return got, text
			}
			return got, ""
		}
		want, wantErr := resolved(data)
		got, gotErr := resolved(narrowed)
		if diff := cmp.Diff(want, got); diff != "" || gotErr != wantErr {
			t.Fatalf("error %q, want %q; target (-want +got):\n%s", gotErr, wantErr, diff)
		}
	})
}

func TestMistakesOfOthersDoNotHoldThisNode(t *testing.T) {
	const text = "schema = 1\n[nodes.dns-01]\n[nodes.other]\nvmid = \"x\"\n"
	if _, err := resolve(t, here(), text); err != nil {
		t.Errorf("Resolve: %v, want that the mistake of node other does not count", err)
	}
	_, err := resolve(t, here(), strings.Replace(text, "[nodes.other]", "[nodes.other]\naliases = [\"dns-01\"]", 1))
	wantRefused(t, err, "nodes.other.vmid: want an integer")
	_, err = resolve(t, here(), "[nodes.dns-01]\nvmid = 1\nvmid = 2\n[nodes.other]\nvmid = \"x\"\n")
	wantRefused(t, err, "infrastructure.toml:3:1: Key")
}

// long writes a registry of 10,000 nodes, about 5 MB, and returns its directory
// and length.
func long(t testing.TB) (dir string, size int64) {
	t.Helper()
	var text strings.Builder
	text.WriteString("schema = 1\n[fleet]\ndomain = \"example.org\"\n[roles.web.checks.up]\nkind = \"tcp\"\ntarget = \"{address}:80\"\n")
	for i := range 10000 {
		fmt.Fprintf(&text, `[nodes.web-%05d]
system = "x86_64-linux"
roles = ["web", "monitoring-client"]
tags = ["infra", "web"]
address = "10.%d.%d.%d"
vmid = %d
wave = "rest"
window = ["Mon..Fri 02:00-05:00 Europe/Berlin"]
meta = { rack = "a%d", bought = "2024-01-01", serial = "0123456789abcdef0123456789abcdef", contact = "ops@example.org" }
[nodes.web-%05d.proxy]
port = 3000
subdomains = ["www%d"]
[nodes.web-%05d.checks.local]
kind = "http"
target = "http://{address}:3000/health"
within = "2m"
`, i, i>>16, i>>8&255, i&255, 100+i, i%50, i, i, i)
	}
	dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "infrastructure.toml"), []byte(text.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir, int64(text.Len())
}

func TestMemoryOfALongRegistry(t *testing.T) {
	const most = 100 << 20
	dir, _ := long(t)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	got, err := named("web-07321", "").Resolve(t.Context(), dir, Flake{})
	runtime.ReadMemStats(&after)
	if err != nil || len(got.Checks) != 2 || got.Checks[1].Target != "10.0.28.153:80" {
		t.Errorf("Resolve = %+v, %v", got, err)
	}
	if spent := after.TotalAlloc - before.TotalAlloc; spent > most {
		t.Errorf("one node of 10,000 takes %d bytes of memory, want at most %d", spent, most)
	}
}

// BenchmarkResolve resolves one node of 10,000, whose registry has 5 MB.
func BenchmarkResolve(b *testing.B) {
	dir, size := long(b)
	r := named("web-07321", "")
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Resolve(b.Context(), dir, Flake{}); err != nil {
			b.Fatal(err)
		}
	}
}
