package registry

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

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
		`[]`:                               "infraAgent.registry: is JSON, but not an object",
		`null`:                             "infraAgent.registry: is JSON, but not an object",
		`{"schema": 1`:                     "infraAgent.registry: is not a JSON object that the agent can read: it ends too early",
		``:                                 "it ends too early",
		`{"schema": 1} {}`:                 "infraAgent.registry: has something after the JSON object",
		`{"schema": 1}]`:                   "infraAgent.registry: has something after the JSON object",
		`{"schema": 1, "a": [x]}`:          "infraAgent.registry: is not a JSON object that the agent can read: a[0]: invalid character 'x'",
		"{\"schema\": 1, \"a\": \"\xff\"}": "infraAgent.registry: is not UTF-8 text",
		`{"schema": 1, "nodes": {"a": {"vmid": 1, "vmid": null}}}`:      "nodes.a.vmid: the key is given twice",
		`{"schema": 1, "x": ` + strings.Repeat("[", 1e6):                "it is nested too deep",
		`{"schema": 1, "nodes": {"a": {"rolez": []}}}`:                  `infraAgent.registry: nodes.a.rolez: unknown key (did you mean "roles"?)`,
		`{"schema": 1, "nodes": {"a": {"vmid": 9223372036854775808}}}`:  "the number 9223372036854775808 is too large",
		`{"schema": 1, "nodes": {"a": {"_x": 1}}}`:                      "nodes.a._x: Nix gives keys",
		`{"schema": 1, "nodes": {"a": {"roles": ["x", null]}}}`:         "infraAgent.registry: nodes.a.roles[1]: want a string, got null",
		`{"schema": 1, "waves": [null]}`:                                "infraAgent.registry: waves: want a table, got a list",
		`{"schema": 1, "roles": {"r": {"secrets": [null]}}}`:            "infraAgent.registry: roles.r.secrets[0]: want a table, got null",
		`{"schema": 1, "role": 1}`:                                      `infraAgent.registry: role: unknown key`,
		`{"schema": 1, "nodes": {"a": {"vmid": 1.5}}}`:                  "nodes.a.vmid: want an integer, got a fraction",
		`{"schema": 1, "nodes": {"a": {"checks": {"c": {"kind": 1}}}}}`: "nodes.a.checks.c.kind: want one of unit, tcp, http, dns, exec, mount, file, got an integer",
	} {
		f := flake()
		f.Value = func(context.Context, string) ([]byte, error) { return []byte(json), nil }
		_, err := named("a", "").Resolve(t.Context(), t.TempDir(), f)
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
profiles = { smb = true, nfs = false, ftp = { enable = false }, web = { enable = true, port = 80 }, dns = { port = 53 } }
`
	list := Mapping{Nodes: "machines", Roles: "role", Hostname: "host", ManagedWhen: "state=live"}
	const json = `{"machines": [{"host": "dns-01", "role": "dns", "state": "live"}, {"host": "old", "state": "retired"}, {"host": "new"}]}`
	const tags = `{"hosts": {"a": {"tags": ["web", 1]}, "b": {"tags": ["web", "prod"]}, "c": {"tags": "prod"}}}`
	for _, c := range []struct {
		name, file, text string
		mapping          Mapping
		host             string
		roles            string
		refused          string
	}{
		{name: "table", file: "hosts.toml", text: table, mapping: byName, host: "dns-01", roles: "[db web]"},
		{name: "opt-out", file: "hosts.toml", text: table, mapping: byName, host: "nas", refused: "node nas is unmanaged"},
		{name: "switches", file: "hosts.toml", text: table, mapping: Mapping{Nodes: "infra.hosts", Roles: "profiles"}, host: "nas", roles: "[dns smb web]"},
		{name: "list", file: "m.json", text: json, mapping: list, host: "dns-01", roles: "[dns]"},
		{name: "opt-in by value", file: "m.json", text: json, mapping: list, host: "old", refused: "node old is unmanaged"},
		{name: "opt-in without the key", file: "m.json", text: json, mapping: list, host: "new", refused: "node new is unmanaged"},
		{name: "opt-out by value", file: "m.json", text: json, mapping: Mapping{Nodes: "machines", Hostname: "host", ManagedWhen: "state!=retired"}, host: "new", roles: "[]"},
		{name: "opt-in by flag", file: "hosts.toml", text: table, mapping: Mapping{Nodes: "infra.hosts", ManagedWhen: "managed"}, host: "web", refused: `hosts.toml: registry.map.managed_when: "managed" holds for no node of infra.hosts (hint: none of them has the key managed)`},
		{name: "a value that no node has", file: "m.json", text: json, mapping: Mapping{Nodes: "machines", Hostname: "host", ManagedWhen: "state=up"}, host: "dns-01", refused: `"state=up" holds for no node of machines (hint: their state is live, retired)`},
		{name: "value in a list", file: "t.json", text: tags, mapping: Mapping{Nodes: "hosts", ManagedWhen: "tags=prod"}, host: "b", roles: "[]"},
		{name: "value not in a list", file: "t.json", text: tags, mapping: Mapping{Nodes: "hosts", ManagedWhen: "tags=prod"}, host: "a", refused: `node a is unmanaged: registry.map.managed_when = "tags=prod" does not hold for it in t.json`},
		{name: "opt-out by a value in a list", file: "t.json", text: tags, mapping: Mapping{Nodes: "hosts", ManagedWhen: "tags!=prod"}, host: "b", refused: "node b is unmanaged"},
		{name: "unknown host", file: "hosts.toml", text: table, mapping: byName, host: "db", refused: "add it to infra.hosts in hosts.toml, or set node"},
		{name: "list of tables", file: "l.toml", text: "[[h]]\nn = \"dns-01\"\n", mapping: Mapping{Nodes: "h", Hostname: "n"}, host: "dns-01", roles: "[]"},
		{name: "no such table", file: "hosts.toml", text: table, mapping: Mapping{Nodes: "hosts"}, host: "web", refused: "registry.map.nodes: the file has no hosts"},
		{name: "no table", file: "hosts.toml", text: table, mapping: Mapping{Nodes: "infra.hosts.web.name"}, host: "web", refused: "is neither a table nor a list"},
		{name: "list without names", file: "m.json", text: json, mapping: Mapping{Nodes: "machines"}, host: "web", refused: "machines[0]: registry.map.hostname must name a key"},
		{name: "system that is none", file: "hosts.toml", text: table, mapping: Mapping{Nodes: "infra.hosts", System: "name"}, host: "web", refused: `hosts.toml:3:1: infra.hosts.web.name: "dns-01" is not a system`},
		{name: "roles that are none", file: "m.json", text: `{"a": {"w.b": {"r": ["x", 1]}}}`, mapping: Mapping{Nodes: "a", Roles: "r"}, host: "w.b", refused: `m.json: a."w.b".r[1]: want a string, got an integer`},
		{name: "role that is none", file: "m.json", text: `{"m": [{"n": "a"}, {"n": "web", "r": {"roles": ["x", 1]}}]}`, mapping: Mapping{Nodes: "m", Roles: "r.roles", Hostname: "n"}, host: "web", refused: "m.json: m[1].r.roles[1]: want a string, got an integer"},
		{name: "name that is none", file: "l.toml", text: "[[h]]\nn = \"web\"\n[[h]]\nn = \"w b\"\n", mapping: Mapping{Nodes: "h", Hostname: "n"}, host: "w b", refused: `l.toml:3:1: h[1]: "w b" is not a name`},
		{name: "another system", file: "hosts.toml", text: strings.Replace(table, "x86_64", "aarch64", 1), mapping: byName, host: "dns-01", refused: "node web is aarch64-linux in the registry"},
		{name: "byte-order mark", file: "hosts.toml", text: "\ufeff" + table, mapping: byName, host: "dns-01", refused: "hosts.toml:1:1: starts with a byte-order mark"},
		{name: "NUL", file: "hosts.toml", text: table + "x = '\x00'", mapping: byName, host: "dns-01", refused: "holds a NUL character"},
		{name: "dates of its own", file: "hosts.toml", text: table + "bought = 2021-01-01\n_x = inf", mapping: byName, host: "dns-01", roles: "[db web]"},
		{name: "syntax", file: "hosts.toml", text: "[", mapping: byName, host: "web", refused: "hosts.toml:1:"},
		{name: "not JSON", file: "m.json", text: "{", mapping: list, host: "web", refused: "m.json: is not a JSON object that the agent can read: it ends too early"},
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

// Of files that are not kept whole, the same is read as of all of them.
func TestKeep(t *testing.T) {
	const text = "schema = 1\n[nodes.dns-01]\n"
	for _, c := range []struct {
		name string
		r    Resolver
		make func(dir string) error
		want string // "": there is none
		fail bool
	}{
		{"a file", Resolver{Source: TOML, File: "infrastructure.toml"}, func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "infrastructure.toml"), []byte(text), 0o644)
		}, text, false},
		{"a file below the flake", Resolver{Source: Map, Subdir: "nix", File: "data/fleet.json"}, func(dir string) error {
			if err := os.MkdirAll(filepath.Join(dir, "nix/data"), 0o755); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(dir, "nix/data/fleet.json"), []byte(text), 0o644)
		}, text, false},
		{"a link within the files", Resolver{Source: Auto, File: "infrastructure.toml"}, func(dir string) error {
			if err := os.WriteFile(filepath.Join(dir, "fleet.toml"), []byte(text), 0o644); err != nil {
				return err
			}
			return os.Symlink("fleet.toml", filepath.Join(dir, "infrastructure.toml"))
		}, text, false},
		{"none", Resolver{Source: Auto, File: "infrastructure.toml"}, func(string) error { return nil }, "", false},
		{"a link out of the files", Resolver{Source: Auto, File: "infrastructure.toml"}, func(dir string) error {
			return os.Symlink("/etc/passwd", filepath.Join(dir, "infrastructure.toml"))
		}, "", true},
	} {
		from, to := t.TempDir(), filepath.Join(t.TempDir(), "registries", "commit")
		if err := c.make(from); err != nil {
			t.Fatal(err)
		}
		for range 2 { // a second time is the same
			dir, err := c.r.Keep(from, to)
			if (err != nil) != c.fail {
				t.Errorf("%s: Keep = %v", c.name, err)
			}
			if err != nil {
				continue
			}
			got, err := c.r.read(dir)
			if string(got) != c.want || (err != nil) != (c.want == "") || !c.r.Kept(dir) {
				t.Errorf("%s: %q, %v is kept, want %q", c.name, got, err, c.want)
			}
			other := c.r
			other.File = "other.toml"
			if other.Kept(dir) {
				t.Errorf("%s: another file is taken to be kept, too", c.name)
			}
		}
	}
	if r := (Resolver{File: "x"}); r.Kept(t.TempDir()) || r.Kept("") || r.Kept("/nix/store/0c0wiqhlf3l3sn8ms5rkclb0snfmvkq6-gone") {
		t.Error("what is not there is taken to be kept")
	}
}

// A disk that cannot be read says nothing of the revision: /proc/self/mem begins with what
// nothing is mapped to, and a read of it is an I/O error, proc_pid_mem(5).
func TestADiskThatCannotBeReadRefusesNoRevision(t *testing.T) {
	r := Resolver{Source: TOML, File: "mem"}
	_, _, err := r.find(t.Context(), "/proc/self", Flake{})
	if _, rejected := reconcile.RejectedBy(err); !errors.Is(err, syscall.EIO) || rejected {
		t.Errorf("got %v (rejected: %v), want an I/O error that passes", err, rejected)
	}
	r.File = "no such file"
	_, _, err = r.find(t.Context(), "/proc/self", Flake{})
	if _, rejected := reconcile.RejectedBy(err); !rejected {
		t.Errorf("got %v, want that a revision without its registry is refused", err)
	}
}
