package source

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
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
		`submodules are empty directories, as for Nix: "modules/vim" (hint: where Nix needs one, make it a flake input)`,
		`Git LFS pointers are not the files that they stand for, as for Nix: "art/0.png", "art/1.png", "art/2.png", "art/3.png", "art/4.png" and 2 more (hint: where Nix needs one, commit the file itself, or fetch it in Nix)`,
		`files are locked by git-crypt and stay so, as for Nix: "secrets/key" (hint: nothing that Nix evaluates may need them; use sops-nix or agenix for secrets)`,
		`git-annex pointers are not the files that they stand for, as for Nix: "annexed", "linked" (hint: where Nix needs one, commit the file itself, or fetch it in Nix)`,
		`filters of .gitattributes are not run, as for Nix: "crypt", "nbstripout" (hint: their files reach the node as git stores them)`,
	}
	if diff := cmp.Diff(want, got.Warnings); diff != "" {
		t.Errorf("Warnings (-want +got):\n%s", diff)
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
	w.git("rm", "-q", "-r", "-f", "--ignore-unmatch", "art", "secrets", "annexed", "linked", ".gitattributes", "sub", "modules/vim")
	last := w.pushed("a", "1")
	if got := w.mustFetch(last, ""); len(got.Warnings) > 0 {
		t.Errorf("Warnings = %q, want none", got.Warnings)
	}
}
