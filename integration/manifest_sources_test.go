//go:build integration

package integration

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/infra-agent/infra-agent/agent/control"
	"github.com/infra-agent/infra-agent/agent/manifest"
	"github.com/infra-agent/infra-agent/reconcile"
)

// answer has the server answer with a text from now on.
func (c *ci) answer(path, text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.files[path], c.dates[path] = []byte(text), time.Now()
}

// nextSecond waits until what happens has a later date: those of git and of HTTP have whole seconds.
func nextSecond() { time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(time.Second))) }

// build evaluates and builds the newest commit, and copies the systems into the cache.
func (c *ci) build() *manifest.Manifest {
	c.t.Helper()
	_, m := c.evaluate()
	for _, n := range m.Nodes {
		c.upload(n.Toplevel, "/root/cache-key")
	}
	return m
}

// forget drops what the cache says of a path: or Nix would find it there, and upload nothing.
func (c *ci) forget(path string) {
	c.t.Helper()
	hash, _, _ := strings.Cut(filepath.Base(path), "-")
	c.mu.Lock()
	delete(c.files, "/"+hash+".narinfo")
	c.mu.Unlock()
	must[string](c.t)(c.Run(c.t.Context(), "rm", "-rf", "/root/.cache/nix"))
}

// Manifests may be in the binary cache itself, as a store path that is signed with its key.
func TestManifestsOfABinaryCache(t *testing.T) {
	f := newFleet(t)
	c := newCI(t, f)
	f.push("manifests", map[string]string{"config.toml": c.config(t, `mode = "only"
sources = ["store:`+c.cacheURL+`/manifests/{commit}"]`, "evaluate_memory = \"64MiB\"\n")})
	nodes := f.boot("web1", "db1")
	web := nodes[0]
	c.on(nodes[1])
	stored := func() reconcile.Toplevel { // the newest manifests, as a path of that machine's store
		t.Helper()
		return reconcile.Toplevel(strings.TrimSpace(must[string](t)(c.Run(t.Context(), "sh", "-c", "rm -rf /root/infra-agent-manifest && cp -r /root/out /root/infra-agent-manifest && nix-store --add /root/infra-agent-manifest"))))
	}
	named := func(path reconcile.Toplevel) {
		t.Helper()
		c.answer("/manifests/"+f.tip(), string(path)+"\n")
		f.sync()
	}
	c.build()
	first := stored()
	c.upload(first, "/root/cache-key")
	named(first)
	s := web.wait("in sync at the first commit", inSync(f.tip()))
	if m := s.Manifest; m == nil || m.Place != string(first)+"/"+f.tip()+"/web1.json" || m.Signer != "lab-1, a key of the binary cache" {
		t.Errorf("the system was named by %+v, want the manifest of %s", m, first)
	}

	commit := f.edit("roles/web.nix", "VERSION=1", "VERSION=2")
	m := c.build()
	second := stored()
	t.Log("the manifests of another commit")
	named(first)
	web.wait("held", held(reconcile.GateManifest, fmt.Sprintf("%s has no manifest of %s", first, commit[:8])))
	t.Log("something else that the cache has signed")
	named(m.Nodes["web1"].Toplevel)
	web.wait("held", held(reconcile.GateManifest, "want the store path of manifests"))
	t.Log("a path that the cache does not have")
	named(second)
	web.wait("held", held(reconcile.GateManifest, "no binary cache of this node has "+string(second)))
	t.Log("one that nobody has signed: Nix takes it, since its name says what is in it")
	must[string](t)(c.Run(t.Context(), "nix", "copy", "--to", c.cacheURL, string(second)))
	f.sync()
	web.wait("held", held(reconcile.GateManifest, string(second)+" is not signed by any of the keys"))
	t.Log("signed by another key")
	other, _ := cacheKey(t)
	check(t, c.Write("/root/other-key", other, 0o600))
	c.forget(string(second))
	c.upload(second, "/root/other-key")
	f.sync()
	web.wait("held", held(reconcile.GateManifest, string(second)+" is not signed by any of the keys"))
	t.Log("signed as it should be, though the path is there already")
	c.forget(string(second))
	c.upload(second, "/root/cache-key")
	f.sync()
	s = web.wait("promoted", ended(reconcile.ResultPromoted, commit))
	web.expect(string(m.Nodes["web1"].Toplevel))
	if s.Took["evaluate"] > 0 || s.Took["resolve"] > 0 {
		t.Errorf("the node took %v, want no evaluation", s.Took)
	}
}

