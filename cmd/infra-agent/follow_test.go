package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"
)

// Old settings whose token the new system took away cannot be asked: that is no outage.
func TestOldSettingsThatCannotBeAsked(t *testing.T) {
	dir := t.TempDir()
	token, empty, signers := filepath.Join(dir, "token"), filepath.Join(dir, "empty"), filepath.Join(dir, "signers")
	write(t, token, "secret\n")
	write(t, empty, "\n") // what systemd leaves of a credential that is not there
	for _, tt := range []struct {
		name, settings string
		want           bool
	}{
		{"no file", "[[source.remotes]]\nurl = \"https://git.example.org/a\"\n", false},
		{"its token is there", fmt.Sprintf("[[source.remotes]]\nurl = \"https://git.example.org/a\"\ntoken_file = %q\n", token), false},
		{"its token is gone", fmt.Sprintf("[[source.remotes]]\nurl = \"https://git.example.org/a\"\ntoken_file = %q\n", token+"2"), true},
		{"its token is empty", fmt.Sprintf("[[source.remotes]]\nurl = \"https://git.example.org/a\"\ntoken_file = %q\n", empty), true},
		{"a poll needs no signers", fmt.Sprintf("[trust]\npolicy = \"tip\"\nallowed_signers_file = %q\n[[source.remotes]]\nurl = \"https://git.example.org/a\"\n", signers), false},
		{"settings of another version", "novelty = 1\n", false},
	} {
		path := filepath.Join(dir, "config.toml")
		write(t, path, tt.settings)
		if got := lost(path); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

// What an evaluation depends on, as Nix reads it: with what is included, and without what builds alone need.
func TestFilesOfNix(t *testing.T) {
	dir := t.TempDir()
	conf, tokens := filepath.Join(dir, "nix.conf"), filepath.Join(dir, "tokens")
	write(t, conf, "restrict-eval = true\nsandbox-paths = /bin/sh=/nix/store/a\n!include tokens\ninclude "+filepath.Join(dir, "gone")+"\n")
	write(t, tokens, "access-tokens = a=b\ninclude nix.conf\n") // Nix itself would not end
	files := nixFiles(conf, 1)
	if want := []string{conf, tokens, filepath.Join(dir, "gone")}; !slices.Equal(files, want) {
		t.Errorf("files are %q, want %q", files, want)
	}
	if n := len(nixFiles(conf, includesDeep)); n > 4*includesDeep {
		t.Errorf("of two files that include each other it reads %d", n)
	}
	if got, want := evaluates(files), "restrict-eval = true\n!include tokens\ninclude "+filepath.Join(dir, "gone")+"\naccess-tokens = a=b\ninclude nix.conf\n"; got != want {
		t.Errorf("an evaluation reads %q, want %q", got, want)
	}
	groups := filepath.Join(dir, "group")
	write(t, groups, "root:x:0:\nnixbld:x:30000:nixbld1,nixbld2\nnixbld2:x:1:\n")
	if got := buildUsers(groups); got != "nixbld:x:30000:nixbld1,nixbld2\n" {
		t.Errorf("build users are %q", got)
	}
}
