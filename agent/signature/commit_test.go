package signature_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/infra-agent/infra-agent/agent/signature"
)

func TestMalformedCommits(t *testing.T) {
	all := keys(t, signature.Files{AllowedSigners: "testdata/allowed_signers"})
	good := fixture(t, "ssh-ann.commit")
	header, message, _ := strings.Cut(good, "\n\n")
	lines := strings.SplitN(header, "\n", 3)
	tree, parent := lines[0], lines[1]
	const who = "Ann <ann@example.org> 1772600767 +0000"
	const author, committer = "author " + who, "committer " + who
	sig := header[strings.Index(header, "gpgsig "):]
	swap := func(old, text string) string { return strings.Replace(good, old, text, 1) }
	by := func(text string) string { return swap(committer, "committer "+text) }
	for name, raw := range map[string]string{
		"nothing":                    "",
		"no end of the header":       header,
		"two trees":                  tree + "\n" + good,
		"a tree after the author":    swap(author, author+"\n"+tree),
		"no tree":                    swap(tree+"\n", ""),
		"a tree after the parents":   swap(tree+"\n"+parent, parent+"\n"+tree),
		"a tree after the rest":      strings.TrimPrefix(header, tree+"\n") + "\n" + tree + "\n\n" + message,
		"a parent first":             parent + "\n" + good,
		"a parent after the author":  swap(author, author+"\n"+parent),
		"a parent after it all":      header + "\n" + parent + "\n\n" + message,
		"no author":                  swap(author+"\n", ""),
		"no committer, no more":      tree + "\n" + author + "\n\n" + message,
		"two committers":             swap(committer, committer+"\n"+committer),
		"committer before author":    swap(author+"\n"+committer, committer+"\n"+author),
		"another before author":      swap(author, "other x\n"+author),
		"two encodings":              swap("gpgsig ", "encoding A\nencoding B\ngpgsig "),
		"a tree of no name":          swap(tree, "tree"),
		"a tree of a short name":     swap(tree, tree[:len(tree)-1]),
		"a tree of a long name":      swap(tree, tree+"0"),
		"a tree with more":           swap(tree, tree+" x"),
		"a tree in capitals":         swap(tree, "tree "+strings.ToUpper(tree[5:])),
		"a tree of other letters":    swap(tree, tree[:len(tree)-1]+"g"),
		"a parent of a short name":   swap(parent, parent[:len(parent)-1]),
		"a short name alone":         swap(tree+"\n"+parent, tree[:len(tree)-1]),
		"names of both lengths":      swap(parent, parent+strings.Repeat("0", 24)),
		"two authors":                swap(author, author+"\n"+author),
		"no committer":               swap("\ncommitter ", "\nother "),
		"two signatures":             header + "\n" + sig + "\n\n" + message,
		"signature before author":    tree + "\n" + sig + "\n" + header[len(tree)+1:] + "\n\n" + message,
		"a SHA-256 signature":        swap("gpgsig ", "gpgsig-sha256 "),
		"NUL in the header":          swap("Ann", "A\x00n"),
		"continuation first":         " " + good,
		"a time after another":       by("Ann <a> 1 +0000> 1772600767 +0000"),
		"another after a time":       by("Ann <ann@example.org> 1772600767 +0000> 1 +0000"),
		"a time with a sign":         by("Ann <ann@example.org> +1772600767 +0000"),
		"a time before all":          by("Ann <ann@example.org> -1 +0000"),
		"a time that no clock shows": by("Ann <ann@example.org> 9223372036854775808 +0000"),
		"a time without a zone":      by("Ann <ann@example.org> 1772600767"),
		"a zone of a name":           by("Ann <ann@example.org> 1772600767 +UTC0"),
		"a zone without a sign":      by("Ann <ann@example.org> 1772600767 00000"),
		"a longer zone":              by("Ann <ann@example.org> 1772600767 +00000"),
		"a shorter zone":             by("Ann <ann@example.org> 1772600767 +000"),
		"more after the zone":        by("Ann <ann@example.org> 1772600767 +0000 1"),
		"committer without a time":   by("Ann <ann@example.org> soon +0000"),
	} {
		if signer, err := all.Verify([]byte(raw)); !errors.Is(err, signature.ErrMalformed) {
			t.Errorf("Verify(%s) = %q, %v, want ErrMalformed", name, signer, err)
		}
	}
}

// A repository may name objects by SHA-256.
func TestNamesOfSHA256(t *testing.T) {
	all := keys(t, signature.Files{AllowedSigners: "testdata/allowed_signers"})
	name := strings.Repeat("0123456789abcdef", 4)
	_, rest, _ := strings.Cut(fixture(t, "unsigned.commit"), "\n")
	if _, err := all.Verify([]byte("tree " + name + "\nparent " + name + "\n" + rest)); !errors.Is(err, signature.ErrUnsigned) {
		t.Errorf("Verify = %v, want ErrUnsigned: it is well formed", err)
	}
}
