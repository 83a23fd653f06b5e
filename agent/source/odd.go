package source

import (
	"bytes"
	"fmt"
	"strings"
)

// Some files are not what their authors see: git replaces them when it checks a
// commit out. Nix takes such files as they are stored, and so does the agent, but
// says so: a node that gets a ciphertext for a key learns it too late.

// An oddity is a kind of such files.
type oddity string

// The oddities, as the start of a sentence about one file or more.
const (
	oddSubmodule oddity = "submodules are empty directories"
	oddLFS       oddity = "Git LFS pointers are not the files that they stand for"
	oddGitCrypt  oddity = "files are locked by git-crypt and stay so"
	oddAnnex     oddity = "git-annex pointers are not the files that they stand for"
	oddFilter    oddity = "filters of .gitattributes are not run"
)

// oddities are in the order of the warnings.
var oddities = []struct {
	kind oddity
	hint string
}{
	{oddSubmodule, "where Nix needs one, make it a flake input"},
	{oddLFS, "where Nix needs one, commit the file itself, or fetch it in Nix"},
	{oddGitCrypt, "nothing that Nix evaluates may need them; use sops-nix or agenix for secrets"},
	{oddAnnex, "where Nix needs one, commit the file itself, or fetch it in Nix"},
	{oddFilter, "their files reach the node as git stores them"},
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
	case bytes.HasPrefix(start, []byte("/annex/objects/")):
		return oddAnnex
	}
	return ""
}

// filters lists the filters that a .gitattributes names, gitattributes(5), but for
// those whose files are known by how they begin.
func filters(attributes []byte) (names []string) {
	for line := range strings.Lines(string(attributes)) {
		if strings.HasPrefix(strings.TrimSpace(line), "#") {
			continue
		}
		for _, word := range strings.Fields(line) {
			name, is := strings.CutPrefix(word, "filter=")
			if is && name != "lfs" && name != "annex" && !strings.HasPrefix(name, "git-crypt") {
				names = append(names, name)
			}
		}
	}
	return names
}

// named is what is remembered of one oddity: its first files, and how many.
type named struct {
	names []string
	count int
}

const maxNamed = 5

// note counts a file, or a filter, which many files of attributes may name.
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

// warnings says what was noted, one sentence a kind.
func (w *writer) warnings() (all []string) {
	for _, o := range oddities {
		n := w.odd[o.kind]
		if n == nil {
			continue
		}
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
		all = append(all, fmt.Sprintf("%s, as for Nix: %s (hint: %s)", o.kind, list.String(), o.hint))
	}
	return all
}
