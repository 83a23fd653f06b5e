package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/infra-agent/infra-agent/agent/config"
	"github.com/infra-agent/infra-agent/agent/control"
	"github.com/infra-agent/infra-agent/agent/nix"
	"github.com/infra-agent/infra-agent/agent/source"
	"github.com/infra-agent/infra-agent/agent/system"
	"github.com/infra-agent/infra-agent/reconcile"
)

func doctorCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "doctor [PATH]",
		Short: "Look at everything that a deployment needs, and say what to do",
		Long: `Look at everything that a deployment needs, and say what to do.

Without PATH it looks at this node as the agent does: settings, Nix, remotes, the
newest commit with its signature, registry, identity, output, secrets, boot. With
PATH, a git checkout, it looks at the checkout instead of the remotes, for every node
of its registry, or with --node for one node and its system. Nothing is changed, and
nothing is built.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			d := doctor{out: c.OutOrStdout()}
			d.config, _ = c.Flags().GetString("config")
			d.node, _ = c.Flags().GetString("node")
			d.runDir, _ = c.Flags().GetString("run-dir")
			if len(args) == 1 {
				path, err := filepath.Abs(args[0])
				if err != nil {
					return err
				}
				d.checkout = path
			}
			return d.examine(c.Context())
		},
	}
	c.Flags().String("node", "", "take this machine for that node")
	return c
}

// A doctor looks at one thing after the other. What one of them needs from an
// earlier one that failed is not looked at: a registry in TOML needs no Nix, a
// system does.
type doctor struct {
	out                            io.Writer
	config, checkout, node, runDir string
	work                           string // directory for what is fetched
	hasSettings                    bool   // of the node, or of one like it
	failed                         int
}

func (d *doctor) ok(what, format string, args ...any)   { d.say("ok", what, format, args...) }
func (d *doctor) warn(what, format string, args ...any) { d.say("warn", what, format, args...) }

func (d *doctor) fail(what string, err error) {
	d.failed++
	d.say("FAIL", what, "%v", err)
}

// say writes one finding; a hint in it gets a line of its own.
func (d *doctor) say(verdict, what, format string, args ...any) {
	const column = "                 "
	text, hint := hinted(strings.ReplaceAll(fmt.Sprintf(format, args...), "\n", "\n"+column))
	if hint != "" {
		text += "\n" + column + "hint: " + hint
	}
	fmt.Fprintf(d.out, "%-4s  %-9s  %s\n", verdict, what, text)
}

// examine looks at everything. The error says how much failed.
func (d *doctor) examine(ctx context.Context) error {
	settings, err := d.settings()
	if err != nil {
		d.fail("settings", err)
		return d.verdict()
	}
	if d.node != "" {
		settings.Node = d.node
	}
	nx := nixOf(settings)
	nixWorks := d.nix(ctx, nx)
	work, err := os.MkdirTemp("", "infra-agent-doctor-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }()
	d.work = work
	if rev, ok := d.revision(ctx, settings, work); ok {
		d.tree(rev, settings)
		d.target(ctx, settings, nx, nixWorks, rev)
	}
	if d.checkout == "" {
		d.machine(ctx, settings)
	}
	return d.verdict()
}

func (d *doctor) verdict() error {
	if d.failed == 0 {
		return nil
	}
	return fmt.Errorf("%d of the above must be mended before a deployment", d.failed)
}

func (d *doctor) settings() (config.Settings, error) {
	settings, err := config.Load(d.config)
	if d.checkout != "" && errors.Is(err, fs.ErrNotExist) {
		d.ok("settings", "there is no %s: the defaults hold", d.config)
		return config.Default(), nil
	}
	if err == nil {
		d.hasSettings = true
		d.ok("settings", "%s", d.config)
	}
	return settings, err
}

// nix reports whether there is one that the agent can use.
func (d *doctor) nix(ctx context.Context, nx *nix.Nix) bool {
	v, err := nx.Version(ctx)
	switch {
	case err != nil:
		d.fail("nix", err)
		return false
	case v.TooOld():
		d.fail("nix", fmt.Errorf("%s is too old (hint: the agent needs Nix 2.18 or newer)", v.Text))
		return false
	}
	d.ok("nix", "%s", v.Text)
	for _, a := range v.Advisories() {
		d.warn("nix", "%s: %s; whoever may use the daemon can become root (hint: upgrade to %s or newer, or make sure that your nixpkgs has patched this one)", a.ID, a.What, a.Fixed(v))
	}
	if !v.Nix {
		d.warn("nix", "not judged: it is not Nix itself, and has advisories of its own")
	}
	return true
}

// revision gets the commit that the agent would get, or takes the checkout.
func (d *doctor) revision(ctx context.Context, s config.Settings, work string) (reconcile.Revision, bool) {
	if d.checkout != "" {
		if !d.isCheckout(ctx, filepath.Join(s.Source.Subdir, s.Registry.File)) {
			return reconcile.Revision{}, false
		}
		d.committed(ctx, s, work)
		return reconcile.Revision{Tree: d.checkout}, true
	}
	opts := sourceOptions(s)
	opts.Dir = work
	answers := ask(ctx, opts)
	for _, remote := range opts.Remotes {
		a := answers[remote.Name]
		if a.Err != nil {
			d.fail("remote", fmt.Errorf("%s: %w", remote.Name, a.Err))
			continue
		}
		d.ok("remote", "%s: branch %s is at %s", remote.Name, opts.Branch, a.Commit.Short())
	}
	for _, remote := range opts.Remotes {
		a := answers[remote.Name]
		if a.Err != nil {
			continue
		}
		fetcher := source.NewFetcher(opts)
		res, err := fetcher.Fetch(ctx, source.Request{Remote: remote.Name, Tip: a.Commit})
		if err != nil {
			d.fail("commit", err)
			return reconcile.Revision{}, false
		}
		d.ok("commit", "%s %s", res.Commit.Short(), signedBy(res, s.Trust.Policy))
		rev := reconcile.Revision{Commit: res.Commit, Time: res.Time, Tree: res.Tree, Warnings: res.Warnings}
		if rev.Hash, err = fetcher.Hash(res); err != nil {
			d.fail("commit", err)
			return rev, false
		}
		return rev, true
	}
	return reconcile.Revision{}, false
}

// signedBy is the commit's subject, and who signed it.
func signedBy(res source.Result, policy reconcile.TrustPolicy) string {
	switch {
	case res.Signer != "":
		return res.Subject + ", signed by " + res.Signer
	case policy != reconcile.TrustNone:
		return res.Subject + ", which trust.introduction names"
	}
	return res.Subject + `, its signature is not asked for (trust.policy = "none")`
}

// ask polls every remote once.
func ask(ctx context.Context, opts source.Options) map[string]source.Poll {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	answers := map[string]source.Poll{}
	poller := source.NewPoller(opts)
	poller.Now()
	poller.Run(ctx, func(p source.Poll) {
		if _, again := answers[p.Remote]; !again {
			answers[p.Remote] = p
		}
		if len(answers) == len(opts.Remotes) {
			cancel()
		}
	})
	return answers
}

// tree looks for what is there for nobody but who pushed it.
func (d *doctor) tree(rev reconcile.Revision, s config.Settings) {
	for _, input := range nix.LocalInputs(filepath.Join(rev.Tree, s.Source.Subdir)) {
		d.warn("inputs", "%s is on the machine that locked it (hint: give it a URL that every node can reach, and lock again)", input)
	}
	for _, w := range rev.Warnings {
		d.warn("files", "%s", w)
	}
	if d.checkout == "" { // its files were looked at when they were fetched
		return
	}
	locked, err := nix.Encrypted(rev.Tree)
	if err != nil {
		d.fail("files", err)
	}
	if len(locked) > 0 {
		d.warn("files", "%d are locked by git-crypt, such as %s (hint: the agent does not decrypt: nothing that Nix evaluates may need them)", len(locked), locked[0])
	}
}

// target resolves the node and evaluates its system.
func (d *doctor) target(ctx context.Context, s config.Settings, nx *nix.Nix, nixWorks bool, rev reconcile.Revision) {
	r := resolver(s)
	if d.checkout != "" { // this machine is not the node
		r.System = ""
		if !d.hasSettings {
			r.Branch = ""
		}
	}
	if d.checkout != "" && s.Node == "" {
		d.everyNode(ctx, s, registryPort{Resolver: r, nix: nx}, rev)
		return
	}
	target, top, named := d.named(ctx, s, r, nx, rev)
	if !named {
		if d.only(s) {
			return
		}
		var err error
		if target, err = (registryPort{Resolver: r, nix: nx}).Resolve(ctx, rev); err != nil {
			d.fail("registry", err)
			return
		}
	}
	d.ok("registry", "node %s, roles %s, %d checks", target.Node, cmp.Or(joined(target.Roles), "none"), len(target.Checks))
	for _, w := range target.Warnings {
		d.warn("registry", "%s", w)
	}
	if target.Hold != "" {
		d.warn("registry", "it holds this node: %s", target.Hold)
	}
	if target.Pin != "" {
		d.warn("registry", "it pins this node to %s", target.Pin)
	}
	if nixWorks && !named {
		var err error
		if _, top, err = nx.Evaluate(ctx, rev, target.Configuration); err != nil {
			d.fail("system", err)
		}
	}
	if top != "" {
		d.ok("system", "%s", top)
	}
	if d.checkout != "" {
		return
	}
	if err := (&system.Node{}).Secrets(ctx, target.Secrets); err != nil {
		d.fail("secrets", err)
	} else if len(target.Secrets) > 0 {
		d.ok("secrets", "%d are there", len(target.Secrets))
	}
}

// machine looks at the links, the record's place and the agent.
func (d *doctor) machine(ctx context.Context, settings config.Settings) {
	switch volatile, err := system.IsVolatile(settings.StateDir); {
	case err != nil:
		d.fail("record", err)
	case volatile:
		d.warn("record", "%s is in memory: a reboot forgets what was accepted, what failed and that the node is suspended (hint: persist it, or set state_dir to a directory that is)", settings.StateDir)
	}
	slots := (&system.Node{}).Slots()
	switch {
	case slots.Running == "":
		d.fail("boot", errors.New("/run/current-system cannot be read: this is not NixOS"))
	case slots.Profile != slots.Running || slots.Default != "" && slots.Default != slots.Running:
		d.warn("boot", "running system, profile and boot default differ (hint: make them agree, or run \"infra-agent adopt\")")
	case slots.Default == "":
		d.warn("boot", "what the boot loader starts cannot be read back, so it is taken to follow the profile")
	default:
		d.ok("boot", "running system, profile and boot default agree")
	}
	s, err := control.Client{RunDir: cmp.Or(d.runDir, settings.RunDir)}.Status(ctx)
	if err != nil {
		d.warn("agent", "%v", err)
		return
	}
	d.ok("agent", "%s, %s", s.Version, s.State)
}
