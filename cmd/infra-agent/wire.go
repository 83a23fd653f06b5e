package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/infra-agent/infra-agent/agent"
	"github.com/infra-agent/infra-agent/agent/command"
	"github.com/infra-agent/infra-agent/agent/config"
	"github.com/infra-agent/infra-agent/agent/guard"
	"github.com/infra-agent/infra-agent/agent/health"
	"github.com/infra-agent/infra-agent/agent/nix"
	"github.com/infra-agent/infra-agent/agent/registry"
	"github.com/infra-agent/infra-agent/agent/signature"
	"github.com/infra-agent/infra-agent/agent/source"
	"github.com/infra-agent/infra-agent/agent/system"
	"github.com/infra-agent/infra-agent/reconcile"
)

// node is the part of the wiring that outlives a change of settings.
type node struct {
	system *system.Node
	boot   reconcile.BootID
	self   string
	store  agent.Store
	path   string // of the settings file
	given  credentials
	log    *slog.Logger
}

// ports wires the adapters as the settings say.
func (n node) ports(s config.Settings) agent.Ports {
	nx := nixOf(s)
	nx.Run = func(ctx context.Context, c command.Command) ([]byte, error) { return n.system.Run(ctx, "nix", c) }
	check := func(ctx context.Context, c command.Command) ([]byte, error) { return n.system.Run(ctx, "check", c) }
	manifests := newManifestPort(s, source.NewFetcher(n.sourceOptions(s)), nx)
	return agent.Ports{
		Source:    sourcePort{source.NewFetcher(n.sourceOptions(s)), n.log, new(logged)},
		Registry:  registryPort{resolver(s), nx, identity(s), manifests},
		Manifests: manifests,
		Nix:       nx,
		Links:     n.system,
		Units:     n.system,
		Switch:    n.system,
		Programs:  n.system,
		Guard:     &guard.Client{Place: guard.Dir(s.StateDir), Boot: n.boot, TrialUnits: system.TrialUnits},
		Health: healthPort{&health.Prober{
			UnitState: n.system.ActiveState, Program: check, FileProgram: []string{n.self, look, lookAtFile}, LookAtFile: n.system.LookAtFile,
		}, nx, s, n.log},
		Store:    n.store,
		Follower: followPort{path: n.path, settings: s, self: n.self, system: n.system, given: n.given},
	}
}

func nixOf(s config.Settings) *nix.Nix {
	args, settings := s.Nix.Arguments()
	return &nix.Nix{
		Roots: filepath.Join(s.StateDir, "roots"), Subdir: s.Source.Subdir, File: nix.File{Path: s.Nix.File, Attr: s.Nix.Attr},
		Impure: s.Nix.Impure, Overrides: s.Nix.OverrideInputs, ExtraArgs: args, Settings: settings,
		Credentials: nix.Credentials{
			Netrc: s.Nix.NetrcFile, AccessTokens: s.Nix.AccessTokensFile, SSHKey: s.Nix.SSHKeyFile, KnownHosts: s.Nix.KnownHostsFile, SSHConfig: s.Nix.SSHConfigFile,
			Home: filepath.Join(s.RunDir, "nix"),
		},
		HideRev: !s.Source.ExposeRevision, Memory: uint64(s.Limits.EvaluateMemory),
	}
}

func policy(s config.Settings) reconcile.Policy {
	l := s.Limits
	return reconcile.Policy{
		Limits: reconcile.Limits{
			Fetch: l.Fetch, Evaluate: l.Evaluate, Build: l.Build, Activate: l.Activate,
			Promote: l.Promote, Rollback: l.Rollback, VerifyRollback: l.VerifyRollback,
		},
		Confirm: reconcile.Confirm{
			Settle: s.Confirm.Settle, Window: s.Confirm.Window, Deadline: s.Confirm.Deadline,
			DeadlineMax: s.Confirm.DeadlineMax, Targets: s.Confirm.Targets, IgnoreUnits: s.Confirm.IgnoreUnits,
		},
		Rollback: s.Rollback, LastResort: s.LastResort, Observe: s.Mode == config.ModeObserve, Checks: s.Checks, HeldAfter: s.Notify.HeldAfter,
		Manifests: reconcile.Manifests{Mode: s.Manifest.Mode, Wait: s.Manifest.Wait},
	}
}

