//go:build integration

package integration

import (
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/infra-agent/infra-agent/reconcile"
)

// forge puts another content for a system into the cache, signed with the cache's key: what somebody
// may do who has that.
func (c *ci) forge(top reconcile.Toplevel, file, text string) {
	c.t.Helper()
	run := func(command string) string {
		c.t.Helper()
		return strings.TrimSpace(must[string](c.t)(c.Run(c.t.Context(), "sh", "-c", command)))
	}
	run(fmt.Sprintf("rm -rf /root/forged && cp -r %s /root/forged && chmod u+w /root/forged && echo '%s' >/root/forged/%s && nix-store --dump /root/forged >/root/forged.nar", top, text, file))
	nar := must[string](c.t)(c.Read("/root/forged.nar"))
	hash := "sha256:" + run("nix-hash --flat --type sha256 --base32 /root/forged.nar")
	references := strings.Fields(run("nix-store --query --references " + string(top)))
	slices.Sort(references)
	var names []string
	for _, r := range references {
		names = append(names, filepath.Base(r))
	}
	secret := string(must[[]byte](c.t)(os.ReadFile(c.key + ".cache")))
	name, key, _ := strings.Cut(secret, ":")
	signed := ed25519.Sign(must[[]byte](c.t)(base64.StdEncoding.DecodeString(key)), []byte(strings.Join([]string{"1", string(top), hash, fmt.Sprint(len(nar)), strings.Join(references, ",")}, ";")))
	info := fmt.Sprintf("StorePath: %s\nURL: nar/forged.nar\nCompression: none\nFileHash: %s\nFileSize: %d\nNarHash: %s\nNarSize: %d\nReferences: %s\nSig: %s:%s\n",
		top, hash, len(nar), hash, len(nar), strings.Join(names, " "), name, base64.StdEncoding.EncodeToString(signed))
	id, _, _ := strings.Cut(filepath.Base(string(top)), "-")
	c.mu.Lock()
	c.files["/"+id+".narinfo"], c.files["/nar/forged.nar"] = []byte(info), []byte(nar)
	c.mu.Unlock()
}

// The name of a system does not say what is in it: who has the cache's key says that. Without it, another
// content is refused.
func TestTheKeyOfTheCacheDecides(t *testing.T) {
	f := newFleet(t)
	c := newCI(t, f)
	c.settings(t, `mode = "only"`, "")
	nodes := f.boot("web1", "db1")
	web := nodes[0]
	c.on(nodes[1])
	c.publish()
	web.wait("in sync at the first commit", inSync(f.tip()))
	commit := f.edit("roles/web.nix", "VERSION=1", "VERSION=2")
	files, m := c.evaluate()
	top := m.Nodes["web1"].Toplevel
	c.upload(top, "/root/cache-key") // what it refers to, too
	right := must[[]byte](t)(os.ReadFile(c.key + ".cache"))
	other, _ := cacheKey(t)
	check(t, os.WriteFile(c.key+".cache", []byte(other), 0o600))
	c.forge(top, "forged", "by who has the cache alone")
	check(t, f.Repo().Beside("manifests", files))
	f.sync()
	web.wait("held", held(reconcile.GateManifest, "not signed by any of the keys"))
	check(t, os.WriteFile(c.key+".cache", right, 0o600))
	c.forge(top, "forged", "by who has its key")
	f.sync()
	web.wait("promoted", ended(reconcile.ResultPromoted, commit))
	if got := must[string](t)(web.Read(string(top) + "/forged")); got != "by who has its key\n" {
		t.Errorf("the node runs %q", got)
	}
}

// Whatever a commit changes, and who has to find out: the machine that makes manifests and the node come to
// the same system. Audits compare them.
func TestManifestsAndEvaluationsAgree(t *testing.T) {
	f := newFleet(t)
	c := newCI(t, f)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	c.settings(t, "mode = \"prefer\"\nwait = \"1h\"\naudit = \"100%\"", "")
	nodes := f.boot("web1", "db1")
	c.on(nodes[1])
	c.publish()
	for _, n := range nodes {
		n.wait("in sync at the first commit", inSync(f.tip()))
	}
	role := must[string](t)(f.Repo().File("roles/web.nix"))
	config := must[string](t)(f.Repo().File("config.toml"))
	const commits = 6
	for i := range commits {
		files := map[string]string{
			"roles/web.nix":  strings.Replace(role, "VERSION=1", fmt.Sprintf("VERSION=%d", 2+random.IntN(3)), 1),
			"roles/more.nix": fmt.Sprintf("{ ... }: { etc.more = \"%d\"; }\n", random.IntN(3)),
			"README":         fmt.Sprint(i),
		}
		if random.IntN(2) == 0 {
			files["roles/web.nix"] = strings.Replace(files["roles/web.nix"], "{ ... }: {", fmt.Sprintf("{ self, ... }: { configurationRevision = self.rev; kernel = \"6.12.%d\";", random.IntN(9)), 1)
		}
		mode := []string{"off", "prefer"}[random.IntN(2)]
		files["config.toml"] = strings.Replace(config, `mode = "prefer"`, `mode = "`+mode+`"`, 1)
		if mode == "off" {
			files["config.toml"] = strings.Replace(files["config.toml"], "audit = \"100%\"\n", "", 1)
		}
		commit := f.push("random", files)
		_, m := c.publish()
		for _, n := range nodes {
			n.wait("in sync at "+mode, inSync(commit))
			if got, want := n.toplevel("/run/current-system"), string(m.Nodes[n.Name()].Toplevel); got != want {
				t.Errorf("%s with mode %q runs %s, and its manifest says %s", n.Name(), mode, got, want)
			}
		}
	}
	same := 0.0
	for _, n := range nodes {
		same += n.metric(`infra_agent_manifest_audits_total{result="same"}`)
		if different := n.metric(`infra_agent_manifest_audits_total{result="different"}`); different > 0 {
			t.Errorf("%s: %v audits differ", n.Name(), different)
		}
	}
	if same == 0 {
		t.Error("nothing was audited")
	}
}
