package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/infra-agent/infra-agent/agent/config"
	"github.com/infra-agent/infra-agent/agent/manifest"
	"github.com/infra-agent/infra-agent/agent/signature"
	"github.com/infra-agent/infra-agent/agent/source"
	"github.com/infra-agent/infra-agent/reconcile"
)

// found is what a place says of a commit.
type found struct {
	m    *manifest.Manifest // nil: a pin says it
	pin  reconcile.Pin
	from reconcile.Manifest
}

// find gets a manifest or a pin that counts from the first place that has one. The error says
// what is wrong at each.
func (p manifestPort) find(ctx context.Context, j reconcile.Plan, node string) (found, error) {
	rev := j.From.Revision
	of := manifest.Source{Commit: rev.Commit, Tree: rev.Hash, Accepted: j.Accepted}
	var all []string
	for _, at := range p.settings.Places() {
		var f found
		var err error
		place := p.place(at, rev.Commit, node)
		switch at.Kind {
		case config.ManifestPin:
			f, err = p.pinned(ctx, place, at.Fill(at.Name, "", node, p.System), j)
		case config.ManifestStore:
			f, err = p.stored(ctx, place, of, node)
		case config.ManifestBranch, config.ManifestURL:
			f, err = p.signed(ctx, place, of, rev.Tree)
		}
		switch {
		case err == nil:
			return f, nil
		case errors.Is(err, source.ErrNoFile):
			err = fmt.Errorf("there is no manifest of %s yet: %s", rev.Commit.Short(), place)
		}
		all = append(all, err.Error())
	}
	return found{}, errors.New(strings.Join(all, "; "))
}

func (p manifestPort) place(at config.ManifestSource, c reconcile.Commit, node string) source.Place {
	if at.Kind == config.ManifestBranch {
		return source.Place{Branch: at.At, Path: manifest.FileName(c, node)}
	}
	return source.Place{URL: at.Fill(at.At, string(c), node, p.System), Unsigned: at.Kind != config.ManifestURL, Bearer: at.Name != ""}
}

// signed gets a manifest that has its signature beside it.
func (p manifestPort) signed(ctx context.Context, place source.Place, of manifest.Source, tree string) (found, error) {
	keys, err := signature.Load(p.signers, func(path string) ([]byte, error) {
		if p.inTree && path == p.signers.AllowedSigners {
			return readIn(tree, path)
		}
		return os.ReadFile(path)
	})
	if err != nil {
		return found{}, err
	}
	file, err := p.fetcher.File(ctx, place)
	if err != nil {
		return found{}, err
	}
	m, signer, err := manifest.Open(file.Text, file.Signature, keys, of)
	if err != nil {
		return found{}, fmt.Errorf("%s: %w", place, err)
	}
	return found{m: m, from: reconcile.Manifest{Place: place.String(), Signer: signer}}, nil
}

// stored gets a manifest of a store path, which the place names and a binary cache has.
func (p manifestPort) stored(ctx context.Context, place source.Place, of manifest.Source, node string) (found, error) {
	file, err := p.fetcher.File(ctx, place)
	if err != nil {
		return found{}, err
	}
	path, err := manifest.ParseStorePath(file.Text)
	if err != nil {
		return found{}, fmt.Errorf("%s: %w", place, err)
	}
	if err := p.nix.Copy(ctx, reconcile.Toplevel(path), "manifest", func(reconcile.Progress) {}); err != nil {
		return found{}, err
	}
	key, err := p.nix.Signed(ctx, path)
	if err != nil {
		return found{}, err
	}
	text, name, err := manifestIn(path, of.Commit, node)
	if err != nil {
		return found{}, err
	}
	m, err := manifest.OpenSigned(text, of)
	if err != nil {
		return found{}, fmt.Errorf("%s: %w", name, err)
	}
	return found{m: m, from: reconcile.Manifest{Place: name, Signer: key + ", a key of the binary cache"}}, nil
}

// manifestIn reads the manifest of a node, or of its fleet, in a directory that "registry manifest
// --out" has written. Nothing out of it is read, whatever is a symbolic link.
func manifestIn(dir string, c reconcile.Commit, node string) (text []byte, name string, err error) {
	for _, name := range []string{manifest.FileName(c, node), manifest.FileName(c, "")} {
		if text, err = readIn(dir, name); !errors.Is(err, fs.ErrNotExist) {
			return text, filepath.Join(dir, name), err
		}
	}
	return nil, "", fmt.Errorf("%s has no manifest of %s", dir, c.Short())
}

func readIn(dir, name string) ([]byte, error) {
	f, err := os.OpenInRoot(dir, filepath.FromSlash(name))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, manifest.MaxBytes+1))
}

// pinned gets a pin; of a list, the one of that name.
func (p manifestPort) pinned(ctx context.Context, place source.Place, name string, j reconcile.Plan) (found, error) {
	if j.From.Purpose == reconcile.PurposeTesting {
		return found{}, errors.New("a pin names no commit, and so none of the testing branch")
	}
	file, err := p.fetcher.File(ctx, place)
	if err != nil {
		return found{}, err
	}
	pin, err := manifest.ParsePin(file.Text, name, file.Modified)
	if err == nil {
		err = j.Pins.Accepts(pin, j.From.Revision.Time, time.Now())
	}
	if err != nil {
		return found{}, fmt.Errorf("%s: %w", place, err)
	}
	return found{pin: pin, from: reconcile.Manifest{Place: place.String(), Pinned: pin.At}}, nil
}
