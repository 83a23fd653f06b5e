package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/infra-agent/infra-agent/agent/strict"
)

// A Source is a kind of registry.
type Source string

// The kinds of registries.
const (
	Auto Source = "auto" // the file if there is one, else the flake's value if there is one, else none
	TOML Source = "toml" // the file, which must exist
	Nix  Source = "nix"  // a value of the flake, which must exist
	Map  Source = "map"  // a file of another format
	None Source = "none" // a node is its nixosConfigurations output
)

// A Flake is what Nix says of the revision's flake.
type Flake struct {
	// Outputs lists the names of nixosConfigurations.
	Outputs func(ctx context.Context) ([]string, error)
	// Value returns an attribute as JSON; nil when the flake does not have it.
	Value func(ctx context.Context, attr string) ([]byte, error)
}

// load finds the revision's registry; nil when it has none.
func (r Resolver) load(ctx context.Context, dir string, flake Flake) (reader, error) {
	data, form, err := r.find(ctx, dir, flake)
	switch {
	case err != nil || form == None:
		return nil, err
	case form == TOML:
		return ofText(r.File, string(data)), nil
	case form == Map:
		d, err := r.Mapping.document(r.File, data)
		if err != nil {
			return nil, refused("%w", err)
		}
		return ofValues(d), nil
	}
	d, err := value(r.Attr, data)
	if err != nil {
		return nil, refused("the flake's %s: %w", r.Attr, err)
	}
	return ofValues(d), nil
}

// Whole reads the registry of the revision whose files are in dir as [Read] does; the
// file is nil when the revision has none. Where nothing can be read, the error is a
// [*strict.Error].
func (r Resolver) Whole(ctx context.Context, dir string, flake Flake) (*File, []strict.Problem, error) {
	data, form, err := r.find(ctx, dir, flake)
	if err != nil || form == None {
		return nil, nil, err
	}
	var f *File
	var problems []strict.Problem
	switch form {
	case TOML:
		f, problems = Read(r.File, data)
	case Map:
		f, problems = ReadMapped(r.File, data, r.Mapping)
	default:
		f, problems = ReadValue(r.Attr, data)
	}
	if f == nil {
		return nil, nil, &strict.Error{Problems: problems}
	}
	return f, problems, nil
}

// find returns the text of the revision's registry and its form: TOML, Nix for the
// flake's value as JSON, Map, or None when there is none.
func (r Resolver) find(ctx context.Context, dir string, flake Flake) (data []byte, form Source, err error) {
	switch r.Source {
	case None:
		return nil, None, nil
	case Nix:
		return r.value(ctx, flake)
	case Auto, TOML, Map:
	default:
		panic("registry: unknown source " + string(r.Source))
	}
	data, err = r.read(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist) && r.Source == Auto:
		return r.value(ctx, flake)
	case slices.ContainsFunc(ofNode, func(fault error) bool { return errors.Is(err, fault) }):
		return nil, None, fmt.Errorf("read the registry %s: %w", r.File, err)
	case err != nil:
		return nil, None, refused("read the registry %s: %w", r.File, err)
	case r.Source == Map:
		return data, Map, nil
	}
	return data, TOML, nil
}

// ofNode are errors of the machine, which say nothing of the revision, errno(3).
var ofNode = []error{syscall.EIO, syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.ESTALE}

// read opens the registry without leaving dir, whatever is a symbolic link.
func (r Resolver) read(dir string) ([]byte, error) {
	return readIn(dir, filepath.Join(r.Subdir, r.File))
}

func readIn(dir, name string) ([]byte, error) {
	f, err := os.OpenInRoot(dir, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, strict.MaxBytes+1))
}

// Keep copies the file of the registry, and the one beside it, as far as they are there, from a
// revision's files into a directory of its own, which is made anew. With these settings nothing
// else is read of the files.
func (r Resolver) Keep(from, to string) (dir string, err error) {
	dir = r.keptIn(to)
	err = os.RemoveAll(to)
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	for _, name := range r.keeps() {
		if err == nil && name != "" {
			err = keep(from, dir, name)
		}
	}
	if err != nil {
		return "", fmt.Errorf("keep the registry: %w", err)
	}
	return dir, nil
}

// keeps are the files that are kept, relative to the repository.
func (r Resolver) keeps() []string { return []string{filepath.Join(r.Subdir, r.File), r.Beside} }

func keep(from, to, name string) error {
	data, err := readIn(from, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	file := filepath.Join(to, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	return os.WriteFile(file, data, 0o600)
}

// Kept reports whether a directory has what Resolve reads, if there is anything: [Resolver.Keep] has
// made it with the same settings, or it has all of the revision's files.
func (r Resolver) Kept(dir string) bool {
	_, err := os.Stat(dir)
	return err == nil && (strings.HasPrefix(dir, "/nix/store/") || dir == r.keptIn(filepath.Dir(dir)))
}

// keptIn is called after the file that is kept there.
func (r Resolver) keptIn(dir string) string {
	name := sha256.Sum256([]byte(strings.Join(r.keeps(), "\x00")))
	return filepath.Join(dir, hex.EncodeToString(name[:8]))
}

// value asks the flake for its registry.
func (r Resolver) value(ctx context.Context, flake Flake) (data []byte, form Source, err error) {
	data, err = flake.Value(ctx, r.Attr)
	switch {
	case err != nil:
		return nil, None, fmt.Errorf("registry: %w", err)
	case data == nil && r.Source == Nix:
		return nil, None, refused("the flake has no attribute %s, and registry.source is nix (hint: infra-agent's lib.toRegistry makes it)", r.Attr)
	case data == nil:
		return nil, None, nil
	}
	return data, Nix, nil
}