// sourceOptions has fetches run as units where systemd has started the agent.
func (n node) sourceOptions(s config.Settings) source.Options {
	o := sourceOptions(s)
	if os.Getenv("NOTIFY_SOCKET") != "" {
		o.Unit = n.fetchUnit(s.Limits.Fetch)
	}
	return o
}

func sourceOptions(s config.Settings) source.Options {
	o := source.Options{
		Branches: branches(s), Interval: s.Source.Interval, Dir: filepath.Join(s.StateDir, "source"),
		Limits: source.Limits{
			TreeBytes: int64(s.Limits.TreeBytes), TreeEntries: s.Limits.TreeEntries, FetchBytes: int64(s.Limits.FetchBytes),
			Fetch: s.Limits.Fetch,
		},
		Trust: source.Trust{
			Policy: s.Trust.Policy,
			Files: signature.Files{
				AllowedSigners: s.Trust.AllowedSignersFile, Keyring: s.Trust.OpenPGPKeyringFile, Revocation: s.Trust.RevocationFile,
			},
			Authorizations: s.Trust.Authorizations, Introduction: s.Trust.Introduction,
		},
		Checkout: source.Checkout{
			RefuseEncrypted: s.Source.Encrypted == config.EncryptedRefuse, Submodules: source.Submodules(s.Source.Submodules), LFS: s.Source.LFS,
		},
		Child: []string{"/proc/self/exe", fetchChild},
	}
	for _, r := range s.Source.Remotes {
		o.Remotes = append(o.Remotes, source.Remote{
			Name: r.Name, URL: r.URL, Username: r.Username, TokenFile: r.TokenFile, SSHKeyFile: r.SSHKeyFile,
			KnownHostsFile: r.KnownHostsFile, CAFile: r.CAFile, Timeout: r.Timeout,
		})
	}
	for _, h := range s.Source.Hosts {
		o.Checkout.Hosts = append(o.Checkout.Hosts, source.Remote{
			Name: h.Host, Username: h.Username, TokenFile: h.TokenFile, SSHKeyFile: h.SSHKeyFile, KnownHostsFile: h.KnownHostsFile, CAFile: h.CAFile,
		})
	}
	return o
}

// fetchUnit runs fetches as units of their own.
func (n node) fetchUnit(limit time.Duration) *source.Unit {
	unit := &source.Unit{Dir: system.FetchDir, Run: func(ctx context.Context, c source.UnitCall) ([]byte, error) {
		return n.system.Fetch(ctx, system.FetchUnit{
			Exec: []string{n.self, fetchChild}, Credentials: c.Copies, Limit: limit, Writes: c.Writes, Stdin: c.Stdin, Stderr: c.Stderr,
		})
	}}
	for _, name := range []string{"http_proxy", "https_proxy", "all_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE"} {
		if value := os.Getenv(name); value != "" {
			unit.Env = append(unit.Env, name+"="+value)
		}
	}
	return unit
}

// nodeName is what the branch "release-{name}" is called after, before any
// registry could be read: the setting, or the hostname.
func nodeName(s config.Settings) string {
	if s.Node != "" {
		return s.Node
	}
	short, _ := hostnames()
	return short
}

// branches are those that the settings follow under the node's name of now.
func branches(s config.Settings) source.Branches {
	name := nodeName(s)
	return source.Branches{Branch: s.Source.BranchOf(name), Testing: s.Source.TestingOf(name)}
}

