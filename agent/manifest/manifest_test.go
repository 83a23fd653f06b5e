package manifest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/infra-agent/infra-agent/reconcile"
)

const (
	commit = reconcile.Commit("0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c")
	tree   = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
)

// two is a manifest of two nodes, and twoText its file.
func two() *Manifest {
	return &Manifest{
		Commit: commit, Tree: tree, Created: time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC), Nix: "2.31.2",
		Nodes: map[string]Node{
			"web-01": {
				System: "aarch64-linux", Configuration: "web",
				Toplevel:   "/nix/store/1b9p07z77phvv2hf6gm9f28syp39f1ag-nixos-system-web-01-25.11",
				Derivation: "/nix/store/7sd8b7mgbqfxy9i5r1w45g6b0w5ww41g-nixos-system-web-01-25.11.drv",
			},
			"dns-01": {
				System:     "x86_64-linux",
				Toplevel:   "/nix/store/0c0wiqhlf3l3sn8ms5rkclb0snfmvkq6-nixos-system-dns-01-25.11",
				Derivation: "/nix/store/4mrb4hlcnnbd3r4l2cjb8h8p0x3yz4ma-nixos-system-dns-01-25.11.drv",
			},
		},
	}
}

const twoText = `{"schema":1,"commit":"0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c","tree":"4b825dc642cb6eb9a060e54bf8d69288fbee4904","created":"2026-01-31T12:00:00Z","nix":"2.31.2","nodes":{
"dns-01":{"system":"x86_64-linux","toplevel":"0c0wiqhlf3l3sn8ms5rkclb0snfmvkq6-nixos-system-dns-01-25.11","derivation":"4mrb4hlcnnbd3r4l2cjb8h8p0x3yz4ma-nixos-system-dns-01-25.11.drv"},
"web-01":{"configuration":"web","system":"aarch64-linux","toplevel":"1b9p07z77phvv2hf6gm9f28syp39f1ag-nixos-system-web-01-25.11","derivation":"7sd8b7mgbqfxy9i5r1w45g6b0w5ww41g-nixos-system-web-01-25.11.drv"}
}}
`

func TestEncode(t *testing.T) {
	got, err := two().Encode()
	if err != nil || string(got) != twoText {
		t.Fatalf("Encode = %v\n%s\nwant\n%s", err, got, twoText)
	}
	back, err := Parse(got)
	if err != nil || !reflect.DeepEqual(back, two()) {
		t.Errorf("Parse = %+v, %v, want %+v", back, err, two())
	}
}

// Nix prints the attributes of a set in order; another program may not.
func TestRegistryIsCanonical(t *testing.T) {
	m := two()
	m.Registry = json.RawMessage(`{ "schema": 1, "nodes": {"web-01": {"configuration": "web"}, "dns-01": {"vmid": 12345678901234567890}} }`)
	got, err := m.Encode()
	const want = `"registry":{"nodes":{"dns-01":{"vmid":12345678901234567890},"web-01":{"configuration":"web"}},"schema":1},"nodes":{`
	if err != nil || !strings.Contains(string(got), want) {
		t.Errorf("Encode = %s, %v, want %s in it", got, err, want)
	}
	for _, bad := range []string{"null", "[]", "{"} {
		m.Registry = json.RawMessage(bad)
		if got, err := m.Encode(); err == nil {
			t.Errorf("a registry of %s is encoded: %s", bad, got)
		}
	}
}

func only(m *Manifest, name string) (*Manifest, error) {
	s, err := m.Singles()
	if err != nil {
		return nil, err
	}
	return s.Of(name)
}

func TestSingles(t *testing.T) {
	m := two()
	m.Registry = json.RawMessage(`{"fleet":{"name":"home"},"nodes":{"dns-01":{"vmid":1},"web-01":{"vmid":2}},"roles":{"dns":{}}}`)
	one, err := only(m, "dns-01")
	if err != nil {
		t.Fatal(err)
	}
	got, err := one.Encode()
	const want = `{"schema":1,"commit":"0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c","tree":"4b825dc642cb6eb9a060e54bf8d69288fbee4904","created":"2026-01-31T12:00:00Z","nix":"2.31.2",` +
		`"registry":{"fleet":{"name":"home"},"nodes":{"dns-01":{"vmid":1}},"roles":{"dns":{}}},"nodes":{
"dns-01":{"system":"x86_64-linux","toplevel":"0c0wiqhlf3l3sn8ms5rkclb0snfmvkq6-nixos-system-dns-01-25.11","derivation":"4mrb4hlcnnbd3r4l2cjb8h8p0x3yz4ma-nixos-system-dns-01-25.11.drv"}
}}
`
	if err != nil || string(got) != want {
		t.Errorf("got %s, %v\nwant %s", got, err, want)
	}
	if len(m.Nodes) != 2 {
		t.Error("the whole has changed")
	}
	if _, err := only(m, "mail-01"); err == nil {
		t.Error("a node that is not there has a manifest")
	}
}

