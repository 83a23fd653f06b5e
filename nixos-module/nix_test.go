//go:build integration

package nixosmodule

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// withoutNix is how packaging/nix.sh exits where there is no Nix.
const withoutNix = 69

// nix runs a program of Nix and returns what it prints, and what it says where it fails.
func nix(t testing.TB, args ...string) (string, error) {
	t.Helper()
	var stdout, stderr strings.Builder
	cmd := exec.CommandContext(t.Context(), "../packaging/nix.sh", args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	exit, failed := errors.AsType[*exec.ExitError](err)
	switch {
	case failed && exit.ExitCode() == withoutNix:
		t.Skip(stderr.String())
	case failed:
		err = errors.New(stderr.String())
	}
	return stdout.String(), err
}

// evaluate evaluates an expression in which dir is this folder and lib the stand-in. Like a flake,
// it sees nothing but this repository.
func evaluate(t testing.TB, expression string, result any) error {
	t.Helper()
	args := []string{"nix-instantiate", "--eval", "--strict", "--json", "--restrict-eval", "-I", filepath.Dir(here(t)), "--expr", in(t, expression)}
	if real := os.Getenv("NIXPKGS_LIB"); real != "" { // see fleet
		args = append(args, "-I", real)
	}
	out, err := nix(t, args...)
	if err != nil {
		return err
	}
	return json.Unmarshal([]byte(out), result)
}

// build builds an expression like evaluate's, and returns the text of the file that it builds.
func build(t *testing.T, expression string) (string, error) {
	t.Helper()
	result := filepath.Join(t.TempDir(), "result")
	const script = `out=$(nix-build --no-out-link --expr "$1") && cp "$out" "$2"` // the store goes away
	if _, err := nix(t, "sh", "-c", script, "sh", in(t, expression), result); err != nil {
		return "", err
	}
	text, err := os.ReadFile(result)
	return string(text), err
}

func in(t testing.TB, expression string) string {
	t.Helper()
	return "let dir = " + here(t) + "; lib = import (dir + /testdata/lib.nix); in " + expression
}

func here(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	check(t, err)
	return dir
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
