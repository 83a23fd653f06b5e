package source

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/infra-agent/infra-agent/reconcile"
)

// Some files are not what their authors see: git replaces them when it checks a
// commit out. Nix takes such files as they are stored, and so does the agent, but
// says so, or refuses the commit: a node that gets a ciphertext for a key learns it
// too late.

// An oddity is a kind of such files.
type oddity string

// The oddities, as the start of a sentence about one file or more.
const (
	oddSubmodule oddity = "submodules are empty directories"
	oddLFS       oddity = "Git LFS pointers are not the files that they stand for"
	oddGitCrypt  oddity = "files are locked by git-crypt and stay so"
	oddSalted    oddity = "files are locked by transcrypt, or by openssl enc, and stay so"
	oddAnnex     oddity = "git-annex pointers are not the files that they stand for"
	oddFilter    oddity = "filters of .gitattributes are not run"
)

// oddities are in the order of the warnings.
var oddities = []struct {
	kind    oddity
	as      reconcile.Oddity // what they are counted as
	hint    string
	refused func(Checkout) string // the setting that refuses them; "" = they are only told
}{
	{oddSubmodule, reconcile.OddSubmodule, "where Nix needs one, make it a flake input, or set source.submodules", submodules},
	{oddLFS, reconcile.OddPointer, "where Nix needs one, set source.lfs, or commit the file itself", nothing},
	{oddGitCrypt, reconcile.OddEncrypted, "nothing that Nix evaluates may need them; use sops-nix or agenix for secrets", encrypted},
	{oddSalted, reconcile.OddEncrypted, "nothing that Nix evaluates may need them; use sops-nix or agenix for secrets", encrypted},
	{oddAnnex, reconcile.OddPointer, "where Nix needs one, commit the file itself, or fetch it in Nix", encrypted},
	{oddFilter, reconcile.OddFilter, "their files reach the node as git stores them", encrypted},
}

func nothing(Checkout) string { return "" }

func submodules(c Checkout) string {
	if c.Submodules == SubmodulesRefuse {
		return "source.submodules"
	}
	return ""
}

func encrypted(c Checkout) string {
	if c.RefuseEncrypted {
		return "source.encrypted"
	}
	return ""
}

// markBytes is how much of a file says what it is.
const markBytes = 64

// oddStart says what a file is by how it begins; "" = nothing odd.
func oddStart(start []byte) oddity {
	switch {
	case bytes.HasPrefix(start, []byte("version https://git-lfs.github.com/spec/")):
		return oddLFS
	case bytes.HasPrefix(start, []byte("\x00GITCRYPT\x00")):
		return oddGitCrypt
	case bytes.HasPrefix(start, []byte("U2FsdGVkX1")): // base64 of "Salted__", openssl-enc(1)
		return oddSalted
	case bytes.HasPrefix(start, []byte("/annex/objects/")):
		return oddAnnex
	}
	return ""
}

// filters lists the lines of a .gitattributes that name a filter, gitattributes(5), as
// "PATTERN filter=NAME", but for the filters whose files are known by how they begin.
func filters(attributes []byte) (lines []string) {
	for line := range strings.Lines(string(attributes)) {
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		for _, word := range words[1:] {
			name, is := strings.CutPrefix(word, "filter=")
			if is && name != "lfs" && name != "annex" && !strings.HasPrefix(name, "git-crypt") {
				lines = append(lines, words[0]+" "+word)
			}
		}
	}
	return lines
}

// named is what is remembered of one oddity: its first files, and how many.
type named struct {
	names []string
	count int
}

const maxNamed = 5

// note counts a file, or a line that names a filter.
func (w *writer) note(kind oddity, name string) {
	if w.odd == nil {
		w.odd = map[oddity]*named{}
	}
	n := w.odd[kind]
	if n == nil {
		n = &named{}
		w.odd[kind] = n
	}
	for _, known := range n.names {
		if known == name {
			return
		}
	}
	if n.count++; len(n.names) < maxNamed {
		n.names = append(n.names, name)
	}
}

// oddities says what was noted, one sentence a kind, counts it, and refuses what the settings
// do not want to reach a node.
func (w *writer) oddities() (warnings []string, counts map[reconcile.Oddity]int, err error) {
	for _, o := range oddities {
		n := w.odd[o.kind]
		if n == nil {
			continue
		}
		if setting := o.refused(w.checkout); setting != "" {
			return nil, nil, refused("%s: %s (hint: %s; or change %s on the nodes)", o.kind, n, o.hint, setting)
		}
		warnings = append(warnings, fmt.Sprintf("%s, as for Nix: %s (hint: %s)", o.kind, n, o.hint))
		if counts == nil {
			counts = map[reconcile.Oddity]int{}
		}
		counts[o.as] += n.count
	}
	return warnings, counts, nil
}

func (n *named) String() string {
	var list strings.Builder
	for i, name := range n.names {
		if i > 0 {
			list.WriteString(", ")
		}
		fmt.Fprintf(&list, "%q", name)
	}
	if more := n.count - len(n.names); more > 0 {
		fmt.Fprintf(&list, " and %d more", more)
	}
	return list.String()
}