func TestParseRefuses(t *testing.T) {
	change := func(old, new string) string {
		if !strings.Contains(twoText, old) {
			t.Fatalf("%q is not in the text", old)
		}
		return strings.Replace(twoText, old, new, 1)
	}
	for _, c := range []struct{ name, text, says string }{
		{"nothing", "", "it ends too early"},
		{"half of it", twoText[:len(twoText)/2], "it ends too early"},
		{"all but its end", strings.TrimSuffix(twoText, "}}\n"), "it ends too early"},
		{"no newline at its end", strings.TrimSuffix(twoText, "\n"), "line 4 is not as infra-agent writes it"},
		{"more behind it", twoText + "{}", "something follows its end"},
		{"50 MB", twoText + strings.Repeat(" ", 50<<20), "the limit is 16777216"},
		{"a page of a server", "<html>", "line 1: invalid character '<'"},
		{"a list", "[]", "cannot unmarshal array"},
		{"another file", "{}", `is it a manifest?`},
		{"a later schema", change(`"schema":1`, `"schema":2`), "deploy a newer infra-agent first"},
		{"a later reader", change(`"schema":1`, `"schema":3,"min_reader":2`), "deploy a newer infra-agent first"},
		{"an unknown key", change(`"nix"`, `"nixx":"","nix"`), `unknown field "nixx"`},
		{"an unknown key of a node", change(`"system"`, `"kernel":"","system"`), `unknown field "kernel"`},
		{"a key in capitals", change(`"toplevel"`, `"Toplevel"`), "line 2 is not as infra-agent writes it"},
		{"a node twice", change(`"web-01"`, `"dns-01"`), "line 2 is not as infra-agent writes it"},
		{"a key twice", change(`"system":"aarch64-linux"`, `"system":"x86_64-linux","system":"aarch64-linux"`), "line 3 is not as infra-agent writes it"},
		{"blanks", change(`"web-01":`, `"web-01": `), "line 3 is not as infra-agent writes it"},
		{"a short commit", change(`"0f1e2d3c4b5a`, `"`), "want 40 or 64 hexadecimal digits"},
		{"no tree", change(`"tree":"4b825dc642cb6eb9a060e54bf8d69288fbee4904",`, ""), "want its hash by git"},
		{"no time", change(`"2026-01-31T12:00:00Z"`, `"yesterday"`), "cannot parse"},
		{"a time of another zone", change("12:00:00Z", "12:00:00+01:00"), "line 1 is not as infra-agent writes it"},
		{"a fraction of a second", change("12:00:00Z", "12:00:00.5Z"), "want a time such as"},
		{"no version", change(`"2.31.2"`, `""`), "want a version"},
		{"no nodes", twoText[:strings.Index(twoText, "{\n")] + "{\n}}\n", "it has no nodes"},
		{"null for the nodes", twoText[:strings.Index(twoText, "{\n")] + "null}\n", "it has no nodes"},
		{"a path for a name", change(`"web-01"`, `"../web-01"`), "want a name of letters"},
		{"a hidden file for a name", change(`"web-01"`, `".."`), "want a name of letters"},
		{"the name once more", change(`"configuration":"web"`, `"configuration":"web-01"`), "where that is not the node's"},
		{"no system", change(`"aarch64-linux"`, `""`), "want one such as x86_64-linux"},
		{"a path with a directory", change(`"1b9p07z`, `"/nix/store/1b9p07z`), "want the store path of a system"},
		{"a path that leaves the store", change(`"1b9p07z77phvv2hf6gm9f28syp39f1ag-nixos-system-web-01-25.11"`, `"../../tmp/system"`), "want the store path of a system"},
		{"an option for nix-store", change(`"1b9p07z`, `"--1b9p07z`), "want the store path of a system"},
		{"no derivation", change(`25.11.drv"}
}`, `25.11"}
}`), "want the store path of one"},
		{"a registry that is none", change(`"nodes"`, `"registry":[],"nodes"`), "registry: "},
	} {
		m, err := Parse([]byte(c.text))
		if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: Parse = %+v, %v, want an error that says %q", c.name, m, err, c.says)
		}
	}
}

