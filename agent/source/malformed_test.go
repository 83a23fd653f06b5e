package source

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/infra-agent/infra-agent/reconcile"
)

// A commit that is not as git writes them is passed by, once a later one stands on it: in the fetch that brings both, and in
// a store that is made anew.
func TestMalformedCommitsInTheHistory(t *testing.T) {
	const person = "a <a@example.org> 1700000000 +0000\n"
	for name, text := range map[string]string{
		"no author":            "tree %s\nparent %s\ncommitter " + person + "\nx\n",
		"no committer":         "tree %s\nparent %s\nauthor " + person + "\nx\n",
		"no date":              "tree %s\nparent %s\nauthor a <a@example.org>\ncommitter a <a@example.org>\n\nx\n",
		"a date without sense": "tree %s\nparent %s\nauthor a <a> 99999999999999999999 +99999999\ncommitter a <a> -5 x\n\nx\n",
		"a header of nobody":   "tree %s\nparent %s\nauthor " + person + "committer " + person + "strange \x00\xff\n more\n\nx\n",
		"no message":           "tree %s\nparent %s\nauthor " + person + "committer " + person,
		"no end of a line":     "tree %s\nparent %s\nauthor " + person + "committer " + strings.TrimSuffix(person, "\n"),
		"an open signature":    "tree %s\nparent %s\nauthor " + person + "committer " + person + "gpgsig -----BEGIN PGP SIGNATURE-----\n\nx\n",
		"no name at all":       "tree %s\nparent %s\nauthor\ncommitter <\n\nx\n",
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			first := w.pushed("a", "1")
			w.mustFetch(first, "")
			file := filepath.Join(t.TempDir(), "commit")
			if err := os.WriteFile(file, []byte(fmt.Sprintf(text, w.git("rev-parse", "HEAD^{tree}"), first)), 0o600); err != nil {
				t.Fatal(err)
			}
			odd := w.git("hash-object", "-w", "-t", "commit", "--literally", file)
			tree := w.git("rev-parse", "HEAD^{tree}")
			next := reconcile.Commit(w.git("commit-tree", "-p", odd, "-m", "next", tree))
			w.git("reset", "-q", "--hard", string(next))
			w.push()
			w.mustFetch(next, first)
			last := w.pushed("a", "2")
			w.mustFetch(last, next)
			w.sameTree(last)
			if err := os.RemoveAll(w.store); err != nil {
				t.Fatal(err)
			}
			w.mustFetch(last, first)
		})
	}
}
