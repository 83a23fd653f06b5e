package config

import (
	"slices"
	"strings"
	"testing"
)

// No way to write an argument lets a repository bring settings of its own, or a lock
// file that is not the committed one.
func TestNoSpellingUndoesWhatMustHold(t *testing.T) {
	for _, args := range []string{
		"--accept-flake-config", "--accept-flake-conf", "--accept-flake-config=true", "--no-accept-flake-config",
		"--option accept-flake-config true", "--option=accept-flake-config true", "--opt accept-flake-config true", "-o accept-flake-config true",
		"--option extra-accept-flake-config true", "--option ACCEPT-FLAKE-CONFIG true", "--option  true", "--option include /etc/x.conf#", "--option !include /etc/x.conf",
		"--cores 2 --accept-flake-config", "--cores --option --option accept-flake-config true", "-Laccept-flake-config", "-L--accept-flake-config",
		"--override-input a path:/a", "--update-input a", "--recreate-lock-file", "--no-write-lock-file", "--commit-lock-file",
		"--option access-tokens x=y", "--option extra-access-tokens x=y", "--option netrc-file /x",
		"--flake /x", "switch", "--build-host x", "--target-host x", "--", "",
	} {
		if n := (Nix{ExtraArgs: strings.Split(args, " ")}); problems(t, n) == "" {
			t.Errorf("%q is accepted", args)
		}
	}
}

func TestArguments(t *testing.T) {
	n := Nix{ExtraArgs: []string{"--show-trace", "--option", "cores", "2", "-I", "--option", "-L", "--option", "substituters", ""}}
	if p := problems(t, n); p != "" {
		t.Error(p)
	}
	args, settings := n.Arguments()
	if want := []string{"--show-trace", "-I", "--option", "-L"}; !slices.Equal(args, want) {
		t.Errorf("arguments are %q, want %q", args, want)
	}
	if want := []string{"cores = 2", "substituters = "}; !slices.Equal(settings, want) {
		t.Errorf("settings are %q, want %q", settings, want)
	}
}

// problems are those of a settings file with these arguments.
func problems(t *testing.T, n Nix) string {
	t.Helper()
	var quoted []string
	for _, arg := range n.ExtraArgs {
		quoted = append(quoted, `"`+arg+`"`)
	}
	if _, err := Parse("config.toml", []byte("nix.extra_args = ["+strings.Join(quoted, ", ")+"]\n"+remote)); err != nil {
		return err.Error()
	}
	return ""
}
