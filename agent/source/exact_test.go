package source

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/infra-agent/infra-agent/reconcile"
)

// A streamFile is one of a stream for git-fast-import(1), which makes what no shell can type.
type streamFile struct{ mode, path, content string }

// streamed makes a commit on the server's branch; head is all of the commit before its
// files but the branch.
func (w *world) streamed(head string, files ...streamFile) reconcile.Commit {
	w.t.Helper()
	var stream strings.Builder
	stream.WriteString("commit refs/heads/main\n" + head)
	for _, f := range files {
		fmt.Fprintf(&stream, "M %s inline \"", f.mode)
		for i := range len(f.path) {
			fmt.Fprintf(&stream, "\\%03o", f.path[i])
		}
		fmt.Fprintf(&stream, "\"\ndata %d\n%s\n", len(f.content), f.content)
	}
	fast := exec.CommandContext(w.t.Context(), "git", "fast-import", "--quiet", "--force", "--date-format=raw-permissive")
	fast.Dir, fast.Stdin = w.bare, strings.NewReader(stream.String())
	if out, err := fast.CombinedOutput(); err != nil {
		w.t.Fatalf("git fast-import: %v\n%s", err, out)
	}
	return reconcile.Commit(w.run(w.bare, "git", "rev-parse", "main"))
}

// archived is a directory as GNU tar sees it: names, kinds, modes, links and contents,
// byte by byte.
func (w *world) archived(dir string) string {
	w.t.Helper()
	return w.run(dir, "sh", "-c", "tar --format=gnu --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --exclude=./.git -cf - . | sha256sum")
}

// written by git itself, without what attributes of the tree ask it to change: Nix gets
// none of that either.
func (w *world) byGit(tip reconcile.Commit) (dir string) {
	w.t.Helper()
	dir = filepath.Join(w.t.TempDir(), "git")
	w.run("/", "git", "-c", "advice.detachedHead=false", "clone", "-q", "--no-checkout", w.bare, dir)
	attributes := filepath.Join(dir, ".git/info/attributes")
	if err := os.WriteFile(attributes, []byte("* -text -eol -ident -filter -working-tree-encoding\n"), 0o600); err != nil {
		w.t.Fatal(err)
	}
	w.run(dir, "git", "-c", "advice.detachedHead=false", "checkout", "-q", string(tip))
	return dir
}

