package main

import (
	"fmt"
	"path/filepath"
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
