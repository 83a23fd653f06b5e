package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/infra-agent/infra-agent/agent/config"
	"github.com/infra-agent/infra-agent/agent/manifest"
	"github.com/infra-agent/infra-agent/agent/source"
	"github.com/infra-agent/infra-agent/reconcile"
)

// needs skips a test where a program is missing, but not in CI.
func needs(t *testing.T, programs ...string) {
	t.Helper()
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatal("no " + program + " here, and this is where it must be")
			}
			t.Skip("no " + program + " here")
		}
	}
}

// ran runs a program in a directory, which must exit 0.
func ran(t *testing.T, dir string, args ...string) string {
	t.Helper()
	c := exec.CommandContext(t.Context(), args[0], args[1:]...)
	c.Dir = dir
	c.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null", "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@b.c", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@b.c")
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// published makes a commit and, on a branch beside it, a manifest of each node, signed; and returns
// the port of a node with those settings and that commit, as it was fetched.
func published(t *testing.T, settings, registry, value string, nodes map[string]manifest.Node) (p manifestPort, s config.Settings, from reconcile.Fetched) {
	t.Helper()
	dir := t.TempDir()
	ran(t, dir, "git", "init", "-q", "--bare", "fleet.git")
	ran(t, dir, "git", "init", "-q", "-b", "main", "work")
	work := filepath.Join(dir, "work")
	if registry != "" {
		if err := os.WriteFile(filepath.Join(work, "infrastructure.toml"), []byte(registry), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	ran(t, work, "git", "add", ".")
	ran(t, work, "git", "commit", "-q", "--allow-empty", "-m", "x")
	m := &manifest.Manifest{
		Commit: reconcile.Commit(ran(t, work, "git", "rev-parse", "HEAD")), Tree: ran(t, work, "git", "rev-parse", "HEAD^{tree}"),
		Created: time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC), Nix: "2.31.2", Nodes: nodes,
	}
	if value != "" {
		m.Registry = json.RawMessage(value)
	}
	ran(t, dir, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", "key")
	singles, err := m.Singles()
	if err != nil {
		t.Fatal(err)
	}
	for name := range nodes {
		only, err := singles.Of(name)
		if err != nil {
			t.Fatal(err)
		}
		text, err := only.Encode()
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(work, manifest.FileName(m.Commit, name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, text, 0o644); err != nil {
			t.Fatal(err)
		}
		ran(t, work, "ssh-keygen", "-q", "-Y", "sign", "-n", "infra-agent-manifest", "-f", filepath.Join(dir, "key"), file)
	}
	ran(t, work, "git", "add", string(m.Commit))
	ran(t, work, "git", "commit", "-q", "-m", "manifest")
	ran(t, work, "git", "push", "-q", filepath.Join(dir, "fleet.git"), "HEAD:manifests")
	ran(t, work, "git", "reset", "-q", "--hard", string(m.Commit), "--")
	signers := filepath.Join(dir, "signers")
	if err := os.WriteFile(signers, []byte("ci@example.org "+ran(t, dir, "cat", "key.pub")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err = config.Parse("config.toml", []byte(settings+"\ntrust.manifest_signers_file = \""+signers+"\"\n[[source.remotes]]\nurl = \""+filepath.Join(dir, "fleet.git")+"\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	opts := sourceOptions(s)
	opts.Dir = filepath.Join(dir, "state")
	p = newManifestPort(s, source.NewFetcher(opts), nixOf(s))
	p.System = "x86_64-linux"
	return p, s, reconcile.Fetched{Revision: reconcile.Revision{Commit: m.Commit, Hash: m.Tree, Tree: work}, Purpose: reconcile.PurposeBranch}
}

// A node finds itself, and its system, without Nix: the registry is in its files, or in the
// manifest, or there is none.
func TestPlan(t *testing.T) {
	needs(t, "git", "ssh-keygen")
	const toml = "schema = 1\n[nodes.web-01]\nsystem = \"x86_64-linux\"\nconfiguration = \"web\"\nroles = [\"web\"]\n[roles.web]\n"
	const value = `{"schema":1,"nodes":{"web-01":{"configuration":"web","roles":["web"]},"db-01":{}},"roles":{"web":{}}}`
	entry := func(configuration string) manifest.Node {
		return manifest.Node{
			Configuration: configuration, System: "x86_64-linux",
			Toplevel: "/nix/store/0c0wiqhlf3l3sn8ms5rkclb0snfmvkq6-nixos-system-web-01", Derivation: "/nix/store/4mrb4hlcnnbd3r4l2cjb8h8p0x3yz4ma-nixos-system-web-01.drv",
		}
	}
	for _, c := range []struct {
		name, settings, registry string
		value                    string
		nodes                    map[string]manifest.Node
		want                     string // node, configuration and roles
		says                     string // else the error's text
		gate                     reconcile.Gate
	}{
		{name: "a file", settings: `node = "web-01"`, registry: toml, nodes: map[string]manifest.Node{"web-01": entry("web")}, want: "web-01 web [web]"},
		{name: "a value of the flake", settings: `node = "web-01"`, value: value, nodes: map[string]manifest.Node{"web-01": entry("web")}, want: "web-01 web [web]"},
		{name: "none", settings: `node = "web-01"`, nodes: map[string]manifest.Node{"web-01": entry("")}, want: "web-01 web-01 []"},
		{name: "none, and an output of another name", settings: "node = \"web-01\"\nnix.configuration = \"web\"", nodes: map[string]manifest.Node{"web": entry("")}, says: "there is no manifest"},
		{name: "another configuration", settings: `node = "web-01"`, registry: toml, nodes: map[string]manifest.Node{"web-01": entry("")}, says: `the manifest has the configuration "web-01" for node web-01, and this one uses "web"`},
		{name: "another node", settings: `node = "web-02"`, registry: toml, nodes: map[string]manifest.Node{"web-01": entry("web")}, says: "not in the registry", gate: reconcile.GateIdentity},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, s, from := published(t, c.settings, c.registry, c.value, c.nodes)
			got, err := p.Plan(t.Context(), reconcile.Plan{From: from})
			switch gate, _ := reconcile.RejectedBy(err); {
			case c.says != "":
				if err == nil || !strings.Contains(err.Error(), c.says) || gate != c.gate {
					t.Errorf("Plan = %+v, %v (%s), want an error that says %q (%s)", got, err, gate, c.says, c.gate)
				}
				return
			case err != nil:
				t.Fatal(err)
			}
			p.settings.Mode = reconcile.ManifestOnly
			port := registryPort{Resolver: resolver(s), identity: identity(s), manifests: p}
			as, known, err := port.ResolveAs(t.Context(), from.Revision, reconcile.Newcomer{HostName: "web-01", Identity: identity(s)})
			if err != nil || !known || as.Node != got.Target.Node {
				t.Errorf("ResolveAs = %q, %v, %v, want %q, without Nix", as.Node, known, err, got.Target.Node)
			}
			var roles []string
			for _, r := range got.Target.Roles {
				roles = append(roles, string(r))
			}
			if is := strings.Join([]string{got.Target.Node, got.Target.Configuration, "[" + strings.Join(roles, " ") + "]"}, " "); is != c.want {
				t.Errorf("the node is %s, want %s", is, c.want)
			}
			want := entry("")
			if got.Toplevel != want.Toplevel || got.Derivation != want.Derivation || got.Manifest.Signer != "ci@example.org" ||
				got.Manifest.Place != string(from.Revision.Commit)+"/web-01.json of branch manifests" {
				t.Errorf("got %+v", got)
			}
		})
	}
}
