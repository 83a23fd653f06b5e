package nix

import (
	"net/url"
	"os"
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

// building is the command that builds what was evaluated, and leaves a link to it in its
// directory. nixos-rebuild evaluates once more, which costs nothing where Nix remembers the
// evaluation of a flake. Of a file it remembers none: there the derivation itself is built,
// unless it was garbage collected meanwhile.
func (n *Nix) building(from reconcile.Evaluated) []string {
	rev, configuration := from.Revision, from.Target.Configuration
	if n.File.Path == "" {
		return []string{"nixos-rebuild", "build", "--flake", n.FlakeRef(rev) + "#" + url.PathEscape(configuration)}
	}
	if _, err := os.Stat(string(from.Derivation)); err != nil {
		return []string{"nixos-rebuild", "build", "--file", n.file(rev), "--attr", n.attribute(configuration)}
	}
	return append(append([]string{"nix"}, flags...), "build", string(from.Derivation)+"^out")
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
