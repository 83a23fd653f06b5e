//go:build integration

package nixosmodule

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Who follows the README up to the first commit has what is in this repository, and programs that run: nix flake init forgets which
// files are programs, and git may be told to leave files out.
func TestTheFleetIsWhatItsReadmeMakes(t *testing.T) {
	packaging := filepath.Join(filepath.Dir(here(t)), "packaging/fleet")
	flake, dir := t.TempDir(), t.TempDir()
	check(t, os.CopyFS(filepath.Join(flake, "fleet"), os.DirFS(filepath.Join(packaging, "fleet"))))
	check(t, os.WriteFile(filepath.Join(flake, "flake.nix"), []byte(`{ outputs = _: { templates.fleet = { path = ./fleet; description = "A fleet"; }; }; }`), 0o600))
	_, err := nix(t, "sh", "-c", `cd "$1" && HOME="$1" nix flake init --template "path:$2#fleet"`, "sh", dir, flake)
	check(t, err)

	readme, err := os.ReadFile(filepath.Join(dir, "README.md"))
	check(t, err)
	script := strings.ReplaceAll(strings.Join(regexp.MustCompile("`(?:chmod|git init|git add) [^`]*`").FindAllString(string(readme), -1), "\n"), "`", "")
	cmd := exec.CommandContext(t.Context(), "sh", "-euc", script)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
	ls := exec.CommandContext(t.Context(), "git", "-C", dir, "ls-files", "--format=%(objectmode) %(path)")
	got, err := ls.Output()
	check(t, err)
	var want []string
	check(t, fs.WalkDir(os.DirFS(packaging), "fleet", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		check(t, err)
		mode := "100644"
		if info.Mode()&0o100 != 0 {
			mode = "100755"
		}
		want = append(want, mode+" "+strings.TrimPrefix(path, "fleet/"))
		return nil
	}))
	byPath := func(a, b string) int { return strings.Compare(a[7:], b[7:]) }
	slices.SortFunc(want, byPath)
	files := strings.Split(strings.TrimSpace(string(got)), "\n")
	slices.SortFunc(files, byPath)
	if diff := cmp.Diff(want, files); diff != "" {
		t.Errorf("files of the template, and of who follows its README (-want +got):\n%s", diff)
	}
}
