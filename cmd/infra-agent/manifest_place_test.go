package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/infra-agent/infra-agent/agent/config"
	"github.com/infra-agent/infra-agent/agent/manifest"
	"github.com/infra-agent/infra-agent/agent/source"
	"github.com/infra-agent/infra-agent/reconcile"
)

const (
	pinnedPath   = "/nix/store/0c0wiqhlf3l3sn8ms5rkclb0snfmvkq6-nixos-system-web-01"
	manifestPath = "/nix/store/wi8pbvf51fnscflylqf8pjal0sdkazar-infra-agent-manifest"
)

// portFor is the port of a node web-01 with these sources at a server.
func portFor(t *testing.T, served http.Handler, settings string) manifestPort {
	t.Helper()
	server := httptest.NewServer(served)
	t.Cleanup(server.Close)
	text := strings.ReplaceAll(settings, "URL", server.URL) + "\nnode = \"web-01\"\nmanifest.mode = \"only\"\n[[source.remotes]]\nurl = \"" + server.URL + "/fleet.git\"\n"
	s, err := config.Parse("config.toml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	opts := sourceOptions(s)
	opts.Dir = filepath.Join(t.TempDir(), "source")
	nx := nixOf(s)
	nx.Roots, nx.Credentials.Home = t.TempDir(), t.TempDir()
	p := newManifestPort(s, source.NewFetcher(opts), nx)
	p.System = "x86_64-linux"
	return p
}

// A pin names the system of a node, where nothing of it is older than it may be.
func TestPlanByAPin(t *testing.T) {
	const toml = "schema = 1\n[nodes.web-01]\nsystem = \"x86_64-linux\"\nroles = [\"web\"]\n[roles.web]\n"
	made := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	served := http.NewServeMux()
	served.HandleFunc("/pins/web-01", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Last-Modified", made.Format(http.TimeFormat))
		_, _ = w.Write([]byte(pinnedPath + "\n"))
	})
	served.HandleFunc("/api/pins", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`[{"name":"nixos-web-01","store_path":"` + pinnedPath + `","created_at":"2026-01-01T00:00:00Z","updated_at":"2026-01-31T12:00:00Z"}]`))
	})
	served.HandleFunc("/undated/web-01", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(pinnedPath)) })
	other := reconcile.Pin{Toplevel: "/nix/store/7sd8b7mgbqfxy9i5r1w45g6b0w5ww41g-nixos-system-web-01", At: made.Add(-time.Hour)}
	for _, c := range []struct {
		name, settings, registry string
		commit                   time.Time
		pins                     reconcile.Pins
		testing                  bool
		says                     string // "": it is taken
	}{
		{name: "a file", settings: `manifest.sources = ["pin:URL/pins/{node}"]`, registry: toml, commit: made},
		{name: "niks3's list", settings: `manifest.sources = ["pin:URL/api/pins#nixos-{node}"]`, registry: toml, commit: made, pins: reconcile.Pins{Last: other}},
		{name: "no registry", settings: "manifest.sources = [\"pin:URL/pins/{node}\"]\nregistry.source = \"none\"", commit: made},
		{name: "the second place", settings: `manifest.sources = ["store:URL/nothing", "pin:URL/pins/{node}"]`, registry: toml, commit: made},
		{name: "perhaps a registry in Nix", settings: `manifest.sources = ["pin:URL/pins/{node}"]`, commit: made, says: "a pin says nothing of the registry"},
		{name: "older than the commit", settings: `manifest.sources = ["pin:URL/pins/{node}"]`, registry: toml, commit: made.Add(time.Second), says: "the pin is of 2026-01-31T12:00:00Z, and the commit of 2026-01-31T12:00:01Z"},
		{name: "accepted before", settings: `manifest.sources = ["pin:URL/pins/{node}"]`, registry: toml, commit: made, pins: reconcile.Pins{Last: other, Gone: []reconcile.Toplevel{pinnedPath}}, says: "a pin leads to nothing old"},
		{name: "without a date", settings: `manifest.sources = ["pin:URL/undated/{node}"]`, registry: toml, commit: made, says: "the pin has no date"},
		{name: "for another node", settings: `manifest.sources = ["pin:URL/api/pins#{node}"]`, registry: toml, commit: made, says: `the list has no pin "web-01"`},
		{name: "not there", settings: `manifest.sources = ["pin:URL/gone"]`, registry: toml, commit: made, says: "there is no manifest of "},
		{name: "of the testing branch", settings: `manifest.sources = ["pin:URL/pins/{node}"]`, registry: toml, commit: made, testing: true, says: "a pin names no commit, and so none of the testing branch"},
	} {
		t.Run(c.name, func(t *testing.T) {
			tree := t.TempDir()
			if c.registry != "" {
				if err := os.WriteFile(filepath.Join(tree, "infrastructure.toml"), []byte(c.registry), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			f := reconcile.Fetched{Revision: reconcile.Revision{Commit: commitOne, Time: c.commit, Tree: tree}, Purpose: reconcile.PurposeBranch}
			if c.testing {
				f.Purpose = reconcile.PurposeTesting
			}
			got, err := portFor(t, served, c.settings).Plan(t.Context(), reconcile.Plan{From: f, Pins: c.pins})
			switch {
			case c.says != "":
				if err == nil || !strings.Contains(err.Error(), c.says) {
					t.Errorf("Plan = %+v, %v, want an error that says %q", got, err, c.says)
				}
			case err != nil || got.Toplevel != pinnedPath || got.Target.Node != "web-01" || got.Manifest.Signer != "" || !got.Manifest.Pinned.Equal(made) || got.Audit:
				t.Errorf("Plan = %+v, %v", got, err)
			}
		})
	}
}

const (
	commitOne = reconcile.Commit("0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c")
	treeOne   = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
)

// A store path is no manifest but by its name and its signature, whatever is in it. The lab has one
// that Nix copies.
func TestPlanByAStorePath(t *testing.T) {
	bin := t.TempDir()
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	for name, text := range map[string]string{
		"nix-store": "case $1 in --query) echo sha256:x ;; esac",
		"nix":       "echo lab-1:AAAA",
	} {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ name, answer, says string }{
		{"nothing of that name", pinnedPath, "want the store path of manifests"},
		{"a page", "<html>", "want the store path of manifests"},
		{"without a signature", manifestPath + "\n", "is not signed by any of the keys in this node's trusted-public-keys"},
	} {
		served := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/"+string(commitOne) {
				http.NotFound(w, r)
				return
			}
			_, _ = w.Write([]byte(c.answer))
		})
		f := reconcile.Fetched{Revision: reconcile.Revision{Commit: commitOne, Hash: treeOne, Tree: t.TempDir()}}
		got, err := portFor(t, served, `manifest.sources = ["store:URL/{commit}"]`).Plan(t.Context(), reconcile.Plan{From: f})
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: Plan = %+v, %v, want an error that says %q", c.name, got, err, c.says)
		}
	}
}

