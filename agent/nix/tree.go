package nix

import (
	"bytes"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// LocalInputs lists the inputs in flake.lock that only the machine which locked
// them has, as "NAME: PLACE".
func LocalInputs(flake string) []string {
	locked := lockedInputs(flake)
	var local []string
	for _, name := range slices.Sorted(maps.Keys(locked.urls)) {
		if place := locked.urls[name]; strings.HasPrefix(place, "/") || strings.HasPrefix(place, "file:") {
			local = append(local, name+": "+place)
		}
	}
	return local
}

// gitCrypt is how a file begins that git-crypt has locked.
var gitCrypt = []byte("\x00GITCRYPT\x00")

// Encrypted lists the files of a tree that git-crypt has locked, sorted, relative
// to it.
func Encrypted(tree string) ([]string, error) {
	var found []string
	err := filepath.WalkDir(tree, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && d.Name() == ".git":
			return filepath.SkipDir
		case !d.Type().IsRegular():
			return nil
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		start := make([]byte, len(gitCrypt))
		if n, _ := io.ReadFull(f, start); bytes.Equal(start[:n], gitCrypt) {
			name, err := filepath.Rel(tree, path)
			if err != nil {
				return err
			}
			found = append(found, name)
		}
		return nil
	})
	return found, err
}
