package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

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
	switch r.Source {
	case None:
		return nil, nil
	case Nix:
		return r.value(ctx, flake, true)
	case Map:
		return r.foreign(dir)
	case Auto, TOML:
	default:
		panic("registry: unknown source " + string(r.Source))
	}
	data, err := r.read(dir)
	if errors.Is(err, fs.ErrNotExist) && r.Source == Auto {
		return r.value(ctx, flake, false)
	}
	if err != nil {
		return nil, refused("read the registry %s: %w", r.File, err)
	}
	return ofText(r.File, string(data)), nil
}

// read opens the registry without leaving dir, whatever is a symbolic link.
func (r Resolver) read(dir string) ([]byte, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }()
	f, err := root.Open(filepath.Join(r.Subdir, r.File))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, strict.MaxBytes+1))
}

// value asks the flake for its registry.
func (r Resolver) value(ctx context.Context, flake Flake, must bool) (reader, error) {
	data, err := flake.Value(ctx, r.Attr)
	if err != nil {
		return nil, fmt.Errorf("registry: %w", err)
	}
	if data == nil && must {
		return nil, refused("the flake has no attribute %s, and registry.source is nix (hint: infra-agent's lib.toRegistry makes it)", r.Attr)
	}
	if data == nil {
		return nil, nil
	}
	root, err := object(data)
	if err != nil {
		return nil, refused("the flake's %s: %w", r.Attr, err)
	}
	return ofValues(strict.FromValues(r.Attr, root)), nil
}
