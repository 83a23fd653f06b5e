package source

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/infra-agent/infra-agent/reconcile"
)

// A mistake in the file is held while it is the newest commit. It shuts nobody out who
// could sign before and lets nobody in, and the next commit mends it.
func TestAFileOfNoUse(t *testing.T) {
	ann, eve := newPen(t, "ann"), newPen(t, "eve")
	key := strings.TrimPrefix(ann.line, "ann ")
	for _, c := range []struct{ name, content, want string }{
		{"gone", "", "is not there"},
		{"empty", "# nobody\n", "allows nobody"},
		{"a slip", eve.line + "bob ssh-ed25519 AAAA\n", "line 2: no public key"},
		{"for files alone", `ann namespaces="file" ` + key, "allows nobody"},
		{"expired", `ann valid-before="20200101" ` + key, "allows nobody"},
		{"an authority", "* cert-authority " + key, "cert-authority is not supported"},
		{"too large", strings.Repeat("#", 1<<20) + "\n" + ann.line, "is larger than 1048576 bytes"},
		{"a link", "->" + ann.line, `"` + signers + `" is no file`},
		{"a directory", "/" + ann.line, `"` + signers + `" is no file`},
		{"a file above", "-" + ann.line, `"keys/fleet" is no directory`},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.follow(w.fetcher.opts.Remotes[0], Limits{TreeBytes: 8 << 20, TreeEntries: 1000, FetchBytes: 8 << 20})
			first := w.allow(nil, ann)
			w.push()
			w.authorize(first)
			w.mustFetch(first, "")
			w.git("rm", "-q", signers)
			switch c.content[:min(1, len(c.content))] {
			case "":
			case "/":
				w.write(signers+"/file", c.content[1:])
			case "-":
				w.write("target", strings.TrimLeft(c.content, "->"))
				if strings.HasPrefix(c.content, "->") {
					w.write("keys/fleet/x", "")
					w.run(w.work, "ln", "-s", "../../target", signers)
				} else {
					w.write("keys/fleet", c.content[1:])
				}
			default:
				w.write(signers, c.content)
			}
			bad := w.signed(&ann, "a", "2")
			w.push()
			_, err := w.fetch(bad, first)
			wantRejected(t, err, reconcile.GateUnverified, bad.Short(), "nobody could sign the next one", c.want, "hint:")

			w.git("rm", "-q", "-r", "--ignore-unmatch", "keys")
			w.allow(&eve, ann)
			w.push()
			_, err = w.fetch(w.head(), first)
			wantRejected(t, err, reconcile.GateUnverified, "not allowed", w.head().Short())

			w.git("reset", "-q", "--hard", string(bad))
			w.git("rm", "-q", "-r", "--ignore-unmatch", "keys")
			mended := w.allow(&ann, eve)
			w.push()
			w.mustFetch(mended, first)
			w.lost()
			w.mustFetch(mended, first)
			next := w.signed(&eve, "a", "3")
			w.push()
			w.mustFetch(next, mended)

			t.Log("a branch that was begun with it is for those who may sign now")
			for _, by := range []pen{ann, eve} {
				w.git("checkout", "-q", "-B", "side", string(bad))
				side := w.signed(&by, "side", "1")
				w.git("checkout", "-q", "-B", "main", string(next))
				w.git("merge", "-q", "-s", "ours", "--no-ff", "-m", "merge", "side")
				w.sign(eve)
				w.push()
				if _, err := w.fetch(w.head(), next); by.line == eve.line && err != nil {
					t.Errorf("Fetch: %v", err)
				} else if by.line == ann.line {
					wantRejected(t, err, reconcile.GateUnverified, side.Short(), "not allowed", next.Short())
				}
			}
		})
	}
}

