package main

import (
	"context"

	"github.com/infra-agent/infra-agent/agent/config"
	"github.com/infra-agent/infra-agent/agent/nix"
	"github.com/infra-agent/infra-agent/agent/registry"
	"github.com/infra-agent/infra-agent/agent/source"
	"github.com/infra-agent/infra-agent/reconcile"
)

// only reports whether the node never evaluates.
func (d *doctor) only(s config.Settings) bool {
	return d.checkout == "" && s.Manifest.Mode == reconcile.ManifestOnly
}

// named asks for the commit's manifest, where the node takes manifests.
func (d *doctor) named(ctx context.Context, s config.Settings, r registry.Resolver, nx *nix.Nix, rev reconcile.Revision) (t reconcile.Target, top reconcile.Toplevel, ok bool) {
	if d.checkout != "" || s.Manifest.Mode == reconcile.ManifestOff {
		return t, "", false
	}
	opts := sourceOptions(s)
	opts.Dir = d.work
	port := newManifestPort(s, source.NewFetcher(opts), nx)
	port.Resolver = r
	p, err := port.Plan(ctx, reconcile.Plan{From: reconcile.Fetched{Revision: rev}})
	switch {
	case err != nil && d.only(s):
		d.fail("manifest", err)
	case err != nil:
		d.warn("manifest", "%v", err)
	case p.Manifest.Signer == "":
		d.warn("manifest", "%s", namedBy(p.Manifest))
	default:
		d.ok("manifest", "%s", namedBy(p.Manifest))
	}
	return p.Target, p.Toplevel, err == nil
}
