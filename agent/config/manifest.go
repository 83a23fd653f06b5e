package config

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/infra-agent/infra-agent/agent/strict"
	"github.com/infra-agent/infra-agent/reconcile"
)

// Manifest says whether another machine may evaluate for this node.
type Manifest struct {
	Mode    reconcile.ManifestMode `toml:"mode" type:"off, prefer, only" default:"off" example:"prefer" doc:"Whether a manifest names the system of a commit: off, this node evaluates; prefer, it evaluates where none has come within manifest.wait; only, it never evaluates."`
	Wait    time.Duration          `toml:"wait" default:"10m" range:"0s to 24h" example:"30m" doc:"prefer: how long a manifest, and what it names, may take."`
	Audit   string                 `toml:"audit" default:"0%" example:"5%" doc:"prefer: of this share of commits the node evaluates all the same, and holds one of which its manifest says something else."`
	Sources []string               `toml:"sources" default:"[]" example:"[\"https://ci.example.org/manifests/{commit}/{node}.json\"]" doc:"Where manifests are, in order; empty: branch:manifests. It is branch:NAME, in the remotes, with COMMIT/NODE.json; or a URL, in which {commit}, {node} and {system} stand for this node's: the signature's name has .sig after it; or store:URL, which names a store path with manifests in it, signed with the binary cache's key; or pin:URL, or pin:URL#NAME, which names a system, and no commit."`
}

// AuditShare returns the share of manifests to compare with an evaluation, from 0 to 1.
func (m Manifest) AuditShare() float64 {
	share, _ := percent(m.Audit) // validated when the settings were read
	return share
}

func percent(text string) (share float64, ok bool) {
	number, is := strings.CutSuffix(text, "%")
	n, err := strconv.ParseFloat(number, 64)
	return n / 100, is && err == nil && n >= 0 && n <= 100
}

// A ManifestSource is where manifests are, or what stands for one.
type ManifestSource struct {
	Kind ManifestKind
	At   string // the branch's name, or a URL with {commit}, {node} and {system} in it
	Name string // of the pin, in a list of pins; with {node} and {system}
}

// ManifestKind says what is at a source.
type ManifestKind string

// The kinds, as they begin; a URL alone is [ManifestURL].
const (
	ManifestBranch ManifestKind = "branch" // manifests with their signatures, in a branch
	ManifestURL    ManifestKind = "url"    // the same, at a URL
	ManifestStore  ManifestKind = "store"  // a URL that names a store path, which has manifests in it and is signed as Nix signs
	ManifestPin    ManifestKind = "pin"    // a URL that names the system itself
)

// Places returns the sources.
func (m Manifest) Places() []ManifestSource {
	if len(m.Sources) == 0 {
		return []ManifestSource{{Kind: ManifestBranch, At: "manifests"}}
	}
	var all []ManifestSource
	for _, text := range m.Sources {
		all = append(all, placeOf(text))
	}
	return all
}

func placeOf(text string) ManifestSource {
	kind, at, _ := strings.Cut(text, ":")
	switch ManifestKind(kind) {
	case ManifestBranch, ManifestStore:
		return ManifestSource{Kind: ManifestKind(kind), At: at}
	case ManifestPin:
		at, name, _ := strings.Cut(at, "#")
		return ManifestSource{ManifestPin, at, name}
	}
	return ManifestSource{Kind: ManifestURL, At: text}
}

// Fill puts what this node and commit are called into a text of a source.
func (ManifestSource) Fill(text, commit, node, system string) string {
	return strings.NewReplacer("{commit}", commit, "{node}", node, "{system}", system).Replace(text)
}

// isSigned reports whether a key of trust.manifest_signers_file has to have signed what is there.
func (s ManifestSource) isSigned() bool { return s.Kind == ManifestBranch || s.Kind == ManifestURL }

func validateManifest(d *strict.Document, m Manifest, t Trust) {
	if m.Mode != reconcile.ManifestOff && t.ManifestSigners == "" && t.Authorizations == "" && slices.ContainsFunc(m.Places(), ManifestSource.isSigned) {
		d.Problemf("manifest.mode", "name the public keys that may sign in trust.manifest_signers_file", "nobody could sign a manifest")
	}
	pins := slices.ContainsFunc(m.Places(), func(s ManifestSource) bool { return s.Kind == ManifestPin })
	switch share, ok := percent(m.Audit); {
	case !ok:
		d.Problemf("manifest.audit", `write it like "5%"`, "%q is not a share", m.Audit)
	case share > 0 && m.Mode == reconcile.ManifestOnly:
		d.Problemf("manifest.audit", `remove it, or write manifest.mode = "prefer"`, "does not go with manifest.mode = %q: this node never evaluates", m.Mode)
	case share > 0 && pins:
		d.Problemf("manifest.audit", "remove it, or the pin", "does not go with a pin in manifest.sources: that names no commit to evaluate")
	}
	for i, source := range m.Sources {
		placeOf(source).validate(d, strict.Path("manifest.sources").Elem(i), source)
	}
}

func (s ManifestSource) validate(d *strict.Document, at strict.Path, source string) {
	if s.Kind == ManifestBranch {
		if !isBranch(s.At) {
			d.Problemf(at, "", "%q is not the name of a branch", s.At)
		}
		return
	}
	filled := s.Fill(s.At, "c", "n", "s")
	u, err := url.Parse(filled)
	switch {
	case err != nil || !isWeb(filled) || u.Hostname() == "":
		d.Problemf(at, `write "branch:manifests", or "https://host/{commit}/{node}.json"`, "%q is neither a branch nor a URL", source)
	case u.User != nil:
		d.Problemf(at, "put the secret into a file, and name that in source.hosts", "holds a user name or password")
	case s.isSigned() && (u.RawQuery != "" || u.Fragment != ""):
		d.Problemf(at, "remove what follows ? or #: the signature's name has .sig after it", "has a query or fragment")
	case strings.ContainsAny(filled+s.Fill(s.Name, "c", "n", "s"), "{}"):
		d.Problemf(at, "known are {commit}, {node} and {system}", "%q has a placeholder that stands for nothing", source)
	case s.Kind == ManifestPin && strings.Contains(source, "{commit}"):
		d.Problemf(at, "have the commit's manifest there", "a pin is of no commit, and {commit} stands for one")
	}
}
