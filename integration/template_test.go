//go:build integration

package integration

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/infra-agent/infra-agent/integration/lab"
	nixosmodule "github.com/infra-agent/infra-agent/nixos-module"
	"github.com/infra-agent/infra-agent/reconcile"
)

const (
	template = "../packaging/fleet/fleet"
	minimal  = "../packaging/fleet/minimal"
)

// The template's scripts have no mistake that shellcheck finds.
func TestTheTemplatesScripts(t *testing.T) {
	scripts := must[[]string](t)(filepath.Glob(template + "/bin/*"))
	if out, err := exec.CommandContext(t.Context(), "shellcheck", scripts...).CombinedOutput(); err != nil || len(scripts) == 0 {
		t.Errorf("%v\n%s", err, out)
	}
}

// CI builds the nodes whose systems differ from those of the branch that nodes follow. The flake's evaluation needs nixpkgs, so
// a file of the commit says what would come of it.
func TestChangedNodes(t *testing.T) {
	script := must[string](t)(filepath.Abs(template + "/bin/changed-nodes"))
	bin, work := t.TempDir(), t.TempDir()
	const nix = `#!/bin/sh
set -eu
[ "$1 $2" = "eval --json" ]
case $3 in
".#nixosConfigurations") cat systems ;;
"git+file://"*"?rev="*"&allRefs=1#nixosConfigurations") rev=${3#*rev=}; git show "${rev%%&*}:systems" ;;
esac
`
	check(t, os.WriteFile(filepath.Join(bin, "nix"), []byte(nix), 0o755))
	run := func(name string, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Dir, cmd.Env = work, append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "GIT_CONFIG_GLOBAL=/dev/null",
			"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.org", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.org")
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s %v: %v", name, args, err)
		}
		return strings.TrimSpace(string(out))
	}
	commit := func(systems string) {
		t.Helper()
		check(t, os.WriteFile(filepath.Join(work, "systems"), []byte(systems), 0o644))
		run("git", "add", "systems")
		run("git", "commit", "--quiet", "--allow-empty", "--message", "systems")
	}
	run("git", "init", "--quiet")
	run("git", "commit", "--quiet", "--allow-empty", "--message", "does not evaluate")
	commit(`{"a": "/nix/store/1.drv", "b": "/nix/store/2.drv"}`)
	commit(`{"a": "/nix/store/1.drv", "b": "/nix/store/3.drv", "c": "/nix/store/4.drv"}`)
	for _, c := range []struct{ base, want string }{
		{"HEAD", `[]`}, {"HEAD~1", `["b","c"]`}, {"HEAD~2", `["a","b","c"]`}, {"origin/deploy", `["a","b","c"]`}, {"", `["a","b","c"]`},
	} {
		if got := run(script, c.base); got != c.want {
			t.Errorf("since %q: %s, want %s", c.base, got, c.want)
		}
	}
}

var mdLink = regexp.MustCompile(`\]\(([^)#]+)[^)]*\)`)

// The registry of each template follows the conventions, without a warning.
func TestTheTemplatesRegistries(t *testing.T) {
	agent := must[string](t)(builtAgent())
	for _, file := range []string{template + "/modules/infrastructure/infrastructure.toml", minimal + "/infrastructure.toml"} {
		out, err := exec.CommandContext(t.Context(), agent, "registry", "check", "--strict", file).CombinedOutput()
		if err != nil || strings.Contains(string(out), "warning") {
			t.Errorf("%s: %v\n%s", file, err, out)
		}
	}
}

