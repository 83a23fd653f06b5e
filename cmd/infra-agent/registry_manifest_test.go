package main

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/infra-agent/infra-agent/agent/config"
	"github.com/infra-agent/infra-agent/agent/manifest"
)

// Of an earlier manifest only that is taken which cannot have changed since.
func TestKnown(t *testing.T) {
	const other = "1111111111111111111111111111111111111111"
	entry := func(configuration, system string) manifest.Node {
		return manifest.Node{Configuration: configuration, System: system, Toplevel: pinnedPath, Derivation: pinnedPath + ".drv"}
	}
	old := manifest.Manifest{Commit: commitOne, Tree: treeOne, Nix: "2.31.2", Nodes: map[string]manifest.Node{
		"dns-01": entry("", "x86_64-linux"), "web-01": entry("web", "x86_64-linux"), "gone-01": entry("", "x86_64-linux"),
	}}
	nodes := map[string]manifest.Node{"dns-01": {Configuration: "dns-01", System: "x86_64-linux"}, "web-01": {Configuration: "web"}, "new-01": {}}
	for _, c := range []struct {
		name   string
		change func(*config.Nix)
		now    manifest.Manifest // commit, tree and Nix
		nodes  map[string]manifest.Node
		want   string
	}{
		{"the same commit", func(*config.Nix) {}, manifest.Manifest{Commit: commitOne, Tree: treeOne, Nix: "2.31.2"}, nodes, "dns-01 web-01"},
		{"another Nix", func(*config.Nix) {}, manifest.Manifest{Commit: commitOne, Tree: treeOne, Nix: "2.34.0"}, nodes, ""},
		{"a flake of the same files learns its commit", func(*config.Nix) {}, manifest.Manifest{Commit: other, Tree: treeOne, Nix: "2.31.2"}, nodes, ""},
		{"a file of the same files does not", func(n *config.Nix) { n.File = "default.nix" }, manifest.Manifest{Commit: other, Tree: treeOne, Nix: "2.31.2"}, nodes, "dns-01 web-01"},
		{"other files", func(n *config.Nix) { n.File = "default.nix" }, manifest.Manifest{Commit: other, Tree: other, Nix: "2.31.2"}, nodes, ""},
		{"what looks at the machine", func(n *config.Nix) { n.Impure = true }, manifest.Manifest{Commit: commitOne, Tree: treeOne, Nix: "2.31.2"}, nodes, ""},
		{"another output of that name", func(*config.Nix) {}, manifest.Manifest{Commit: commitOne, Tree: treeOne, Nix: "2.31.2"}, map[string]manifest.Node{"dns-01": {Configuration: "dns"}, "web-01": {}}, ""},
		{"another kind of machine", func(*config.Nix) {}, manifest.Manifest{Commit: commitOne, Tree: treeOne, Nix: "2.31.2"}, map[string]manifest.Node{"dns-01": {System: "aarch64-linux"}}, ""},
	} {
		s := config.Default()
		c.change(&s.Nix)
		got := manifestRun{settings: s, since: &old}.known(&c.now, c.nodes)
		if is := strings.Join(slices.Sorted(maps.Keys(got)), " "); is != c.want {
			t.Errorf("%s: %q is known, want %q", c.name, is, c.want)
		}
		for name, n := range got {
			if n != old.Nodes[name] {
				t.Errorf("%s: %s is %+v, want %+v", c.name, name, n, old.Nodes[name])
			}
		}
	}
	if got := (manifestRun{settings: config.Default()}).known(&manifest.Manifest{Commit: commitOne, Tree: treeOne, Nix: "2.31.2"}, nodes); len(got) > 0 {
		t.Errorf("without an earlier manifest %v is known", got)
	}
}
