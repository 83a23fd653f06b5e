package config

import (
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/infra-agent/infra-agent/agent/strict"
	"github.com/infra-agent/infra-agent/reconcile"
)

// Manifest says whether another machine may evaluate for this node.
type Manifest struct {
	Mode    reconcile.ManifestMode `toml:"mode" type:"off, prefer, only" default:"off" example:"prefer" doc:"Whether a signed manifest names the system of a commit: off, this node evaluates; prefer, it evaluates where none has come within manifest.wait; only, it never evaluates."`
	Wait    time.Duration          `toml:"wait" default:"10m" range:"0s to 24h" example:"30m" doc:"prefer: how long a manifest, and what it names, may take."`
	Audit   string                 `toml:"audit" default:"0%" example:"5%" doc:"prefer: of this share of commits the node evaluates all the same, and holds one of which its manifest says something else."`
	Sources []string               `toml:"sources" default:"[]" example:"[\"https://ci.example.org/manifests/{commit}/{node}.json\"]" doc:"Where manifests are, in order; empty: branch:manifests. It is branch:NAME, in the remotes, with COMMIT/NODE.json; or a URL in which {commit}, {node} and {system} stand for this node's. The signature's name has .sig after it."`
}

// AuditShare returns the share of manifests to compare with an evaluation, from 0 to 1.
func (m Manifest) AuditShare() float64 {
	share, _ := percent(m.Audit) // judged when the settings were read
	return share
}

func percent(text string) (share float64, ok bool) {
	number, is := strings.CutSuffix(text, "%")
	n, err := strconv.ParseFloat(number, 64)
	return n / 100, is && err == nil && n >= 0 && n <= 100
}

// branchSource is how a source begins that is a branch.
const branchSource = "branch:"

// Places returns the sources.
func (m Manifest) Places() []string {
	if len(m.Sources) == 0 {
		return []string{branchSource + "manifests"}
	}
	return m.Sources
}

// Branch returns the branch that a source names; "" where it is a URL.
func (Manifest) Branch(source string) string {
	name, is := strings.CutPrefix(source, branchSource)
	if !is {
		return ""
	}
	return name
}

func validateManifest(d *strict.Document, m Manifest, t Trust) {
	if m.Mode != reconcile.ManifestOff && t.ManifestSigners == "" {
		d.Problemf("manifest.mode", "name the public keys that may sign in trust.manifest_signers_file", "nobody could sign a manifest")
	}
	switch share, ok := percent(m.Audit); {
	case !ok:
		d.Problemf("manifest.audit", `write it like "5%"`, "%q is not a share", m.Audit)
	case share > 0 && m.Mode == reconcile.ManifestOnly:
		d.Problemf("manifest.audit", `remove it, or write manifest.mode = "prefer"`, "does not go with manifest.mode = %q: this node never evaluates", m.Mode)
	}
	for i, source := range m.Sources {
		at := strict.Path("manifest.sources").Elem(i)
		if name, is := strings.CutPrefix(source, branchSource); is {
			if !isBranch(name) {
				d.Problemf(at, "", "%q is not the name of a branch", name)
			}
			continue
		}
		filled := strings.NewReplacer("{commit}", "c", "{node}", "n", "{system}", "s").Replace(source)
		u, err := url.Parse(filled)
		switch {
		case err != nil || !isWeb(filled) || u.Hostname() == "":
			d.Problemf(at, `write "branch:manifests", or "https://host/{commit}/{node}.json"`, "%q is neither a branch nor a URL", source)
		case u.User != nil:
			d.Problemf(at, "put the secret into a file, and name that in source.hosts", "holds a user name or password")
		case u.RawQuery != "" || u.Fragment != "":
			d.Problemf(at, "remove what follows ? or #: the signature's name has .sig after it", "has a query or fragment")
		case strings.ContainsAny(filled, "{}"):
			d.Problemf(at, "known are {commit}, {node} and {system}", "%q has a placeholder that stands for nothing", source)
		}
	}
}