// The links of the templates' documents lead somewhere, and the fleet stays as small as it was meant.
func TestTheTemplatesDocuments(t *testing.T) {
	files, lines := 0, 0
	summary := string(must[[]byte](t)(os.ReadFile(template + "/docs/SUMMARY.md")))
	walk := func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text := string(must[[]byte](t)(os.ReadFile(path)))
		files, lines = files+1, lines+strings.Count(text, "\n")
		if filepath.Ext(path) != ".md" {
			return nil
		}
		if page := must[string](t)(filepath.Rel(template+"/docs", path)); filepath.IsLocal(page) && page != "SUMMARY.md" && !strings.Contains(summary, "]("+page+")") {
			t.Errorf("docs/SUMMARY.md lacks %s, so the site would", page)
		}
		for _, link := range mdLink.FindAllStringSubmatch(text, -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(path), link[1])); err != nil && !strings.Contains(link[1], "://") {
				t.Errorf("%s: the link to %s leads nowhere", path, link[1])
			}
		}
		return nil
	}
	check(t, filepath.WalkDir(minimal, walk))
	check(t, filepath.WalkDir(template, walk))
	if files > 120 || lines > 3500 {
		t.Errorf("the two have %d files and %d lines, want at most 120 and 3500", files, lines)
	}
}

// The template as it is, but for what its README has people fill in, on stand-ins for its inputs: machines that boot from its
// image, which is nobody's system, become the nodes whose names cloud-init has given them. One whose name nobody knows stays
// what it is, and says how to be known. Then one commit changes a role, and both its nodes follow.
func TestTheTemplateDeploys(t *testing.T) {
	f := newFleet(t)
	files := f.standIns(t)
	check(t, fs.WalkDir(os.DirFS(template), ".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files[path] = string(must[[]byte](t)(os.ReadFile(filepath.Join(template, path))))
		}
		return err
	}))
	const registry, agent, dns = "modules/infrastructure/infrastructure.toml", "modules/infrastructure/agent.nix", "roles/dns.nix"
	fill := func(path, old, text string) {
		t.Helper()
		if !strings.Contains(files[path], old) {
			t.Fatalf("%s has no %q", path, old)
		}
		files[path] = strings.Replace(files[path], old, text, 1)
	}
	fill(agent, "https://git.example.org/fleet.git", lab.GitURL)
	fill(registry, "[nodes.dns-02]\nsystem = \"aarch64-linux\"", "[nodes.dns-02]\nsystem = \"x86_64-linux\"") // as the lab's machines are
	f.push("The template", files)

	var booted []*node
	for name, address := range map[string]string{"dns-01": "10.99.0.11", "dns-02": "10.99.0.12", "dns-09": "10.99.0.19"} {
		n := &node{must[*lab.Node](t)(f.Node(name, address)), t}
		check(t, n.InstallFrom(t.Context(), f.tip(), "packages.x86_64-linux.cloud-openstack"))
		check(t, n.Write("/etc/ssh/ssh_host_ed25519_key", "made by sshd", 0o600))
		booted = append(booted, n)
	}
	slices.SortFunc(booted, func(a, b *node) int { return strings.Compare(a.Name(), b.Name()) })
	for _, n := range booted {
		check(t, n.Boot(t.Context()))
	}
	for _, n := range booted {
		must[string](t)(n.WaitRunning(t.Context()))
	}
	*f.nodes = booted
	nodes, stranger := booted[:2], booted[2]
	image := stranger.toplevel(lab.CurrentSystem)
	for _, n := range nodes {
		s := n.wait("joined", ended(reconcile.ResultPromoted, f.tip()))
		if got := roles(s); got != "default dns" || n.active("unbound.service") != "active" {
			t.Errorf("%s: roles %q, unbound.service is %s; want those of the resolvers", n.Name(), got, n.active("unbound.service"))
		}
		for _, check := range []string{"sshd", "resolver"} {
			if !s.Checks[check].OK {
				t.Errorf("%s: check %s is %+v", n.Name(), check, s.Checks[check])
			}
		}
	}
	stranger.wait("unregistered", held(reconcile.GateIdentity, "add [nodes.dns-09]"))
	stranger.expect(image)

	commit := f.edit(dns, `"192.0.2.0/24"`, `"192.0.2.0/24" "198.51.100.0/24"`)
	for _, n := range nodes {
		n.wait("followed", ended(reconcile.ResultPromoted, commit))
		if got := must[string](t)(n.Read("/run/current-system/etc/unbound.json")); !strings.Contains(got, "198.51.100.0/24") {
			t.Errorf("%s: unbound has the settings %s", n.Name(), got)
		}
	}
	// Its first deployment is a trial as any other: where the network does not come up without cloud-init, the image comes back.
	const host = "hosts/servers/dns-09/configuration.nix"
	cut := f.push("dns-09 is known", map[string]string{
		registry: must[string](t)(f.Repo().File(registry)) + "\n[nodes.dns-09]\nsystem = \"x86_64-linux\"\nkind = \"cloud\"\naddress = \"192.0.2.12\"\nroles = [\"dns\"]\n",
		host: `{
  system.stateVersion = "25.11";
  systemd.services.cut = {
    wantedBy = [ "multi-user.target" ];
    serviceConfig = {
      Type = "oneshot";
      RemainAfterExit = true;
      ExecStart = "/usr/sbin/ip link set host0 down";
      ExecStop = "/usr/sbin/ip link set host0 up";
    };
  };
}
`,
	})
	stranger.rolledBack(cut, image, reconcile.ReasonConnectivity)
	commit = f.push("dns-09 has a network", map[string]string{host: "{ system.stateVersion = \"25.11\"; }\n"})
	stranger.wait("joined", ended(reconcile.ResultPromoted, commit))
}

