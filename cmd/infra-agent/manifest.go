package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"

	"github.com/infra-agent/infra-agent/agent"
	"github.com/infra-agent/infra-agent/agent/config"
	"github.com/infra-agent/infra-agent/agent/manifest"
	"github.com/infra-agent/infra-agent/agent/registry"
	"github.com/infra-agent/infra-agent/agent/signature"
	"github.com/infra-agent/infra-agent/agent/source"
	"github.com/infra-agent/infra-agent/reconcile"
)

// manifestPort knows where manifests are, and who signs them.
type manifestPort struct {
	registry.Resolver
	fetcher  *source.Fetcher
	settings config.Manifest
	signers  signature.Files
}

func manifestSigners(s config.Settings) signature.Files {
	return signature.Files{AllowedSigners: s.Trust.ManifestSigners, Revocation: s.Trust.RevocationFile}
}

// Plan resolves the node without Nix: what a flake would be asked, the manifest says.
func (p manifestPort) Plan(ctx context.Context, rev reconcile.Revision, accepted []reconcile.Commit) (agent.Planned, error) {
	p.Hostname, p.FQDN = hostnames()
	l := p.lazily(rev, accepted)
	target, err := p.Resolve(ctx, rev.Tree, l.flake())
	if err != nil {
		return agent.Planned{}, err
	}
	if err := l.get(ctx, target.Node); err != nil {
		return agent.Planned{}, err
	}
	who := manifest.Machine{Node: target.Node, Configuration: target.Configuration, System: p.System}
	if l.plain {
		who.Node = target.Configuration
	}
	n, err := l.m.For(who)
	return agent.Planned{Target: target, Derivation: n.Derivation, Toplevel: n.Toplevel, Manifest: l.from, Audit: rand.Float64() < p.settings.AuditShare()}, err // nobody can know of which
}

// A lazyManifest is fetched once, when something of it is needed: by the name that the registry
// has for the node or, where the registry is in it, by what the node is called before that.
type lazyManifest struct {
	port   manifestPort
	of     manifest.Source
	called string

	m     *manifest.Manifest // nil: not yet
	from  reconcile.Manifest
	plain bool // there is no registry: a node is its output
}

func (p manifestPort) lazily(rev reconcile.Revision, accepted []reconcile.Commit) *lazyManifest {
	return &lazyManifest{port: p, of: manifest.Source{Commit: rev.Commit, Tree: rev.Hash, Accepted: accepted}, called: cmp.Or(p.Node, p.Hostname)}
}

func (l *lazyManifest) get(ctx context.Context, node string) (err error) {
	if l.m == nil {
		l.m, l.from, err = l.port.manifest(ctx, l.of, node)
	}
	return err
}

// flake answers for the flake that the manifest was made of.
func (l *lazyManifest) flake() registry.Flake {
	return registry.Flake{
		Value: func(ctx context.Context, _ string) ([]byte, error) {
			if err := l.get(ctx, l.called); err != nil {
				return nil, err
			}
			return l.m.Registry, nil
		},
		Outputs: func(ctx context.Context) ([]string, error) {
			l.plain = true
			if err := l.get(ctx, l.called); err != nil {
				return nil, err
			}
			return l.m.Configurations(), nil
		},
	}
}

// manifest gets one that counts from the first place that has it. The error says what is wrong
// at each.
func (p manifestPort) manifest(ctx context.Context, of manifest.Source, node string) (*manifest.Manifest, reconcile.Manifest, error) {
	keys, err := signature.Load(p.signers, os.ReadFile)
	if err != nil {
		return nil, reconcile.Manifest{}, err
	}
	var all []string
	for _, at := range p.settings.Places() {
		place := p.place(at, of.Commit, node)
		text, sig, err := p.fetcher.File(ctx, place)
		switch {
		case errors.Is(err, source.ErrNoFile):
			all = append(all, fmt.Sprintf("there is no manifest of %s yet: %s", of.Commit.Short(), place))
			continue
		case err != nil:
			all = append(all, err.Error())
			continue
		}
		m, signer, err := manifest.Open(text, sig, keys, of)
		if err == nil {
			return m, reconcile.Manifest{Place: place.String(), Signer: signer}, nil
		}
		all = append(all, fmt.Sprintf("%s: %v", place, err))
	}
	return nil, reconcile.Manifest{}, errors.New(strings.Join(all, "; "))
}

func (p manifestPort) place(at string, c reconcile.Commit, node string) source.Place {
	if branch := p.settings.Branch(at); branch != "" {
		return source.Place{Branch: branch, Path: manifest.FileName(c, node)}
	}
	return source.Place{URL: strings.NewReplacer("{commit}", string(c), "{node}", node, "{system}", p.System).Replace(at)}
}