// A merge whose file has the marks of a conflict is passed by on both sides.
func TestAFileOfNoUseInAMerge(t *testing.T) {
	w, ann, first := newAuthorizedWorld(t)
	bob, cid := newPen(t, "bob"), newPen(t, "cid")
	w.git("checkout", "-q", "-b", "side")
	w.allow(&ann, ann, bob)
	w.git("checkout", "-q", "main")
	w.allow(&ann, ann, cid)
	w.git("merge", "-q", "-s", "ours", "--no-ff", "--no-commit", "side")
	w.signed(&ann, signers, "<<<<<<< main\n"+ann.line)
	for _, one := range []pen{bob, cid} { // of one side
		w.signed(&one, signers, ann.line+bob.line)
		w.push()
		_, err := w.fetch(w.head(), first)
		wantRejected(t, err, reconcile.GateUnverified, "not allowed", w.head().Short())
		w.git("reset", "-q", "--hard", "HEAD^")
	}
	tip := w.signed(&ann, signers, ann.line+bob.line)
	w.push()
	w.mustFetch(tip, first)
	w.lost()
	w.mustFetch(tip, first)
}

// A directory that two programs read in two ways has no file of use.
func TestADirectoryThatIsReadInTwoWays(t *testing.T) {
	for _, c := range []struct {
		name, want string
		tree       func(ann, eve string) string
	}{
		{"twice", "is in the tree twice", func(ann, eve string) string {
			return "100644 allowed_signers\x00" + ann + "100644 allowed_signers\x00" + eve
		}},
		{"not in order", "is written as git does not write it", func(ann, eve string) string {
			return "100644 other\x00" + eve + "100644 allowed_signers\x00" + ann
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, ann, first := newAuthorizedWorld(t)
			eve := newPen(t, "eve")
			blob := func(text string) string {
				w.write("text", text)
				name, err := hex.DecodeString(w.git("hash-object", "-w", "text"))
				if err != nil {
					t.Fatal(err)
				}
				return string(name)
			}
			w.write("tree", c.tree(blob(ann.line), blob(ann.line+eve.line)))
			tree := w.git("hash-object", "-w", "-t", "tree", "--literally", "tree")
			for _, dir := range []string{"fleet", "keys"} {
				tree = w.run(w.work, "sh", "-c", "printf '040000 tree "+tree+"\\t"+dir+"\\n' | git mktree")
			}
			w.git("reset", "-q", "--soft", w.git("commit-tree", "-p", "HEAD", "-m", c.name, tree))
			bad := w.sign(ann)
			w.push()
			_, err := w.fetch(bad, first)
			wantRejected(t, err, reconcile.GateUnverified, bad.Short(), "nobody could sign the next one", c.want)
			w.git("read-tree", "--empty")
			for _, by := range []pen{eve, ann} {
				w.allow(&by, ann)
				w.push()
				_, err = w.fetch(w.head(), first)
				if by.line == eve.line {
					wantRejected(t, err, reconcile.GateUnverified, "not allowed")
					w.git("reset", "-q", "--soft", "HEAD^")
				} else if err != nil {
					t.Errorf("Fetch of the commit that puts it right: %v", err)
				}
			}
		})
	}
}

// Merges of merges without a file of use lead to the same few commits on many ways; those
// that lead to many are refused.
func TestMergesOfNoUse(t *testing.T) {
	w, ann, first := newAuthorizedWorld(t)
	w.signed(&ann, signers, "a slip")
	empty := w.git("write-tree")
	merge := func(parents ...string) string {
		args := []string{"commit-tree", "-m", "x", empty}
		for _, p := range parents {
			args = append(args, "-p", p)
		}
		w.git("reset", "-q", "--soft", w.git(args...))
		return string(w.sign(ann))
	}
	top := string(w.head())
	for range 7 {
		top = merge(merge(top), merge(top))
	}
	w.git("reset", "-q", "--hard", top)
	tip := w.allow(&ann, ann)
	w.push()
	w.mustFetch(tip, first)

	useful := w.git("write-tree")
	var parents []string
	for i := range maxCounting + 1 {
		w.git("reset", "-q", "--soft", w.git("commit-tree", "-m", fmt.Sprint(i), useful, "-p", string(tip)))
		parents = append(parents, string(w.sign(ann)))
	}
	w.git("reset", "-q", "--hard", merge(parents...))
	w.allow(&ann, ann)
	w.push()
	_, err := w.fetch(w.head(), tip)
	wantRejected(t, err, reconcile.GateUnverified, "more than 100 commits before it")
}