func resolver(s config.Settings) registry.Resolver {
	r, m := s.Registry, s.Registry.Map
	return registry.Resolver{
		Branch: s.Source.BranchOf(nodeName(s)), Subdir: s.Source.Subdir,
		Source: registry.Source(r.Source), File: r.File, Attr: r.Attr,
		Mapping: registry.Mapping{Nodes: m.Nodes, Roles: m.Roles, System: m.System, Hostname: m.Hostname, ManagedWhen: m.ManagedWhen},
		Node:    s.Node, Configuration: s.Nix.Configuration, System: nixSystem(), Beside: signersInTree(s),
	}
}

type registryPort struct {
	registry.Resolver
	nix       *nix.Nix
	identity  string // see [reconcile.Newcomer]
	manifests manifestPort
}

func (p registryPort) Resolve(ctx context.Context, rev reconcile.Revision) (reconcile.Target, error) {
	p.Hostname, p.FQDN = hostnames() // a system may change them
	return p.Resolver.Resolve(ctx, rev.Tree, p.flake(rev))
}

// ResolveAs knows what the host name of n leads to where n's settings find the node in the
// same way as these.
func (p registryPort) ResolveAs(ctx context.Context, rev reconcile.Revision, n reconcile.Newcomer) (t reconcile.Target, known bool, err error) {
	if n.Identity != p.identity {
		return t, false, nil
	}
	p.Hostname, p.FQDN = splitName(n.HostName)
	flake := p.flake(rev)
	if p.manifests.settings.Mode == reconcile.ManifestOnly || !strings.HasPrefix(rev.Tree, "/nix/store/") { // by the name that the node has now
		p.manifests.Hostname, p.manifests.FQDN = hostnames()
		flake = p.manifests.lazily(reconcile.Plan{From: reconcile.Fetched{Revision: rev}}).flake()
	}
	t, err = p.Resolver.Resolve(ctx, rev.Tree, flake)
	return t, true, err
}

// identity tells how settings find the node in the registry.
func identity(s config.Settings) string {
	text, err := json.Marshal(resolver(s)) // plain data
	return fmt.Sprint(string(text), err)
}

func (p registryPort) flake(rev reconcile.Revision) registry.Flake {
	return registry.Flake{
		Outputs: func(ctx context.Context) ([]string, error) { return p.nix.Configurations(ctx, rev) },
		Value:   func(ctx context.Context, attr string) ([]byte, error) { return p.nix.Value(ctx, rev, attr) },
	}
}

// hostnames returns the short hostname and the full one.
func hostnames() (short, full string) {
	name, err := os.Hostname()
	if err != nil {
		return "", ""
	}
	return splitName(name)
}

func splitName(name string) (short, full string) {
	short, _, dotted := strings.Cut(name, ".")
	if !dotted {
		name = ""
	}
	return short, name
}

// nixSystem is Nix's name for this machine; "" where it is not known, and nothing is
// refused for it.
func nixSystem() string { return nixSystemOf(runtime.GOARCH) }

func nixSystemOf(arch string) string {
	name := map[string]string{
		"amd64": "x86_64", "arm64": "aarch64", "386": "i686", "riscv64": "riscv64", "loong64": "loongarch64", "ppc64le": "powerpc64le", "s390x": "s390x",
	}[arch] // of the kinds of arm, the program does not know which it runs on
	if name == "" {
		return ""
	}
	return name + "-linux"
}

type healthPort struct {
	*health.Prober
	nix      *nix.Nix
	settings config.Settings
	log      *slog.Logger
}

func (healthPort) Answered(ctx context.Context, targets []string) map[string]bool {
	return health.Answered(ctx, targets)
}

// DefaultTargets names the hosts that a node needs to be mended by a push.
func (p healthPort) DefaultTargets(ctx context.Context) []string {
	var urls []string
	for _, r := range p.settings.Source.Remotes {
		urls = append(urls, r.URL)
	}
	substituters, err := p.nix.Substituters(ctx)
	if err != nil {
		p.log.Warn("connectivity targets", "err", err)
	}
	return health.DefaultTargets(append(urls, substituters...))
}
