//go:build integration

package integration

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/infra-agent/infra-agent/agent/control"
	"github.com/infra-agent/infra-agent/reconcile"
)

// A submodule is an empty directory and a warning, until the settings fetch it.
func TestASubmoduleDeploys(t *testing.T) {
	f := newFleet(t)
	web := f.up("web1")[0]
	pinned := must[string](t)(f.Repo().Pin("words", map[string]string{"greeting": "one\n"}))
	f.sync()
	s := web.wait("in sync beside a submodule", inSync(pinned))
	if !slices.ContainsFunc(s.Warnings, func(w string) bool { return strings.Contains(w, `"words"`) }) {
		t.Errorf("status warns of %q, want the submodule's name", s.Warnings)
	}
	f.edit("config.toml", "[source]", "[source]\nsubmodules = true")
	web.wait("in sync, and without a warning", func(s control.Status) bool { return inSync(f.tip())(s) && len(s.Warnings) == 0 })
	commit := f.edit("roles/web.nix", "{ ... }: {", "{ ... }: {\n  etc.greeting = builtins.readFile ../words/greeting;")
	web.wait("promoted", ended(reconcile.ResultPromoted, commit))
	web.has("/etc/greeting", "one")
	commit = must[string](t)(f.Repo().Pin("words", map[string]string{"greeting": "two\n"}))
	f.sync()
	web.wait("promoted", ended(reconcile.ResultPromoted, commit))
	web.has("/etc/greeting", "two")
}

// A pointer of Git LFS is the file that it is, and a warning, until the settings fetch what it stands for.
func TestAnObjectOfLFSDeploys(t *testing.T) {
	f := newFleet(t)
	objects := map[string]string{}
	url := must[string](t)(f.ServeHTTP(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			fmt.Fprint(w, objects[path.Base(r.URL.Path)])
			return
		}
		var asked struct { // git-lfs docs/api/batch.md
			Objects []map[string]any `json:"objects"`
		}
		_ = json.NewDecoder(r.Body).Decode(&asked)
		for _, o := range asked.Objects {
			o["actions"] = map[string]any{"download": map[string]any{"href": "http://" + r.Host + "/" + o["oid"].(string)}}
		}
		w.Header().Set("Content-Type", "application/vnd.git-lfs+json")
		_ = json.NewEncoder(w).Encode(map[string]any{"transfer": "basic", "objects": asked.Objects})
	})))
	pointer := func(content string) string {
		sum := sha256.Sum256([]byte(content))
		oid := hex.EncodeToString(sum[:])
		objects[oid] = content
		return fmt.Sprintf("version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %d\n", oid, len(content))
	}
	web := f.up("web1")[0]
	commit := f.push("a picture", map[string]string{".lfsconfig": "[lfs]\n\turl = " + url + "\n", "picture": pointer("one\n")})
	s := web.wait("in sync beside a pointer", inSync(commit))
	if !slices.ContainsFunc(s.Warnings, func(w string) bool { return strings.Contains(w, `"picture"`) }) {
		t.Errorf("status warns of %q, want the pointer's name", s.Warnings)
	}
	f.edit("config.toml", "[source]", "[source]\nlfs = true")
	web.wait("in sync, and without a warning", func(s control.Status) bool { return inSync(f.tip())(s) && len(s.Warnings) == 0 })
	commit = f.edit("roles/web.nix", "{ ... }: {", "{ ... }: {\n  etc.picture = builtins.readFile ../picture;")
	web.wait("promoted", ended(reconcile.ResultPromoted, commit))
	web.has("/etc/picture", "one")
	commit = f.push("another picture", map[string]string{"picture": pointer("two\n")})
	web.wait("promoted", ended(reconcile.ResultPromoted, commit))
	web.has("/etc/picture", "two")
}

// has expects a file of one line on the node.
func (n *node) has(file, line string) {
	n.t.Helper()
	if got := strings.TrimSpace(must[string](n.t)(n.Run(n.t.Context(), "cat", file))); got != line {
		n.t.Errorf("%s is %q, want %q", file, got, line)
	}
}
