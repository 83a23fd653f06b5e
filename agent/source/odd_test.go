package source

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/infra-agent/infra-agent/reconcile"
)

// Files that git would replace reach Nix as git stores them, and are told by name.
func TestOddFiles(t *testing.T) {
	w := newWorld(t)
	pointer := "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n"
	for i := range 7 {
		w.write("art/"+strconv.Itoa(i)+".png", pointer)
	}
	w.write("secrets/key", "\x00GITCRYPT\x00abc")
	w.write("secrets/open", "GITCRYPT")
	w.write("vault", "U2FsdGVkX19hYmNkZWZnaGlqa2xtbm9w\n")
	w.write("annexed", "/annex/objects/SHA256E-s1--x\n")
	w.write(".gitattributes", "# filter=none\n*.png filter=lfs diff=lfs merge=lfs -text\nsecrets/** filter=git-crypt\nvault filter=crypt\n")
	w.write("sub/.gitattributes", "* filter=crypt\n* filter=nbstripout\n")
	if err := os.Symlink("../.git/annex/objects/x/y", filepath.Join(w.work, "linked")); err != nil {
		t.Fatal(err)
	}
	w.git("-c", "filter.lfs.clean=cat", "add", "-A")
	const pinned = "1111111111111111111111111111111111111111"
	w.git("update-index", "--add", "--cacheinfo", "160000,"+pinned+",modules/vim")
	w.git("commit", "-q", "-m", "odd")
	w.push()
	got, err := w.fetch(w.head(), "") // git does not read an empty directory as the submodule
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`submodules are empty directories, as for Nix: "modules/vim" (hint: where Nix needs one, make it a flake input, or set source.submodules)`,
		`Git LFS pointers are not the files that they stand for, as for Nix: "art/0.png", "art/1.png", "art/2.png", "art/3.png", "art/4.png" and 2 more (hint: where Nix needs one, set source.lfs, or commit the file itself)`,
		`files are locked by git-crypt and stay so, as for Nix: "secrets/key" (hint: nothing that Nix evaluates may need them; use sops-nix or agenix for secrets)`,
		`files are locked by transcrypt, or by openssl enc, and stay so, as for Nix: "vault" (hint: nothing that Nix evaluates may need them; use sops-nix or agenix for secrets)`,
		`git-annex pointers are not the files that they stand for, as for Nix: "annexed", "linked" (hint: where Nix needs one, commit the file itself, or fetch it in Nix)`,
		`filters of .gitattributes are not run, as for Nix: "vault filter=crypt", "sub/* filter=crypt", "sub/* filter=nbstripout" (hint: their files reach the node as git stores them)`,
	}
	if diff := cmp.Diff(want, got.Warnings); diff != "" {
		t.Errorf("Warnings (-want +got):\n%s", diff)
	}
	counts := map[reconcile.Oddity]int{reconcile.OddSubmodule: 1, reconcile.OddPointer: 7 + 2, reconcile.OddEncrypted: 1 + 1, reconcile.OddFilter: 3}
	if diff := cmp.Diff(counts, got.Odd); diff != "" {
		t.Errorf("Odd (-want +got):\n%s", diff)
	}
	if files, err := os.ReadDir(filepath.Join(w.tree, "modules/vim")); err != nil || len(files) != 0 {
		t.Errorf("the submodule is %v (%v), want an empty directory", files, err)
	}
	if got, err := os.ReadFile(filepath.Join(w.tree, "art/0.png")); err != nil || string(got) != pointer {
		t.Errorf("the LFS pointer is %q (%v), want it as it is stored", got, err)
	}

	t.Log("git itself writes the same tree")
	checkout := filepath.Join(t.TempDir(), "checkout")
	w.run(w.bare, "git", "clone", "-q", "-b", "main", w.bare, checkout)
	if out, err := exec.CommandContext(t.Context(), "diff", "-r", "--no-dereference", "--exclude=.git", checkout, w.tree).CombinedOutput(); err != nil {
		t.Errorf("diff: %s", out)
	}

	t.Log("a commit without them has no warnings")
	w.git("rm", "-q", "-r", "-f", "--ignore-unmatch", "art", "secrets", "annexed", "linked", "vault", ".gitattributes", "sub", "modules/vim")
	last := w.pushed("a", "1")
	if got := w.mustFetch(last, ""); len(got.Warnings)+len(got.Odd) > 0 {
		t.Errorf("Warnings = %q, Odd = %v, want none", got.Warnings, got.Odd)
	}
}

// What a child counts is taken in kinds that there are: it becomes labels.
func TestCountsOfAChildAreBounded(t *testing.T) {
	told := map[reconcile.Oddity]int{reconcile.OddFilter: 2, reconcile.OddEncrypted: -1, "made up": 3}
	got, err := answer{Result: &Result{Odd: told}}.result(job{})
	if want := (map[reconcile.Oddity]int{reconcile.OddFilter: 2}); err != nil || !maps.Equal(got.Odd, want) {
		t.Errorf("Odd = %v (%v), want %v", got.Odd, err, want)
	}
}

// A node whose settings refuse what Nix could not read keeps what it has, and the next
// commit without such files ends that.
func TestEncryptedFilesAreRefused(t *testing.T) {
	const ours = "; or change source.encrypted on the nodes)"
	for _, c := range []struct{ name, file, content, want string }{
		{"git-crypt", "keys/wg", "\x00GITCRYPT\x00abc", `files are locked by git-crypt and stay so: "keys/wg" (hint: nothing that Nix evaluates may need them; use sops-nix or agenix for secrets` + ours},
		{"transcrypt", "keys/wg", "U2FsdGVkX18=", `files are locked by transcrypt, or by openssl enc, and stay so: "keys/wg"`},
		{"git-annex", "disk.img", "/annex/objects/SHA256E-s1--x\n", `git-annex pointers are not the files that they stand for: "disk.img"`},
		{"another filter", "sub/.gitattributes", "*.age filter=age\n", `filters of .gitattributes are not run: "sub/*.age filter=age"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.fetcher.opts.Checkout.RefuseEncrypted = true
			first := w.pushed("a", "1")
			w.mustFetch(first, "")
			_, err := w.fetch(w.pushed(c.file, c.content), first)
			wantRejected(t, err, reconcile.GateUnverified, c.want, ours)
			if suspicious(err) {
				t.Errorf("Fetch: %v: the commit itself is at fault, not the remote", err)
			}
			w.git("rm", "-q", c.file)
			w.mustFetch(w.pushed("a", "2"), first)
		})
	}
}

// What the setting is not about stays a warning: a text that speaks of filters, and
// pointers of Git LFS, which have a setting of their own.
func TestWhatIsNotEncryptedIsNotRefused(t *testing.T) {
	w := newWorld(t)
	w.fetcher.opts.Checkout.RefuseEncrypted = true
	w.write("notes", "see filter=crypt, GITCRYPT, Salted__\n")
	w.write("art.png", "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n")
	tip := w.pushed(".gitattributes", "# *.x filter=crypt\n*.nix text eol=lf\n")
	if got := w.mustFetch(tip, ""); len(got.Warnings) != 1 {
		t.Errorf("Warnings = %q, want one about the pointer", got.Warnings)
	}
}