// A node reads what a newer agent wrote for nodes like it.
func TestParseNewer(t *testing.T) {
	text := strings.NewReplacer(`"schema":1`, `"schema":2,"min_reader":1,"later":[1]`, `"system"`, `"since":"2027","system"`).Replace(twoText)
	got, err := Parse([]byte(text))
	if err != nil || !reflect.DeepEqual(got, two()) {
		t.Errorf("Parse = %+v, %v, want %+v", got, err, two())
	}
	if got, err := Parse([]byte(strings.Replace(text, "aarch64-linux", "", 1))); err == nil {
		t.Errorf("a mistake in it is read: %+v", got)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(twoText))
	f.Add([]byte(strings.Replace(twoText, `"nodes"`, `"registry":{"nodes":{"dns-01":{}},"schema":1},"nodes"`, 1)))
	f.Add([]byte(strings.Replace(twoText, `"schema":1`, `"schema":2,"min_reader":1`, 1)))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := Parse(data)
		if err != nil {
			return
		}
		got, err := m.Encode()
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		if bytes.HasPrefix(data, []byte(`{"schema":1,`)) && !bytes.Equal(got, data) {
			t.Errorf("it is written as\n%s", got)
		}
		for name := range m.Nodes {
			if one, err := only(m, name); err == nil {
				if _, err := one.Encode(); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
		}
	})
}

// large is a fleet of 10,000, with names as they are in nixpkgs.
func large() *Manifest {
	m := two()
	m.Nodes = map[string]Node{}
	for i := range 10_000 {
		name := fmt.Sprintf("node-%05d", i)
		path := fmt.Sprintf("/nix/store/%032d-nixos-system-%s-25.11.20260131.fa83fd8", i, name)
		m.Nodes[name] = Node{System: "x86_64-linux", Toplevel: reconcile.Toplevel(path), Derivation: reconcile.Derivation(path + ".drv")}
	}
	return m
}

func TestSizes(t *testing.T) {
	whole, err := large().Encode()
	if err != nil || len(whole) > 2_500_000 {
		t.Errorf("a manifest of 10,000 nodes has %d bytes (%v), want at most 2,500,000", len(whole), err)
	}
	one, err := only(large(), "node-07321")
	if err != nil {
		t.Fatal(err)
	}
	small, err := one.Encode()
	if err != nil || len(small) > 1000 {
		t.Errorf("that of one node has %d bytes (%v), want at most 1,000", len(small), err)
	}
}

func BenchmarkEncode(b *testing.B) {
	m := large()
	b.ReportAllocs()
	for b.Loop() {
		text, err := m.Encode()
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(len(text)), "bytes")
	}
}

func BenchmarkParse(b *testing.B) {
	whole, err := large().Encode()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(whole); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSingles makes the files of all nodes, of a fleet whose registry is a value of its flake.
func BenchmarkSingles(b *testing.B) {
	m := large()
	nodes := map[string]any{}
	for name := range m.Nodes {
		nodes[name] = map[string]any{"system": "x86_64-linux", "roles": []string{"web"}, "address": "10.0.0.1"}
	}
	var err error
	if m.Registry, err = json.Marshal(map[string]any{"schema": 1, "nodes": nodes, "roles": map[string]any{"web": map[string]any{}}}); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		s, err := m.Singles()
		if err != nil {
			b.Fatal(err)
		}
		for name := range m.Nodes {
			one, err := s.Of(name)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := one.Encode(); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// As Nix has them: store-path.hh limits a name to 211 characters, and nix32 has no e, o, t and u.
func TestStorePaths(t *testing.T) {
	const hash = "0c0wiqhlf3l3sn8ms5rkclb0snfmvkq6"
	for text, want := range map[string]bool{
		"/nix/store/" + hash + "-nixos-system-web":            true,
		"/nix/store/" + hash + "-" + strings.Repeat("a", 211): true,
		"/nix/store/" + hash + "-" + strings.Repeat("a", 212): false,
		"/nix/store/" + hash[1:] + "-nixos-system-web":        false,
		"/nix/store/" + hash + "0-nixos-system-web":           false,
		"/nix/store/e" + hash[1:] + "-nixos-system-web":       false,
		"/nix/store/" + hash + "-":                            false,
		"/nix/store/" + hash + "-.hidden":                     false,
		"/nix/store/" + hash + "-a/bin":                       false,
		"/nix/other/" + hash + "-nixos-system-web":            false,
	} {
		if got := isStorePath(text); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}