// A pin names a system, and no commit: it is taken with what that is worth.
func TestPinsDeploy(t *testing.T) {
	f := newFleet(t)
	c := newCI(t, f)
	f.push("pins", map[string]string{"config.toml": c.config(t, `mode = "only"
sources = ["pin:`+c.cacheURL+`/pins/{node}"]`, "evaluate_memory = \"64MiB\"\n")})
	nodes := f.boot("web1", "db1")
	web := nodes[0]
	c.on(nodes[1])
	pinned := func() string {
		t.Helper()
		m := c.build()
		nextSecond()
		for name, n := range m.Nodes {
			c.answer("/pins/"+name, string(n.Toplevel))
		}
		f.sync()
		nextSecond()
		return string(m.Nodes["web1"].Toplevel)
	}
	first := pinned()
	web.wait("in sync at the first commit", inSync(f.tip()))

	t.Log("a commit, of which there is no pin yet")
	commit := f.edit("roles/web.nix", "VERSION=1", "VERSION=2")
	web.wait("held", held(reconcile.GateManifest, "whoever makes pins has not come to it yet"))
	good := pinned()
	s := web.wait("promoted", ended(reconcile.ResultPromoted, commit))
	web.expect(good)
	if m := s.Manifest; m == nil || m.Signer != "" || m.Pinned.IsZero() {
		t.Errorf("the system was named by %+v, want a pin", m)
	}
	const lesser = ": nobody signed it, and it names no commit"
	for _, verb := range []string{"status", "plan"} {
		if out := must[string](t)(web.agent(verb)); !strings.Contains(out, c.cacheURL+"/pins/web1, a pin of ") || !strings.Contains(out, lesser) {
			t.Errorf("%s does not say that a pin names no commit:\n%s", verb, out)
		}
	}
	if out, code := web.doctor(); code != 0 || !strings.Contains(out, lesser) {
		t.Errorf("the doctor exits %d, and does not say that a pin names no commit:\n%s", code, out)
	}

	t.Log("a bad commit is rolled back, and the revert of it ends that")
	bad := f.edit("roles/web.nix", "ExecStart=/bin/sleep infinity", "ExecStart=/bin/false")
	pinned()
	web.rolledBack(bad, good, reconcile.ReasonUnit)
	f.edit("roles/web.nix", "ExecStart=/bin/false", "ExecStart=/bin/sleep infinity")
	if again := pinned(); again != good {
		t.Fatalf("the revert is %s, want %s", again, good)
	}
	web.wait("in sync at the revert", inSync(f.tip()))
	web.expect(good)

	t.Log("an old system, dated as a new one")
	commit = f.edit("roles/web.nix", "VERSION=2", "VERSION=3")
	nextSecond()
	c.answer("/pins/web1", first)
	f.sync()
	web.wait("held", held(reconcile.GateManifest, "the pin names "+first+", as one did before"))
	c.answer("/pins/web1", "<html>")
	f.sync()
	web.wait("held", held(reconcile.GateManifest, "want the store path of a system"))
	pinned()
	web.wait("promoted", ended(reconcile.ResultPromoted, commit))

	t.Log("the pin of a commit before the newest, and then the newest one's")
	f.edit("roles/web.nix", "VERSION=3", "VERSION=4")
	m := c.build()
	commit = f.edit("roles/web.nix", "VERSION=4", "VERSION=5")
	nextSecond()
	c.answer("/pins/web1", string(m.Nodes["web1"].Toplevel))
	f.sync()
	web.wait("promoted", ended(reconcile.ResultPromoted, commit))
	web.expect(string(m.Nodes["web1"].Toplevel))
	late := pinned()
	web.wait("on the newest", func(s control.Status) bool { return string(s.Good.Toplevel) == late })
	web.expect(late)

	t.Log("as niks3 lists them")
	commit = f.edit("config.toml", "/pins/{node}", "/api/pins#nixos-{node}")
	list := func(top string) {
		at := time.Now().UTC().Format(time.RFC3339Nano)
		c.answer("/api/pins", fmt.Sprintf(`[{"name":"nixos-web1","store_path":%q,"created_at":%q,"updated_at":%q}]`, top, at, at))
	}
	m = c.build()
	top := string(m.Nodes["web1"].Toplevel)
	nextSecond()
	list(top)
	c.answer("/pins/web1", top)
	f.sync()
	web.wait("promoted", ended(reconcile.ResultPromoted, commit))
	commit = f.edit("roles/web.nix", "VERSION=5", "VERSION=6")
	m = c.build()
	nextSecond()
	list(string(m.Nodes["web1"].Toplevel))
	f.sync()
	s = web.wait("promoted", ended(reconcile.ResultPromoted, commit))
	if s.Manifest == nil || !strings.HasSuffix(s.Manifest.Place, "/api/pins") {
		t.Errorf("the system was named by %+v, want niks3's list", s.Manifest)
	}
	for _, job := range []string{"resolve", "evaluate"} {
		if s.Took[job] > 0 {
			t.Errorf("the node ran the job %s", job)
		}
	}
}