func TestManifestIn(t *testing.T) {
	dir, outside := t.TempDir(), filepath.Join(t.TempDir(), "manifest")
	if err := os.WriteFile(outside, []byte("outside"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, err := manifestIn(dir, commitOne, "web-01"); err == nil || !strings.Contains(err.Error(), "has no manifest of 0f1e2d3c") {
		t.Errorf("an empty directory: %v", err)
	}
	fleet := filepath.Join(dir, manifest.FileName(commitOne, ""))
	if err := os.Symlink(outside, fleet); err != nil {
		t.Fatal(err)
	}
	if text, _, err := manifestIn(dir, commitOne, "web-01"); err == nil {
		t.Errorf("what a link leads to outside is read: %q", text)
	}
	if err := os.Remove(fleet); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"", "web-01"} { // the node's own comes first
		file := filepath.Join(dir, manifest.FileName(commitOne, name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte("of "+name), 0o644); err != nil {
			t.Fatal(err)
		}
		if text, at, err := manifestIn(dir, commitOne, "web-01"); err != nil || string(text) != "of "+name || at != file {
			t.Errorf("got %q of %s, %v, want that of %q", text, at, err, name)
		}
	}
}

// Where the repository says who may sign, it says of manifests, too: by lines that name them.
func TestSignersInTheTree(t *testing.T) {
	needs(t, "ssh-keygen")
	dir := t.TempDir()
	ran(t, dir, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", "key")
	m := &manifest.Manifest{Commit: commitOne, Tree: treeOne, Created: time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC), Nix: "2.31.2", Nodes: map[string]manifest.Node{
		"web-01": {System: "x86_64-linux", Toplevel: pinnedPath, Derivation: pinnedPath + ".drv"},
	}}
	text, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "manifest"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	ran(t, dir, "ssh-keygen", "-q", "-Y", "sign", "-n", manifest.Namespace, "-f", "key", "manifest")
	served := http.FileServer(http.Dir(dir))
	key := ran(t, dir, "cat", "key.pub")
	for _, c := range []struct{ name, line, says string }{
		{"a line for manifests", `ci@example.org namespaces="infra-agent-manifest" ` + key, ""},
		{"a line for both", `ci@example.org namespaces="git,infra-agent-manifest" ` + key, ""},
		{"a line for commits", `ann@example.org namespaces="git" ` + key, "signed by a key that is not allowed"},
		{"a line that says nothing", "ann@example.org " + key, "signed by a key that is not allowed"},
		{"no file", "", "no such file"},
	} {
		tree := t.TempDir()
		files := map[string]string{"infrastructure.toml": "schema = 1\n[nodes.web-01]\nsystem = \"x86_64-linux\"\n", "keys/signers": c.line + "\n"}
		for name, text := range files {
			if text == "\n" {
				continue
			}
			if err := os.MkdirAll(filepath.Dir(filepath.Join(tree, name)), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(tree, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		p := portFor(t, served, "trust = { policy = \"all\", authorizations = \"keys/signers\", introduction = \""+string(commitOne)+"\" }\nmanifest.sources = [\"URL/manifest\"]")
		kept, err := p.Keep(tree, filepath.Join(t.TempDir(), "kept"))
		if err != nil {
			t.Fatal(err)
		}
		got, err := p.Plan(t.Context(), reconcile.Plan{From: reconcile.Fetched{Revision: reconcile.Revision{Commit: commitOne, Hash: treeOne, Tree: kept}}})
		switch {
		case c.says == "" && (err != nil || got.Toplevel != pinnedPath || got.Manifest.Signer != "ci@example.org"):
			t.Errorf("%s: got %+v, %v", c.name, got, err)
		case c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)):
			t.Errorf("%s: got %+v, %v, want an error that says %q", c.name, got, err, c.says)
		}
	}
}
