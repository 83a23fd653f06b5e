//go:build integration

package nixosmodule

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// What a newcomer has to read is part of what the template is for.
func TestTheFleetIsSmall(t *testing.T) {
	const mostFiles, mostLines = 120, 3500
	root := filepath.Join(filepath.Dir(here(t)), "packaging/fleet/fleet")
	files, lines := 0, 0
	check(t, filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		files, lines = files+1, lines+bytes.Count(text, []byte("\n"))
		return err
	}))
	t.Logf("the template has %d files and %d lines", files, lines)
	if files == 0 || files > mostFiles || lines > mostLines {
		t.Errorf("it may have %d files and %d lines", mostFiles, mostLines)
	}
}

// The names of all hosts and the registry, on the stand-ins: at most 2 s.
func BenchmarkTheFleetsNames(b *testing.B) {
	for b.Loop() {
		var got map[string]any
		check(b, fleet(b, `{
			names = builtins.mapAttrs (_: node: node.config.networking.hostName) outputs.nixosConfigurations;
			registry = builtins.fromTOML (builtins.readFile (packaging + "/fleet/fleet/modules/infrastructure/infrastructure.toml"));
		}`, &got))
	}
}