var (
	inputURL     = regexp.MustCompile(`(?m)^\s+([a-z-]+)\.url = "github:([^/"]+)/([^/"]+)/?([^"]*)";`)
	inputFollows = regexp.MustCompile(`([a-z-]+)\.inputs\.([a-z-]+)\.follows = "([a-z-]+)";`)
)

// standIns serves stand-ins for the inputs of the template's flake, and returns the flake.lock that names them.
func (f fleet) standIns(t *testing.T) map[string]string {
	files := map[string]string{}
	add := func(to string, from fs.FS) {
		check(t, fs.WalkDir(from, ".", func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				files[filepath.Join(to, path)] = string(must[[]byte](t)(fs.ReadFile(from, path)))
			}
			return err
		}))
	}
	add("", os.DirFS("lab/template"))
	add("fleet", os.DirFS("lab/fleet"))
	add("nixos-module", nixosmodule.Files)
	add("packaging/fleet/testdata", os.DirFS("../packaging/fleet/testdata"))
	flake := string(must[[]byte](t)(os.ReadFile(template + "/flake.nix")))
	urls := inputURL.FindAllStringSubmatch(flake, -1)
	for _, url := range urls {
		files[url[1]+"/flake.nix"] = fmt.Sprintf("{ outputs = _: (import ../stand-ins.nix).%s; }\n", url[1])
	}
	check(t, f.Repo().Beside("stand-ins", files))
	revision := must[string](t)(f.Repo().Head("stand-ins"))

	type object = map[string]any
	root := object{}
	nodes := object{"root": object{"inputs": root}}
	for _, url := range urls {
		original := object{"type": "github", "owner": url[2], "repo": url[3]}
		if url[4] != "" {
			original["ref"] = url[4]
		}
		follows := object{}
		for _, input := range inputFollows.FindAllStringSubmatch(flake, -1) {
			if input[1] == url[1] {
				follows[input[2]] = []string{input[3]}
			}
		}
		root[url[1]] = url[1]
		nodes[url[1]] = object{"inputs": follows, "original": original, "locked": object{
			"type": "git", "url": lab.GitURL, "ref": "refs/heads/stand-ins", "rev": revision, "dir": url[1],
		}}
	}
	lock := must[[]byte](t)(json.MarshalIndent(object{"nodes": nodes, "root": "root", "version": 7}, "", "  "))
	return map[string]string{"flake.lock": string(lock)}
}
