//go:build integration

package integration

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The double of nixos-rebuild hands on what the real ones do: nixos-rebuild.sh of NixOS 24.11 (nixpkgs 00409d13552d) and
// nixos-rebuild-ng (nixpkgs a87ce1b44e64), and ends as nixos-rebuild-ng does.
func TestDoubleOfNixosRebuild(t *testing.T) {
	dir := t.TempDir()
	check(t, os.WriteFile(filepath.Join(dir, "nix"), []byte("#!/bin/sh\nshift 5\necho \"$*\" >&2\necho /nix/store/x\nexit \"${NIX_EXIT:-0}\"\n"), 0o700))
	for _, tt := range []struct {
		args, nix string // what Nix gets
		fails     string // NIX_EXIT
		exit      int
		says      string
	}{
		{args: "--accept-flake-config", nix: "--accept-flake-config"},
		{args: "--fallback", nix: "--fallback"},
		{args: "--impure", nix: "--impure"},
		{args: "--keep-failed", nix: "--keep-failed"},
		{args: "--keep-going", nix: "--keep-going"},
		{args: "--no-net", nix: "--no-net"},
		{args: "--no-update-lock-file", nix: "--no-update-lock-file"},
		{args: "--no-write-lock-file", nix: "--no-write-lock-file"},
		{args: "--offline", nix: "--offline"},
		{args: "--print-build-logs", nix: "--print-build-logs"},
		{args: "-L", nix: "--print-build-logs"},
		{args: "--quiet", nix: "--quiet"},
		{args: "--refresh", nix: "--refresh"},
		{args: "--repair", nix: "--repair"},
		{args: "--show-trace", nix: "--show-trace"},
		{args: "--builders x", nix: "--builders x"},
		{args: "--fast", says: "/nix/store/x"},
		{args: "-j 2 --cores 3", nix: "--cores 3 --max-jobs 2"},
		{args: "-I a=/b", nix: "--include a=/b"},
		{args: "--option a b --option c d", nix: "--option c d"},
		{args: "--override-input a b --override-input c d", nix: "--override-input c d"},
		{args: "--no-update-lock-file --log-format internal-json -v", nix: "-v --no-update-lock-file --log-format internal-json"},
		{args: "--no-reexec", exit: 2, says: "unrecognized arguments: --no-reexec"}, // before NixOS 25.05
		{args: "--opt a b", exit: 2, says: "unrecognized arguments: --opt"},
		{args: "--option=a b", exit: 2, says: "expected 2 arguments"},
		{args: "--keep", exit: 2, says: "unrecognized arguments: --keep"},
		{args: "--cores", exit: 2, says: "expected one argument"},
		{args: "--cores=3", nix: "--cores 3"},
		{args: "--recreate-lock-file", exit: 2, says: "unrecognized arguments: --recreate-lock-file"},
		{args: "--impure", fails: "1", exit: 1, says: "returned non-zero exit status 1"},
		{args: "--impure", fails: "100", exit: 100, says: "returned non-zero exit status 100"},
	} {
		args := append([]string{"lab/layer/usr/local/bin/nixos-rebuild", "build", "--flake", "/f#n"}, strings.Fields(tt.args)...)
		cmd := exec.CommandContext(t.Context(), "python3", args...)
		cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "NIX_EXIT="+tt.fails)
		out, err := cmd.CombinedOutput()
		exit := 0
		if e, ended := errors.AsType[*exec.ExitError](err); ended {
			exit = e.ExitCode()
		}
		if exit != tt.exit || tt.nix != "" && !strings.Contains(string(out), "\n"+tt.nix+"\n") || !strings.Contains(string(out), tt.says) {
			t.Errorf("%s: exit %d, want %d, and %q to Nix, or %q; it says\n%s", tt.args, exit, tt.exit, tt.nix, tt.says, out)
		}
	}
}
