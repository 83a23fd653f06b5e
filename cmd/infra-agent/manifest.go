package main

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"

	"github.com/infra-agent/infra-agent/agent"
	"github.com/infra-agent/infra-agent/agent/config"
	"github.com/infra-agent/infra-agent/agent/manifest"
	"github.com/infra-agent/infra-agent/agent/nix"
	"github.com/infra-agent/infra-agent/agent/registry"
	"github.com/infra-agent/infra-agent/agent/signature"
	"github.com/infra-agent/infra-agent/agent/source"
	"github.com/infra-agent/infra-agent/reconcile"
)

// manifestPort knows where manifests are, and who signs them.
type manifestPort struct {
	registry.Resolver
	fetcher  *source.Fetcher
	nix      *nix.Nix // for those of binary caches
	settings config.Manifest
	signers  signature.Files
	inTree   bool // the signers' file is one of the commit
}

func newManifestPort(s config.Settings, f *source.Fetcher, nx *nix.Nix) manifestPort {
	return manifestPort{resolver(s), f, nx, s.Manifest, manifestSigners(s), signersInTree(s) != ""}
}

// signersInTree is the commit's own file that says who may sign its manifest; "": the node's says it.
// Whoever could sign the commit may also say that.
func signersInTree(s config.Settings) string {
	if s.Manifest.Mode == reconcile.ManifestOff || s.Trust.ManifestSigners != "" {
		return ""
	}
	return s.Trust.Authorizations
}

func manifestSigners(s config.Settings) signature.Files {
	if file := signersInTree(s); file != "" {
		return signature.Files{AllowedSigners: file, Revocation: s.Trust.RevocationFile, Named: true}
	}
	return signature.Files{AllowedSigners: s.Trust.ManifestSigners, Revocation: s.Trust.RevocationFile}
}

// Plan resolves the node without an evaluation: what a flake would be asked, the manifest says.
func (p manifestPort) Plan(ctx context.Context, j reconcile.Plan) (agent.Planned, error) {
	p.Hostname, p.FQDN = hostnames()
	l := p.lazily(j)
	target, err := p.Resolve(ctx, j.From.Revision.Tree, l.flake())
	if err != nil {
		return agent.Planned{}, err
	}
	if err := l.get(ctx, target.Node); err != nil {
		return agent.Planned{}, err
	}
	planned := agent.Planned{Target: target, Toplevel: l.pin.Toplevel, Manifest: l.from}
	if l.m != nil {
		who := manifest.Machine{Node: target.Node, Configuration: target.Configuration, System: p.System}
		if l.plain {
			who.Node = target.Configuration
		}
		var n manifest.Node
		n, err = l.m.For(who)
		planned.Derivation, planned.Toplevel = n.Derivation, n.Toplevel
		planned.Audit = rand.Float64() < p.settings.AuditShare() // nobody can know of which
	}
	return planned, err
}

// A lazyManifest is fetched once, when something of it is needed: by the name that the registry
// has for the node or, where the registry is in it, by what the node is called before that.
type lazyManifest struct {
	port   manifestPort
	job    reconcile.Plan
	called string

	found
	plain bool // there is no registry: a node is its output
}

func (p manifestPort) lazily(j reconcile.Plan) *lazyManifest {
	return &lazyManifest{port: p, job: j, called: cmp.Or(p.Node, p.Hostname)}
}

func (l *lazyManifest) get(ctx context.Context, node string) (err error) {
	if l.from.Place == "" {
		l.found, err = l.port.find(ctx, l.job, node)
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
			if l.m == nil {
				return nil, errors.New(`a pin says nothing of the registry, and the commit has no such file (hint: where there is none, set registry.source = "none"; a registry in Nix needs manifests)`)
			}
			return l.m.Registry, nil
		},
		Outputs: func(ctx context.Context) ([]string, error) {
			l.plain = true
			if err := l.get(ctx, l.called); err != nil {
				return nil, err
			}
			if l.m == nil { // it is for this node, whatever else there is
				return []string{cmp.Or(l.port.Configuration, l.called)}, nil
			}
			return l.m.Configurations(), nil
		},
	}
}