// What Nix gets is, bit for bit, what git has.
func TestTreesAreExact(t *testing.T) {
	const head = "committer a <a@example.org> 1700000000 +0000\ndata 2\nx\n"
	deep := strings.TrimSuffix(strings.Repeat("d/", maxDeep), "/")
	for _, c := range []struct {
		name    string
		head    string // "" = an ordinary one
		files   []streamFile
		time    int64 // of the commit; 0 = that of an ordinary one
		subject string
	}{
		{"names with ends of lines, quotes and blanks", "", []streamFile{{"100644", "a\nb", "1"}, {"100644", "a\tb\r", "2"}, {"100644", " ", "3"}, {"100644", "\"'$(id)`\\", "4"}, {"100644", "-rf", "5"}, {"100644", "d\n/\n", "6"}}, 0, "x"},
		{"names of every byte", "", everyByte(), 0, "x"},
		{"names that are no UTF-8", "", []streamFile{{"100644", "\xff\xfe", "1"}, {"100644", "d\xc3/\xe4", "2"}, {"120000", "l\x80", "\xff\xfe"}}, 0, "x"},
		{"names of 255 bytes", "", []streamFile{{"100644", strings.Repeat("n", 255), "1"}, {"100644", strings.Repeat("\xc3\xa4", 127) + "/" + strings.Repeat("m", 255), "2"}}, 0, "x"},
		{"names that differ by case and by composition", "", []streamFile{{"100644", "readme", "1"}, {"100644", "README", "2"}, {"100644", "Dir/a", "3"}, {"100644", "dir/a", "4"}, {"100644", "\u00e4", "5"}, {"100644", "a\u0308", "6"}}, 0, "x"},
		{"names that git sorts in its own way", "", []streamFile{{"100644", "a.b", "1"}, {"100644", "a/b", "2"}, {"100644", "a0", "3"}, {"100644", "a-", "4"}}, 0, "x"},
		{"names that look like a repository", "", []streamFile{{"100644", "git", "1"}, {"100644", ".gitignore", "*\n"}, {"100644", ".github/x", "2"}, {"100644", "HEAD", "ref: x\n"}, {"100644", "objects/x", ""}, {"100644", ".git.d/x", ""}}, 0, "x"},
		{"links", "", []streamFile{{"120000", "dangling", "none"}, {"120000", "absolute", "/etc/passwd"}, {"120000", "out", "../../.."}, {"120000", "loop", "loop"}, {"120000", "odd", " \n\xff"}, {"120000", "long", strings.Repeat("x/", 1500)}, {"100644", "d/f", "1"}, {"120000", "to", "d"}}, 0, "x"},
		{"modes", "", []streamFile{{"100644", "plain", "1"}, {"100755", "run", "2"}, {"100755", "d/empty", ""}}, 0, "x"},
		{"200 levels", "", []streamFile{{"100644", deep + "/f", "1"}, {"100644", "f", "2"}}, 0, "x"},
		{"contents", "", []streamFile{{"100644", "nul", "\x00a\x00"}, {"100644", "crlf", "a\r\nb\r\n"}, {"100644", "bom", "\ufeffa"}, {"100644", "empty", ""}, {"100644", "no end", "a"}, {"100644", "large", random(3 << 18)}}, 0, "x"},
		{"attributes", "", []streamFile{
			{"100644", ".gitattributes", "*.txt text eol=crlf\n*.sh eol=lf\n*.id ident\n*.u16 working-tree-encoding=UTF-16\nsecret export-ignore\nversion export-subst\n"},
			{"100644", "a.txt", "1\n2\n"},
			{"100644", "a.sh", "1\r\n"},
			{"100644", "a.id", "$Id$\n"},
			{"100644", "a.u16", "a\n"},
			{"100644", "secret", "1"},
			{"100644", "version", "$Format:%H$\n"},
		}, 0, "x"},
		{"no files", "", nil, 0, "x"},
		{"an empty message", "committer a <a@example.org> 1700000000 +0000\ndata 0\n", []streamFile{{"100644", "f", "1"}}, 0, ""},
		{"another encoding", "committer Z\xfcrich <a@example.org> 1700000000 +0000\nencoding ISO-8859-1\ndata 7\nZ\xfcrich\n", []streamFile{{"100644", "f", "1"}}, 0, "Z\ufffdrich"},
		{"1970", "committer a <a@example.org> 1 +0000\ndata 2\nx\n", []streamFile{{"100644", "f", "1"}}, 1, "x"},
		{"5138", "committer a <a@example.org> 99999999999 +1400\ndata 2\nx\n", []streamFile{{"100644", "f", "1"}}, 99999999999, "x"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			if c.head == "" {
				c.head = head
			}
			if c.time == 0 {
				c.time = 1700000000
			}
			tip := w.streamed(c.head, c.files...)
			got, err := w.fetch(tip, "")
			if err != nil {
				t.Fatal(err)
			}
			if want := w.archived(w.byGit(tip)); w.archived(w.tree) != want {
				out, _ := exec.CommandContext(t.Context(), "diff", "-r", "--no-dereference", "--exclude=.git", w.byGit(tip), w.tree).CombinedOutput()
				t.Errorf("the tree is not git's: %s", out)
			}
			if got.Subject != c.subject || !got.Time.Equal(time.Unix(c.time, 0)) {
				t.Errorf("subject %q at %s, want %q at %s", got.Subject, got.Time, c.subject, time.Unix(c.time, 0))
			}
		})
	}
}

// everyByte names a file by each byte that a name may have.
func everyByte() (files []streamFile) {
	for b := 1; b < 256; b++ {
		if b != '/' {
			files = append(files, streamFile{"100644", "x" + string([]byte{byte(b)}), "1"})
		}
	}
	return files
}

// A merge of many is a commit like others, and each of its parents a way to the anchor.
func TestOctopus(t *testing.T) {
	w := newWorld(t)
	anchor := w.pushed("a", "1")
	w.mustFetch(anchor, "")
	var sides []string
	for i := range 5 {
		name := fmt.Sprint("side", i)
		w.git("checkout", "-q", "-b", name, string(anchor))
		w.commit(name, "1")
		sides = append(sides, name)
	}
	w.git("checkout", "-q", "main")
	w.commit("a", "2")
	w.git(append([]string{"merge", "-q", "-m", "octopus"}, sides...)...)
	w.push()
	tip := w.head()
	if got := w.mustFetch(tip, anchor); got.Commits != 2 {
		t.Errorf("Commits = %d, want 2", got.Commits)
	}
	if want := w.archived(w.byGit(tip)); w.archived(w.tree) != want {
		t.Error("the tree is not git's")
	}
}
