package nix

import (
	"net/url"
	"path/filepath"
	"strconv"

	"github.com/infra-agent/infra-agent/reconcile"
)

// A File is a Nix file that gives the systems, for repositories that are no flakes: their
// sources come by npins, niv or the like, as "nixos-rebuild --file" takes them.
type File struct {
	Path string // below [Nix.Subdir]
	Attr string // of the set of systems, such as nixosConfigurations; "" = what the file evaluates to
}

// systems is what people are told of where the systems are.
func (n *Nix) systems() string {
	switch {
	case n.File.Path == "":
		return "nixosConfigurations"
	case n.File.Attr == "":
		return n.File.Path
	}
	return n.File.Attr
}

// set is the attribute that has the systems.
func (n *Nix) set() string {
	if n.File.Path == "" {
		return "nixosConfigurations"
	}
	return n.File.Attr
}

// attribute names a configuration. Names may hold dots, so it is always quoted; Nix knows
// no escapes between the quotes, but decodes the fragment of a flake reference as that of a URL.
func (n *Nix) attribute(configuration string) string {
	switch {
	case n.File.Path == "":
		return `nixosConfigurations."` + url.PathEscape(configuration) + `"`
	case n.File.Attr == "":
		return `"` + configuration + `"`
	}
	return n.File.Attr + `."` + configuration + `"`
}

// evaluated are the arguments by which "nix eval" finds an attribute of a revision.
func (n *Nix) evaluated(rev reconcile.Revision, attr string) []string {
	switch {
	case n.File.Path == "":
		return []string{n.FlakeRef(rev) + "#" + attr}
	case attr == "":
		return []string{"--file", n.file(rev)}
	}
	return []string{"--file", n.file(rev), attr}
}

// built are the arguments by which nixos-rebuild finds a configuration of a revision.
func (n *Nix) built(rev reconcile.Revision, configuration string) []string {
	if n.File.Path == "" {
		return []string{"--flake", n.FlakeRef(rev) + "#" + url.PathEscape(configuration)}
	}
	return []string{"--file", n.file(rev), "--attr", n.attribute(configuration)}
}

func (n *Nix) file(rev reconcile.Revision) string {
	return filepath.Join(rev.Tree, n.Subdir, n.File.Path)
}

// FlakeRef returns the reference by which Nix evaluates a revision: with the
// commit in it self.rev works, and Nix's evaluation cache answers the build. A
// revision without a commit is a checkout, of which Nix sees what git tracks.
func (n *Nix) FlakeRef(rev reconcile.Revision) string {
	q := url.Values{}
	if n.Subdir != "" {
		q.Set("dir", n.Subdir)
	}
	if rev.Commit == "" {
		return "git+file://" + (&url.URL{Path: rev.Tree}).EscapedPath() + "?" + q.Encode()
	}
	if !n.HideRev {
		q.Set("rev", string(rev.Commit))
	}
	q.Set("lastModified", strconv.FormatInt(rev.Time.Unix(), 10))
	return "path:" + rev.Tree + "?" + q.Encode()
}
