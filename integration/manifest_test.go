//go:build integration

package integration

import (
	"crypto/ed25519"
	"encoding/base64"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/infra-agent/infra-agent/agent/control"
	"github.com/infra-agent/infra-agent/agent/manifest"
	"github.com/infra-agent/infra-agent/integration/lab"
	"github.com/infra-agent/infra-agent/reconcile"
)

// A ci is a machine that makes manifests: a node that has the agent's program, and no part in what
// is tried. It has a binary cache, which takes what it is given over HTTP, as Nix's own can.
type ci struct {
	*node
	f        fleet
	key      string // the file on this machine, and on the node
	cacheURL string

	mu    sync.Mutex           // guards what follows
	files map[string][]byte    // of the cache, and manifests, by path
	dates map[string]time.Time // of some of them
	down  bool                 // it gives no answer
}

func (c *ci) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch data, there := c.files[r.URL.Path]; {
	case c.down:
		panic(http.ErrAbortHandler)
	case r.Method == http.MethodPut:
		c.files[r.URL.Path], _ = io.ReadAll(r.Body)
	case !there:
		http.NotFound(w, r)
	default:
		if date, there := c.dates[r.URL.Path]; there {
			w.Header().Set("Last-Modified", date.UTC().Format(http.TimeFormat))
		}
		_, _ = w.Write(data)
	}
}

const ciKey = "/root/manifest-key"

// newCI makes the cache and the keys. What nodes must know of them is for the caller to commit.
func newCI(t testing.TB, f fleet) *ci {
	c := &ci{f: f, files: map[string][]byte{"/nix-cache-info": []byte("StoreDir: /nix/store\n")}, dates: map[string]time.Time{}, key: filepath.Join(t.TempDir(), "key")}
	c.cacheURL = must[string](t)(f.ServeHTTP(c))
	check(t, exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", c.key).Run())
	return c
}

// cacheKey is a key of Nix's, as "nix key generate-secret" makes it.
func cacheKey(t testing.TB) (secret, public string) {
	t.Helper()
	const name = "lab-1"
	pub, priv, err := ed25519.GenerateKey(nil)
	check(t, err)
	return name + ":" + base64.StdEncoding.EncodeToString(priv), name + ":" + base64.StdEncoding.EncodeToString(pub)
}

// settings are those of nodes that trust it; limits are more of their limits.
func (c *ci) settings(t testing.TB, settings, limits string) {
	t.Helper()
	signer := must[[]byte](t)(os.ReadFile(c.key + ".pub"))
	files := trusting("manifest_signers", "ci@example.org namespaces=\"infra-agent-manifest\" "+string(signer))
	files["config.toml"] = c.config(t, settings, limits) + `
[trust]
manifest_signers_file = "/etc/infra-agent/manifest_signers"
`
	c.f.push("manifests", files)
}

// config is a file of settings of nodes that trust the cache, and nobody who signs manifests.
func (c *ci) config(t testing.TB, settings, limits string) string {
	t.Helper()
	secret, public := cacheKey(t)
	check(t, os.WriteFile(c.key+".cache", []byte(secret), 0o600))
	return strings.Replace(must[string](t)(c.f.Repo().File("config.toml")), "[limits]\n", "[limits]\n"+limits, 1) + `
[manifest]
` + settings + `

[nix]
extra_args = ["--option", "substituters", "` + c.cacheURL + `", "--option", "trusted-public-keys", "` + public + `"]
`
}

// on makes a node the machine.
func (c *ci) on(n *node) {
	c.node = n
	for name, file := range map[string]string{ciKey: c.key, "/root/cache-key": c.key + ".cache"} {
		check(c.t, n.Write(name, string(must[[]byte](c.t)(os.ReadFile(file))), 0o600))
	}
}

// evaluate makes the newest commit's manifest, signed, and builds what it names.
func (c *ci) evaluate() (files map[string]string, m *manifest.Manifest) {
	c.t.Helper()
	must[string](c.t)(c.Run(c.t.Context(), "sh", "-c", "cd / && rm -rf /root/ci /root/out && git clone --quiet "+lab.GitURL+" /root/ci"))
	must[string](c.t)(c.agent("registry", "manifest", "/root/ci", "--build", "--out", "/root/out", "--sign", ciKey))
	files = map[string]string{}
	for _, name := range strings.Fields(must[string](c.t)(c.Run(c.t.Context(), "sh", "-c", "cd /root/out && find -type f"))) {
		files[strings.TrimPrefix(name, "./")] = must[string](c.t)(c.Read("/root/out/" + name))
	}
	return files, must[*manifest.Manifest](c.t)(manifest.Parse([]byte(files[manifest.FileName(reconcile.Commit(c.f.tip()), "")])))
}

// upload copies a system into the cache, signed by a key.
func (c *ci) upload(top reconcile.Toplevel, key string) {
	c.t.Helper()
	must[string](c.t)(c.Run(c.t.Context(), "nix", "copy", "--to", c.cacheURL+"?compression=none&secret-key="+key, string(top)))
}

// publish does for the newest commit all that a machine of CI does.
func (c *ci) publish() (files map[string]string, m *manifest.Manifest) {
	c.t.Helper()
	files, m = c.evaluate()
	for _, n := range m.Nodes {
		c.upload(n.Toplevel, "/root/cache-key")
	}
	check(c.t, c.f.Repo().Beside("manifests", files))
	c.f.sync()
	return files, m
}

// serve does the same, with manifests at the server instead of a branch.
func (c *ci) serve() {
	c.t.Helper()
	c.offer()
	c.f.sync()
}

// offer puts it all there, and tells nobody.
func (c *ci) offer() {
	c.t.Helper()
	files, m := c.evaluate()
	for _, n := range m.Nodes {
		c.upload(n.Toplevel, "/root/cache-key")
	}
	c.mu.Lock()
	for name, text := range files {
		c.files["/manifests/"+name] = []byte(text)
	}
	c.mu.Unlock()
}

// signed signs a text as ssh-keygen does.
func signed(t *testing.T, text, key string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "text")
	check(t, os.WriteFile(file, []byte(text), 0o600))
	check(t, exec.Command("ssh-keygen", "-q", "-Y", "sign", "-n", manifest.Namespace, "-f", key, file).Run())
	return string(must[[]byte](t)(os.ReadFile(file + manifest.Suffix)))
}

