package nix

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestWhatIsWrongWithATree(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"flake.lock": `{"nodes": {"a": {"locked": {"type": "git", "url": "file:///home/me/a"}}, "b": {"locked": {"type": "path", "path": "/home/me/b"}},
			"c": {"locked": {"type": "github", "owner": "x"}}, "d": {"locked": {"type": "path", "path": "./sub"}}, "root": {"inputs": {}}}, "root": "root"}`,
		"secrets/key":  "\x00GITCRYPT\x00abc",
		"secrets/open": "GITCRYPT",
		"short":        "\x00",
		".git/objects": "\x00GITCRYPT\x00abc",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("secrets/key", dir+"/link"); err != nil {
		t.Fatal(err)
	}
	if got, want := LocalInputs(dir), []string{"a: file:///home/me/a", "b: /home/me/b"}; !slices.Equal(got, want) {
		t.Errorf("LocalInputs = %q, want %q", got, want)
	}
	if got, err := Encrypted(dir); !slices.Equal(got, []string{"secrets/key"}) || err != nil {
		t.Errorf("Encrypted = %q, %v, want secrets/key", got, err)
	}
}
