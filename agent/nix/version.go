package nix

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A Version is that of a Nix program.
type Version struct {
	Text  string // as "nix --version" prints it
	Nix   bool   // false: a fork, such as Lix, which counts on its own
	Major int
	Minor int
	Patch int
}

var versionText = regexp.MustCompile(`^nix \((Nix|Determinate Nix [^)]*)\) (\d+)\.(\d+)(?:\.(\d+))?`)

// Version asks the nix on PATH.
func (n *Nix) Version(ctx context.Context) (Version, error) {
	out, err := n.run(ctx, []string{"nix", "--version"})
	if err != nil {
		return Version{}, fmt.Errorf("nix --version: %w", err)
	}
	return parseVersion(string(out)), nil
}

func parseVersion(text string) Version {
	v := Version{Text: strings.TrimSpace(text)}
	m := versionText.FindStringSubmatch(text)
	if m == nil {
		return v
	}
	v.Nix = true
	for i, n := range []*int{&v.Major, &v.Minor, &v.Patch} {
		*n, _ = strconv.Atoi(m[2+i]) // digits, or nothing
	}
	return v
}

// TooOld reports whether the agent's command lines mean something else to v.
func (v Version) TooOld() bool { return v.Nix && v.before(Version{Major: 2, Minor: 18}) }

// An Advisory is a known hole through which a user of the daemon becomes root.
type Advisory struct {
	ID    string
	What  string
	since Version
	fixed []Version // the first good release of each line that got one, oldest first
}

// advisories are from the CVE records, which name the fixed releases.
var advisories = []Advisory{
	{
		ID: "CVE-2026-110450", What: "repairing a store path replaces it before its content is verified",
		fixed: []Version{release(28, 8), release(30, 6), release(31, 6), release(34, 9), release(35, 3)},
	},
	{
		ID: "CVE-2026-44028", What: "a deeply nested archive overflows the daemon's stack", since: release(24, 4),
		fixed: []Version{
			release(28, 7), release(29, 4), release(30, 5), release(31, 5), release(32, 8), release(33, 6), release(34, 7),
		},
	},
	{
		ID: "CVE-2026-39860", What: "a fixed-output build overwrites files of root through a symbolic link", since: release(21, 0),
		fixed: []Version{
			release(28, 6), release(29, 3), release(30, 4), release(31, 4), release(32, 7), release(33, 4), release(34, 5),
		},
	},
}

func release(minor, patch int) Version { return Version{Major: 2, Minor: minor, Patch: patch} }

// Advisories lists the holes that v has, as far as its number tells: a distribution
// may have mended it without a new one.
func (v Version) Advisories() []Advisory {
	return slices.DeleteFunc(slices.Clone(advisories), func(a Advisory) bool { return !v.Nix || v.before(a.since) || a.fixedIn(v) })
}

// Fixed is the release of v's line, or the next one that has it, that is good.
func (a Advisory) Fixed(v Version) string {
	for _, f := range a.fixed {
		if v.before(f) {
			return fmt.Sprintf("%d.%d.%d", f.Major, f.Minor, f.Patch)
		}
	}
	return ""
}

func (a Advisory) fixedIn(v Version) bool {
	newest := a.fixed[len(a.fixed)-1]
	return !v.before(newest) || slices.ContainsFunc(a.fixed, func(f Version) bool {
		return f.Major == v.Major && f.Minor == v.Minor && !v.before(f)
	})
}

func (v Version) before(o Version) bool {
	return slices.Compare([]int{v.Major, v.Minor, v.Patch}, []int{o.Major, o.Minor, o.Patch}) < 0
}
