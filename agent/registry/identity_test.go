package registry

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/infra-agent/infra-agent/reconcile"
)

// here is a machine called dns-01.example.org.
func here() Resolver {
	return Resolver{Source: Auto, Branch: "main", File: "infrastructure.toml", Attr: "infraAgent.registry", Hostname: "dns-01", FQDN: "dns-01.example.org", System: "x86_64-linux"}
}

// named sets the machine's names.
func named(short, fqdn string) Resolver {
	r := here()
	r.Hostname, r.FQDN = short, fqdn
	return r
}

// flake is one that has these outputs, and no registry.
func flake(names ...string) Flake {
	return Flake{
		Outputs: func(context.Context) ([]string, error) { return names, nil },
		Value:   func(context.Context, string) ([]byte, error) { return nil, nil },
	}
}

// never is for revisions whose flake need not be evaluated.
func never(t *testing.T) Flake {
	return Flake{
		Outputs: func(context.Context) ([]string, error) {
			t.Error("the outputs were listed, which costs an evaluation")
			return nil, nil
		},
		Value: func(_ context.Context, attr string) ([]byte, error) {
			t.Errorf("%s was evaluated", attr)
			return nil, nil
		},
	}
}

// wantRefused checks that err is rejected for identity, and that its text says
// each of words.
func wantRefused(t testing.TB, err error, words ...string) {
	t.Helper()
	if gate, _ := reconcile.RejectedBy(err); gate != reconcile.GateIdentity {
		t.Errorf("error %v: gate %q, want %q", err, gate, reconcile.GateIdentity)
		return
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("error %q does not say %q", err, word)
		}
	}
}

