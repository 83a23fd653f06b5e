package nix

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestCredentials(t *testing.T) {
	home := filepath.Join(t.TempDir(), "run", "nix")
	n := &Nix{
		Settings:    []string{"cores = 2"},
		Credentials: Credentials{Netrc: "/c/netrc", AccessTokens: "/c/tokens", SSHKey: "/c/key", KnownHosts: "/c/hosts", SSHConfig: "/c/config", Home: home},
	}
	t.Setenv("NIX_CONFIG", "keep-going = true")
	for range 2 {
		got, err := n.environment()
		want := []string{
			"HOME=" + home,
			"GIT_SSH_COMMAND=ssh -o BatchMode=yes -o StrictHostKeyChecking=yes -F /c/config -i /c/key -o IdentitiesOnly=yes -o UserKnownHostsFile=/c/hosts -o GlobalKnownHostsFile=/dev/null",
			"NIX_CONFIG=keep-going = true\ninclude /c/tokens\nnetrc-file = /c/netrc\ncores = 2\naccept-flake-config = false",
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	}
	if to, err := os.Readlink(home + "/.netrc"); to != "/c/netrc" {
		t.Errorf(".netrc leads to %q, %v", to, err)
	}
	if info, err := os.Stat(home); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the directory is %v, %v", info, err)
	}
	n.Credentials.Netrc = "/c/other"
	if _, err := n.environment(); err != nil {
		t.Error(err)
	}
	if to, _ := os.Readlink(home + "/.netrc"); to != "/c/other" {
		t.Errorf("another file: .netrc leads to %q", to)
	}
	n.Credentials = Credentials{}
	if got, _ := n.environment(); len(got) != 1 || !strings.HasPrefix(got[0], "NIX_CONFIG=") {
		t.Errorf("without credentials: %q", got)
	}
	n.Credentials = Credentials{Netrc: "/c/netrc", Home: "/dev/null/x"}
	if _, err := n.environment(); err == nil || !strings.Contains(err.Error(), "hand nix.netrc_file to git") {
		t.Errorf("a directory that cannot be made: %v", err)
	}
}