// A node that cannot evaluate deploys, rolls back and goes on by manifests alone.
func TestOnlyManifestsDeploy(t *testing.T) {
	f := newFleet(t)
	c := newCI(t, f)
	c.settings(t, `mode = "only"`, "evaluate_memory = \"64MiB\"\n")
	nodes := f.boot("web1", "db1")
	web := nodes[0]
	c.on(nodes[1])
	web.wait("held", held(reconcile.GateManifest, "there is no manifest of "+f.tip()[:8]+" yet: "))
	c.publish()
	for _, n := range nodes {
		n.wait("in sync at the first commit", inSync(f.tip()))
	}

	t.Log("a commit arrives, a bad one is rolled back, and the revert of it ends that")
	commit := f.edit("roles/web.nix", "VERSION=1", "VERSION=2")
	_, m := c.publish()
	s := web.wait("promoted", ended(reconcile.ResultPromoted, commit))
	web.expect(string(m.Nodes["web1"].Toplevel))
	good := string(s.Good.Toplevel)
	if out, code := web.doctor(); code != 0 || !strings.Contains(out, "ok    manifest   "+manifest.FileName(m.Commit, "web1")+" of branch manifests, signed by ci@example.org\n") ||
		!strings.Contains(out, "ok    system     "+good+"\n") {
		t.Errorf("the doctor exits %d, and says\n%s", code, out)
	}
	bad := f.edit("roles/web.nix", "ExecStart=/bin/sleep infinity", "ExecStart=/bin/false")
	c.publish()
	web.rolledBack(bad, good, reconcile.ReasonUnit)
	f.edit("roles/web.nix", "ExecStart=/bin/false", "ExecStart=/bin/sleep infinity")
	c.publish()
	s = web.wait("in sync at the revert", inSync(f.tip()))
	web.expect(good)
	for _, job := range []string{"resolve", "evaluate"} {
		if took := s.Took[job]; took > 0 {
			t.Errorf("the node ran the job %s", job)
		}
	}

	t.Log("what does not count holds, and the right manifest ends it")
	before := manifest.FileName(reconcile.Commit(f.tip()), "web1")
	old, _ := c.evaluate()
	commit = f.edit("roles/web.nix", "VERSION=2", "VERSION=3")
	files, m := c.evaluate()
	mine := manifest.FileName(m.Commit, "web1")
	stranger := filepath.Join(t.TempDir(), "stranger")
	check(t, exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", stranger).Run())
	elsewhere := strings.Replace(files[mine], "x86_64-linux", "aarch64-linux", 1)
	gone := strings.Replace(files[mine], `"web1":`, `"web7":`, 1)
	another := strings.Replace(files[mine], commit, strings.Repeat("1", 40), 1)
	lies := strings.Replace(files[mine], m.Tree, string(m.Commit), 1)
	for _, wrong := range []struct{ name, text, sig, says string }{
		{"an older commit's", old[before], old[before+manifest.Suffix], "which is older than " + commit[:8]},
		{"another commit's", another, signed(t, another, c.key), "the manifest is of another commit: it says " + strings.Repeat("1", 8)},
		{"a stranger's", files[mine], signed(t, files[mine], stranger), "signed by a key that is not allowed"},
		{"one that was changed", elsewhere, files[mine+manifest.Suffix], "the manifest's signature: the signature is not valid"},
		{"for another kind of machine", elsewhere, signed(t, elsewhere, c.key), "node web1 is aarch64-linux, and this machine is x86_64-linux"},
		{"of another tree", lies, signed(t, lies, c.key), "the manifest is of another tree"},
		{"without this node", gone, signed(t, gone, c.key), `the manifest has no node "web1"`},
		{"half of it", files[mine][:200], files[mine+manifest.Suffix], "it ends too early"},
		{"50 MB", strings.Repeat(" ", 50<<20), "x", "it has more than 524288 bytes"},
	} {
		t.Log(wrong.name)
		check(t, f.Repo().Beside("manifests", map[string]string{mine: wrong.text, mine + manifest.Suffix: wrong.sig}))
		f.sync()
		web.wait("held", held(reconcile.GateManifest, wrong.says))
	}
	t.Log("the right one, and a cache that does not have the system, or shows it signed by another key")
	check(t, f.Repo().Beside("manifests", files))
	f.sync()
	top := m.Nodes["web1"].Toplevel
	web.wait("held", held(reconcile.GateManifest, "no binary cache of this node has "+string(top)))
	other, _ := cacheKey(t)
	check(t, c.Write("/root/other-key", other, 0o600))
	c.upload(top, "/root/other-key")
	f.sync()
	web.wait("held", held(reconcile.GateManifest, "not signed by any of the keys"))
	c.mu.Lock()
	for name := range c.files { // or Nix would find them there, and upload nothing
		if strings.HasSuffix(name, ".narinfo") {
			delete(c.files, name)
		}
	}
	c.mu.Unlock()
	must[string](t)(c.Run(t.Context(), "rm", "-rf", "/root/.cache/nix"))
	c.upload(top, "/root/cache-key")
	f.sync()
	web.wait("promoted", ended(reconcile.ResultPromoted, commit))
	web.expect(string(top))
}

// A node that prefers manifests evaluates by itself where none comes.
func TestWithoutAManifestTheNodeEvaluates(t *testing.T) {
	f := newFleet(t)
	c := newCI(t, f)
	c.settings(t, "mode = \"prefer\"\nwait = \"3s\"", "")
	web := f.up("web1")[0]
	commit := f.edit("roles/web.nix", "VERSION=1", "VERSION=2")
	s := web.wait("promoted", ended(reconcile.ResultPromoted, commit))
	if s.Took["evaluate"] == 0 {
		t.Errorf("the node took %v, want an evaluation", s.Took)
	}
	t.Log("a manifest that comes after that changes nothing, though it names another system")
	c.on(f.boot("db1")[0])
	good := string(s.Good.Toplevel)
	files, m := c.evaluate()
	mine := manifest.FileName(m.Commit, "web1")
	lie := strings.ReplaceAll(files[mine], filepath.Base(good), "0c0wiqhlf3l3sn8ms5rkclb0snfmvkq6-nixos-system-web1-lie")
	check(t, f.Repo().Beside("manifests", map[string]string{mine: lie, mine + manifest.Suffix: signed(t, lie, c.key)}))
	polls := web.metric(`infra_agent_polls_total{result="unchanged"}`)
	f.sync()
	web.wait("polled again", func(s control.Status) bool {
		return web.metric(`infra_agent_polls_total{result="unchanged"}`) > polls+1
	})
	if s, err := web.status(); err != nil || !inSync(commit)(s) || len(s.Holds) > 0 {
		t.Errorf("state %s, holds %v, %v, want it in sync", s.State, s.Holds, err)
	}
	web.expect(good)
}

// A node comes from evaluations to manifests, and back.
func TestFromEvaluationsToManifestsAndBack(t *testing.T) {
	f := newFleet(t)
	c := newCI(t, f)
	nodes := f.up("web1", "db1")
	web := nodes[0]
	promoted := func(commit string) control.Status {
		t.Helper()
		return web.wait("promoted", ended(reconcile.ResultPromoted, commit))
	}
	c.settings(t, "mode = \"prefer\"\nwait = \"1h\"\nsources = [\""+c.cacheURL+"/manifests/{commit}/{node}.json\"]", "")
	c.on(nodes[1])
	t.Log("the new agent has no manifest for the commit that brings it, and may evaluate")
	promoted(f.tip())
	t.Log("from now on a manifest is waited for")
	commit := f.edit("roles/web.nix", "VERSION=1", "VERSION=2")
	web.wait("held", held(reconcile.GateManifest, "there is no manifest of "+commit[:8]+" yet: http://"))
	c.serve()
	if m := promoted(commit).Manifest; m == nil || m.Signer != "ci@example.org" || !strings.HasPrefix(m.Place, c.cacheURL) {
		t.Errorf("the system was named by %v, want the manifest of the server", m)
	}
	t.Log("a fleet's file that was cut off")
	commit = f.edit("config.toml", "/{commit}/{node}.json", "/{commit}.json")
	c.serve()
	promoted(commit)
	commit = f.edit("roles/web.nix", "VERSION=2", "VERSION=22")
	c.offer()
	whole := "/manifests/" + manifest.FileName(reconcile.Commit(commit), "")
	c.mu.Lock()
	text := c.files[whole]
	c.files[whole] = text[:len(text)-60]
	c.mu.Unlock()
	f.sync()
	web.wait("held", held(reconcile.GateManifest, "it ends too early"))
	c.mu.Lock()
	c.files[whole] = text
	c.mu.Unlock()
	f.sync()
	promoted(commit)
	t.Log("the server of manifests is down for a while")
	c.mu.Lock()
	c.down = true
	c.mu.Unlock()
	commit = f.edit("config.toml", `mode = "prefer"`, `mode = "only"`)
	web.wait("held", held(reconcile.GateManifest, "EOF"))
	c.mu.Lock()
	c.down = false
	c.mu.Unlock()
	c.serve()
	promoted(commit)
	t.Log("a node that never evaluates learns to do so again")
	commit = f.edit("config.toml", `mode = "only"`, `mode = "off"`)
	c.serve()
	promoted(commit)
	commit = f.edit("roles/web.nix", "VERSION=22", "VERSION=3")
	if m := promoted(commit).Manifest; m != nil {
		t.Errorf("the system was named by %v, want an evaluation", m)
	}
}

// A node that audits finds a machine that lies, or evaluates something else.
func TestAnAuditFindsALie(t *testing.T) {
	f := newFleet(t)
	c := newCI(t, f)
	c.settings(t, "mode = \"prefer\"\nwait = \"1h\"\naudit = \"100%\"", "")
	nodes := f.boot("web1", "db1")
	web := nodes[0]
	c.on(nodes[1])
	_, before := c.publish()
	web.wait("in sync at the first commit", inSync(f.tip()))

	f.edit("roles/web.nix", "VERSION=1", "VERSION=2")
	files, m := c.evaluate()
	mine, honest, lie := manifest.FileName(m.Commit, "web1"), string(m.Nodes["web1"].Toplevel), string(before.Nodes["web1"].Toplevel)
	text := strings.ReplaceAll(files[mine], filepath.Base(honest)+`"`, filepath.Base(lie)+`"`)
	check(t, f.Repo().Beside("manifests", map[string]string{mine: text, mine + manifest.Suffix: signed(t, text, c.key)}))
	f.sync()
	web.wait("held", held(reconcile.GateManifest, "names "+lie+", and this node's own evaluation "+honest))
	web.expect(lie)
	commit := f.edit("roles/web.nix", "VERSION=2", "VERSION=3")
	c.publish()
	s := web.wait("promoted", ended(reconcile.ResultPromoted, commit))
	if s.Took["audit"] == 0 || s.Took["evaluate"] > 0 {
		t.Errorf("the node took %v, want an audit", s.Took)
	}
}

// manifest makes the newest commit's manifest on the node, as a machine of CI would; nil where
// it is written to a directory.
func (n *node) manifest(args ...string) *manifest.Manifest {
	n.t.Helper()
	must[string](n.t)(n.Run(n.t.Context(), "sh", "-c", "cd / && rm -rf /root/ci && git clone --quiet "+lab.GitURL+" /root/ci"))
	out := must[string](n.t)(n.agent(append([]string{"registry", "manifest", "/root/ci"}, args...)...))
	if slices.Contains(args, "--out") {
		return nil
	}
	return must[*manifest.Manifest](n.t)(manifest.Parse([]byte(out)))
}

// Whoever evaluates a commit, for whichever node: it is the same system.
func TestManifestSaysWhatNodesEvaluate(t *testing.T) {
	f := newFleet(t)
	nodes := f.up("web1", "db1")
	commit := f.push("every commit is a system of its own", map[string]string{"roles/default.nix": "{ self, ... }: { configurationRevision = self.rev; }\n"})
	for _, n := range nodes {
		n.wait("at the commit", inSync(commit))
	}
	m := nodes[1].manifest("--build")
	if string(m.Commit) != commit {
		t.Errorf("it is of %s, want %s", m.Commit, commit)
	}
	for _, n := range nodes {
		got := m.Nodes[n.Name()]
		if want := n.toplevel(lab.CurrentSystem); string(got.Toplevel) != want || got.System != "x86_64-linux" {
			t.Errorf("%s: the manifest says %+v, the node runs %s", n.Name(), got, want)
		}
		must[string](t)(nodes[1].Run(t.Context(), "nix-store", "--query", "--hash", string(got.Toplevel))) // it was built
	}

	t.Log("what a change does is seen where both systems are built")
	f.edit("roles/web.nix", "VERSION=1", "VERSION=2")
	f.edit("roles/web.nix", "{ ... }: {", "{ ... }: { kernel = \"6.12.9\";")
	nodes[1].manifest("--commit", "HEAD~2", "--build", "--out", "/root/manifests")
	nodes[1].manifest("--build", "--out", "/root/manifests")
	out := must[string](t)(nodes[1].agent("registry", "preview", "HEAD~2..HEAD", "/root/ci", "--manifests", "/root/manifests"))
	for _, want := range []string{"### 3 of 3 nodes change\n", "\n| db1 |  |  |  |\n", "\n| web1 | kernel, initrd, modules | lab-web.service | initrd-linux: 6.12.1 → 6.12.9; linux: 6.12.1 → 6.12.9 |\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("the preview lacks %q:\n%s", want, out)
		}
	}
}
