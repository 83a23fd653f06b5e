package main

import (
	"context"

	"github.com/infra-agent/infra-agent/agent/config"
	"github.com/infra-agent/infra-agent/agent/registry"
	"github.com/infra-agent/infra-agent/agent/source"
	"github.com/infra-agent/infra-agent/reconcile"
)

// only reports whether the node never evaluates.
func (d *doctor) only(s config.Settings) bool {
	return d.checkout == "" && s.Manifest.Mode == reconcile.ManifestOnly
}

// named asks for the commit's manifest, where the node takes manifests.
func (d *doctor) named(ctx context.Context, s config.Settings, r registry.Resolver, rev reconcile.Revision) (t reconcile.Target, top reconcile.Toplevel, ok bool) {
	if d.checkout != "" || s.Manifest.Mode == reconcile.ManifestOff {
		return t, "", false
	}
	opts := sourceOptions(s)
	opts.Dir = d.work
	p, err := manifestPort{r, source.NewFetcher(opts), s.Manifest, manifestSigners(s)}.Plan(ctx, rev, nil)
	switch {
	case err != nil && d.only(s):
		d.fail("manifest", err)
	case err != nil:
		d.warn("manifest", "%v", err)
	default:
		d.ok("manifest", "%s, signed by %s", p.Manifest.Place, p.Manifest.Signer)
	}
	return p.Target, p.Toplevel, err == nil
}