func TestIdentityWithoutRegistry(t *testing.T) {
	set := named("nixos", "")
	set.Node = "web-01"
	configured := named("nixos", "")
	configured.Configuration = "web-01"
	both := named("nixos", "")
	both.Node, both.Configuration = "frontend", "web-01"
	for _, c := range []struct {
		name     string
		resolver Resolver
		outputs  []string
		node     string
		output   string
		refused  string
	}{
		{name: "short name", resolver: here(), outputs: []string{"web-01", "dns-01"}, node: "dns-01"},
		{name: "long name", resolver: here(), outputs: []string{"web-01", "dns-01.example.org"}, node: "dns-01.example.org"},
		{name: "short before long", resolver: here(), outputs: []string{"dns-01.example.org", "dns-01"}, node: "dns-01"},
		{name: "no output", resolver: here(), outputs: nil, refused: "the flake has no nixosConfigurations (hint: is source.subdir right?)"},
		{name: "no such output", resolver: here(), outputs: []string{"mail"}, refused: `this machine, "dns-01", is unregistered: it is not an output of nixosConfigurations (hint: add nixosConfigurations."dns-01", or set node in the agent's settings)`},
		{name: "near name", resolver: here(), outputs: []string{"dns-1"}, refused: `(hint: did you mean "dns-1"? If not, add nixosConfigurations."dns-01", or set node in the agent's settings)`},
		{name: "its neighbour", resolver: here(), outputs: []string{"dns-02", "dns-11"}, refused: `(hint: add nixosConfigurations."dns-01", or set node in the agent's settings)`},
		{name: "prefix", resolver: here(), outputs: []string{"dns-01-new"}, refused: "unregistered"},
		{name: "the only one", resolver: here(), outputs: []string{"installer"}, refused: "unregistered"},
		{name: "two differ in case", resolver: here(), outputs: []string{"DNS-01", "Dns-01"}, refused: "fits several nodes when case is ignored: DNS-01, Dns-01"},
		{name: "nixos", resolver: named("nixos", "nixos.example.org"), outputs: []string{"nixos", "nixos.example.org"}, refused: `the host name "nixos" belongs to every machine`},
		{name: "NixOS", resolver: named("NixOS", ""), outputs: []string{"NixOS"}, refused: `the host name "NixOS" belongs to every machine`},
		{name: "localhost", resolver: named("localhost", ""), outputs: []string{"localhost"}, refused: `the host name "localhost"`},
		{name: "no name", resolver: named("", ""), outputs: []string{""}, refused: `the host name ""`},
		{name: "no long name", resolver: named("a", ""), outputs: []string{""}, refused: "unregistered"},
		{name: "node set", resolver: set, outputs: []string{"nixos", "web-01"}, node: "web-01"},
		{name: "node set, no output", resolver: set, outputs: []string{"nixos", "wbe-01"}, refused: `"web-01", set by the operator, is not an output of nixosConfigurations (hint: did you mean "wbe-01"? If not, correct it in the agent's settings, or add nixosConfigurations."web-01")`},
		{name: "configuration set", resolver: configured, outputs: []string{"nixos", "web-01"}, node: "web-01"},
		{name: "both set", resolver: both, outputs: []string{"web-01"}, node: "frontend", output: "web-01"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := c.resolver.Resolve(t.Context(), t.TempDir(), flake(c.outputs...))
			if c.refused != "" {
				wantRefused(t, err, c.refused)
				return
			}
			if c.output == "" {
				c.output = c.node
			}
			want := reconcile.Target{Node: c.node, Configuration: c.output}
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Errorf("Resolve: %v (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestCaseIsIgnoredWithAWarning(t *testing.T) {
	got, err := here().Resolve(t.Context(), t.TempDir(), flake("DNS-01", "web-01"))
	if err != nil || got.Node != "DNS-01" || len(got.Warnings) != 1 || !strings.Contains(got.Warnings[0], "differ in case") {
		t.Errorf("Resolve = %+v, %v, want DNS-01 with a warning", got, err)
	}
}

func TestOutputsThatCannotBeListed(t *testing.T) {
	broken := errors.New("syntax error in flake.nix")
	f := flake()
	f.Outputs = func(context.Context) ([]string, error) { return nil, broken }
	_, err := here().Resolve(t.Context(), t.TempDir(), f)
	if _, rejected := reconcile.RejectedBy(err); !errors.Is(err, broken) || rejected {
		t.Errorf("Resolve: %v, want the error as the evaluation classified it", err)
	}
}

func TestIdentityInTheRegistry(t *testing.T) {
	const registry = `
schema = 1
[nodes.dns-01]
[nodes.Web]
hostname = "web-01"
aliases = ["www"]
[nodes."build01.example.org"]
hostname = "builder"
configuration = "build01"
[nodes.twin-1]
aliases = ["twin"]
[nodes.twin-2]
hostname = "twin"
`
	set := named("nixos", "")
	set.Node = "Web"
	alias := named("nixos", "")
	alias.Node = "www"
	another := here()
	another.Node = "something"
	output := here()
	output.Configuration = "special"
	for _, c := range []struct {
		name     string
		resolver Resolver
		node     string
		output   string
		refused  string
	}{
		{name: "name", resolver: here(), node: "dns-01", output: "dns-01"},
		{name: "hostname", resolver: named("web-01", ""), node: "Web", output: "Web"},
		{name: "alias", resolver: named("www", ""), node: "Web", output: "Web"},
		{name: "long name", resolver: named("build01", "build01.example.org"), node: "build01.example.org", output: "build01"},
		{name: "two matches", resolver: named("twin", ""), refused: `the host name "twin" fits several nodes: twin-1, twin-2`},
		{name: "unregistered", resolver: named("mail", "mail.example.org"), refused: `this machine, "mail", is unregistered: it is not in the registry (hint: add [nodes.mail], or set node in the agent's settings)`},
		{name: "nixos", resolver: named("nixos", ""), refused: "belongs to every machine"},
		{name: "node set", resolver: set, node: "Web", output: "Web"},
		{name: "alias set", resolver: alias, refused: `"www", set by the operator, is not in the registry (hint: correct it in the agent's settings, or add [nodes.www])`},
		{name: "another set", resolver: another, refused: `"something", set by the operator, is not in the registry (hint: correct it in the agent's settings, or add [nodes.something])`},
		{name: "configuration set", resolver: output, node: "dns-01", output: "special"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := resolve(t, c.resolver, registry)
			if c.refused != "" {
				wantRefused(t, err, c.refused)
				return
			}
			if err != nil || got.Node != c.node || got.Configuration != c.output {
				t.Errorf("Resolve = %s, %s, %v, want %s, %s", got.Node, got.Configuration, err, c.node, c.output)
			}
		})
	}
	got, err := resolve(t, named("WWW", ""), registry)
	if err != nil || got.Node != "Web" || len(got.Warnings) != 1 {
		t.Errorf("Resolve of WWW = %+v, %v, want Web with a warning", got, err)
	}
}

func TestNodesThatAreLeftAlone(t *testing.T) {
	for _, c := range []struct{ name, node, want string }{
		{"unmanaged", "managed = false", "node dns-01 is unmanaged: the registry says managed = false (hint: remove that to have the agent deploy here, or disable the agent)"},
		{"template", "kind = \"template\"", "node dns-01 is unmanaged: the registry says kind = \"template\" (hint: give a machine made of it a host name and a table of its own)"},
		{"other system", "system = \"aarch64-linux\"", "node dns-01 is aarch64-linux in the registry, and this machine is x86_64-linux"},
		{"branch", "branch = \"testing\"", "the registry says that node dns-01 follows branch testing, and the agent follows main (hint: set source.branch in its settings)"},
		{"branch by its full name", "branch = \"refs/heads/main\"", "follows branch refs/heads/main, the full name of a ref (hint: write \"main\")"},
		{"branch with its name", "branch = \"release-{name}\"", "follows branch release-dns-01, and the agent follows main"},
		{"conflict", "roles = [\"a\"]\n[roles.a]\nimplies = [\"b\"]\n[roles.b]\nconflicts = [\"a\"]", "node dns-01 has the roles b and a, which conflict"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := resolve(t, here(), "schema = 1\n[nodes.dns-01]\n"+c.node)
			wantRefused(t, err, c.want)
			other := "schema = 1\n[nodes.web-01]\n" + c.node + "\n[nodes.dns-01]\n"
			if _, err := resolve(t, here(), other); err != nil {
				t.Errorf("said of another node it refuses this one: %v", err)
			}
		})
	}
	for fleet, want := range map[string]string{
		"branch = \"release\"": "follows branch release", "subdir = \"nix\"": "the registry says that the flake is in nix, and the agent uses",
	} {
		_, err := resolve(t, here(), "schema = 1\n[fleet]\n"+fleet+"\n[nodes.dns-01]\n")
		wantRefused(t, err, want)
	}
	if _, err := resolve(t, here(), "schema = 1\n[fleet]\nbranch = \"main\"\nsubdir = \".\"\n[nodes.dns-01]\nbranch = \"main\"\nmanaged = true\nhold = false\nsystem = \"x86_64-linux\""); err != nil {
		t.Errorf("a managed node of the right system: %v", err)
	}
}
