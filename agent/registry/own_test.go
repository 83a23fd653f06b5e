package registry

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/infra-agent/infra-agent/agent/strict"
	"github.com/infra-agent/infra-agent/reconcile"
)

// TestOwnPart resolves random registries read whole, and by the parts that a node needs.
func TestOwnPart(t *testing.T) {
	names := []string{"web-01", "web-010", "WEB-01", "db.x", "x"}
	rapid.Check(t, func(t *rapid.T) {
		name := func(label string) string { return rapid.SampledFrom(names).Draw(t, label) }
		var text strings.Builder
		text.WriteString("schema = 1\n[roles.r]\nwave = \"w\"\n")
		for i, n := range rapid.SliceOfNDistinct(rapid.SampledFrom(names), 1, 5, rapid.ID).Draw(t, "nodes") {
			fmt.Fprintf(&text, "[nodes.%q]\n", n)
			if rapid.Bool().Draw(t, "hostname") {
				fmt.Fprintf(&text, "hostname = %q\n", name("hostname"))
			}
			if rapid.Bool().Draw(t, "alias") {
				fmt.Fprintf(&text, "aliases = [\n  \"\\u0077eb-01\", '''%s''']\n", name("alias"))
			}
			fmt.Fprintf(&text, "roles = [\"r\"] # [nodes.y]\nmeta = \"\"\"\n[nodes.z]\n\"\"\"\n[nodes.%q.checks.c%d]\nkind = \"unit\"\nunit = \"a.service\"\n", n, i)
		}
		r := named(name("short"), "")
		if rapid.Bool().Draw(t, "set") {
			r = named("nixos", "")
			r.Node = name("node")
		}
		resolved := func(read reader) (reconcile.Target, string) {
			got, err := r.registered(read)
			if err != nil {
				return got, err.Error()
			}
			return got, ""
		}
		whole, err := strict.Parse("f", []byte(text.String()))
		if err != nil {
			t.Fatal(err)
		}
		want, wantErr := resolved(ofValues(whole))
		got, gotErr := resolved(ofText("f", text.String()))
		if diff := gocmp.Diff(want, got); diff != "" || gotErr != wantErr {
			t.Fatalf("error %q, want %q; target (-want +got):\n%s", gotErr, wantErr, diff)
		}
	})
}

// TestMistakesOfOthersDoNotHoldThisNode, whatever the registry is and however its
// tables are written. Those that nobody could read do.
func TestMistakesOfOthersDoNotHoldThisNode(t *testing.T) {
	for _, text := range []string{
		"[nodes.vm]\n[nodes.other]\nvmid = 'vm'\n[nodes.vm-01]\nrolez = ['vm']",
		"[nodes.other]\ndepends_on = ['vm']\nkind = 'lxc'\n[nodes.vm]",
		"[nodes]\nvm = {}\nother = {vmid = 'x', checks = {vm = {kind = 'ping'}}}",
		"nodes = {vm = {}, other = {rolez = 1}}",
		"nodes.other.vmid = 'x'\nnodes.other.rolez = 1\nnodes.vm.tags = []",
		"[nodes.vm]\n[nodes.other.checks.up]\nkind = 'x'\n[nodes.other]\nhostname = 1\naliases = 'vm'\n[nodes.third]\naliases = [1]",
		"[nodes.vm]\n[nodes]\nother = 1",
	} {
		if got, err := resolve(t, named("vm", ""), "schema = 1\n"+text); err != nil || got.Node != "vm" {
			t.Errorf("Resolve of\n%s\n%+v, %v, want node vm", text, got, err)
		}
	}
	values := valued(t, "infraAgent.registry", `{"schema": 1, "nodes": {"vm": {}, "other": {"vmid": "vm", "rolez": 1}, "third": 1}}`)
	if got, err := named("vm", "").Resolve(t.Context(), t.TempDir(), values); err != nil || got.Node != "vm" {
		t.Errorf("Resolve of a value: %+v, %v, want node vm", got, err)
	}
	for text, want := range map[string]string{
		"schema = 1\n[nodes.vm]\n[nodes.other]\nvmid = 1\nvmid = 2":             "infrastructure.toml:5:1: Key 'nodes.other.vmid' has already been defined.",
		"schema = 1\n[nodes.vm]\n[nodes.other]\nmeta = {bought = 2021-01-01}":   "infrastructure.toml:4:9: nodes.other.meta.bought: dates and times are not supported",
		"schema = 1\n[nodes.vm]\n[nodes.other]\nvmid = 'x'\naliases = ['vm']":   `the host name "vm" fits several nodes: other, vm`,
		"schema = 2\n[nodes.other]":                                             "schema: this version reads schema 1, not 2",
		"schema = 1\n[roles.a]\nrollback = 1\n[nodes.other]\nvmid = 'x'":        "roles.a.rollback: want one of auto, hold, never, got an integer",
		"schema = 1\n[fleet]\nname = 1\n[nodes.vm]\nvmid = 'x'\n[nodes.x]\ny=1": "fleet.name: want a string, got an integer\ninfrastructure.toml:5:1: nodes.vm.vmid: want an integer, got a string",
	} {
		_, err := resolve(t, named("vm", ""), text)
		wantRefused(t, err, want)
	}
}

// TestProblemsThatConcernANode: a tool that reads the whole file finds for a node what
// the node finds, which reads its own part.
func TestProblemsThatConcernANode(t *testing.T) {
	for _, text := range []string{
		"schema = 1\n[nodes.vm]\n[nodes.vm-01]\nrolez = []\n[nodes.\"vm.x\"]\nkind = 'x'\n[nodes.other]\nvmid = 'x'\nchecks = {up = {kind = 'ping'}}",
		"schema = 1\n[nodes.vm]\nvmid = 'x'\nkind = 'y'\n[nodes.other]\nvmid = 'x'",
		"schema = 1\n[nodes.vm]\n[nodes.other]\nmeta = {bought = 2021-01-01}\nkind = 'x'",
		"schema = 2\nx = 1\n[fleet]\nname = 1\n[roles.nodes]\nwave = 1\n[nodes.vm.proxy]\nport = 'x'\n[nodes.other]\nkind = 'x'",
		"schema = 1\nnodes = 1",
		"schema = 1\nnodesx = 1\nnodes.vm.tags = [1]",
		"schema = 1\n[nodes.vm]\nreason = \"\\u0000\"\n[nodes.other]\ntags = [\"\\u0000\"]",
	} {
		_, all := Read("infrastructure.toml", []byte(text))
		var got []string
		for _, p := range Concerning("vm", all) {
			got = append(got, p.String())
		}
		want := ""
		if _, err := resolve(t, named("vm", ""), text); err != nil {
			want = err.Error()
		}
		if got := strings.Join(got, "\n"); got != want {
			t.Errorf("problems that concern vm in\n%s\nare\n%s\nwant what the agent says:\n%s", text, got, want)
		}
	}
}

// long is a registry of 10,000 nodes, about 5 MB.
func long() string {
	var text strings.Builder
	text.WriteString("schema = 1\n[fleet]\ndomain = \"example.org\"\n[roles.web.checks.up]\nkind = \"tcp\"\ntarget = \"{address}:80\"\n")
	for i := range 10000 {
		fmt.Fprintf(&text, `[nodes.web-%05d]
system = "x86_64-linux"
roles = ["web", "monitoring-client"]
tags = ["infra", "web"]
address = "10.%d.%d.%d"
vmid = %d
wave = "rest" # %d
window = ["Mon..Fri 02:00-05:00 Europe/Berlin"]
meta = { rack = "a%d", bought = "2024-01-01", serial = "0123456789abcdef0123456789abcdef", contact = "ops@example.org" }
[nodes.web-%05d.proxy]
port = 3000
subdomains = ["www%d"]
[nodes.web-%05d.checks.local]
kind = "http"
target = "http://{address}:3000/health"
within = "2m"
`, i, i>>16, i>>8&255, i&255, 100+i, i, i%50, i, i, i)
	}
	return text.String()
}

// A longCase is one way to ask for a node of a long registry.
type longCase struct {
	name    string
	node    string // "web-07321" when empty
	rewrite func(registry string) string
	source  Source // TOML when empty
	refused string
}

var longCases = []longCase{
	{name: "table"},
	{name: "not in the registry", node: "mail", refused: "unregistered"},
	{name: "others depend on it", rewrite: func(text string) string {
		return strings.ReplaceAll(text, "wave =", "depends_on = [\"web-07321\"]\nwave =")
	}},
	{name: "part of the names of others", rewrite: func(text string) string { return text + "[nodes.web]\naddress = \"10.9.9.9\"\nroles = [\"web\"]\n" }, node: "web"},
	{name: "mistake of its own", rewrite: func(text string) string {
		return strings.Replace(text, "[nodes.web-07321]", "[nodes.web-07321]\nrolez = []", 1)
	}, refused: "nodes.web-07321.rolez: unknown key"},
	{name: "mistakes of all others", rewrite: func(text string) string {
		return strings.ReplaceAll(strings.ReplaceAll(text, "wave =", "wafe ="), "wafe = \"rest\" # 7321\n", "")
	}},
	{name: "a date of another", rewrite: func(text string) string { return text + "[nodes.last]\nmeta = 2021-01-01\n" }, refused: "nodes.last.meta: dates and times"},
	{name: "host names", rewrite: func(text string) string {
		return strings.ReplaceAll(text, "tags =", "hostname = \"x\"\naliases = [\"y\", \"z\"]\ntags =")
	}},
	{name: "inline tables", rewrite: inline},
	{name: "value of the flake", source: Nix},
	{name: "foreign TOML", source: Map},
}

// inline writes every node in one line.
func inline(text string) string {
	var b strings.Builder
	before, nodes, _ := strings.Cut(text, "[nodes.")
	b.WriteString(before + "[nodes]\n")
	for node := range strings.SplitSeq("[nodes."+nodes, "[nodes.web-") {
		name, body, _ := strings.Cut(node, "]\n")
		body = strings.TrimSpace(regexp.MustCompile("(?m) # .*$").ReplaceAllString(body, ""))
		_, part, isPart := strings.Cut(name, ".")
		body = strings.ReplaceAll(body, "\n", ", ")
		switch {
		case node == "":
		case isPart:
			fmt.Fprintf(&b, ", %s = { %s }", part, body)
		default:
			fmt.Fprintf(&b, "%sweb-%s = { %s", map[bool]string{true: " }\n"}[name != "00000"], name, body)
		}
	}
	return b.String() + " }\n"
}

// in writes the registry of a case, and returns how to resolve its node.
func (c longCase) in(t testing.TB, text string) func() error {
	t.Helper()
	if c.rewrite != nil {
		text = c.rewrite(text)
	}
	dir, r := t.TempDir(), named(cmp.Or(c.node, "web-07321"), "")
	r.Source = cmp.Or(c.source, TOML)
	r.Mapping = Mapping{Nodes: "nodes", Roles: "roles", System: "system", ManagedWhen: "!appliance"}
	if err := os.WriteFile(filepath.Join(dir, "infrastructure.toml"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	var value []byte
	if c.source == Nix {
		value = asJSON(t, text)
	}
	f := Flake{Value: func(context.Context, string) ([]byte, error) { return value, nil }}
	return func() error {
		got, err := r.Resolve(t.Context(), dir, f)
		switch {
		case c.refused != "":
			wantRefused(t, err, c.refused)
		case c.source == Map && (err != nil || len(got.Roles) != 2), c.source != Map && (err != nil || !slices.ContainsFunc(got.Checks, func(c reconcile.Check) bool { return c.Name == "up" })):
			return fmt.Errorf("Resolve = %+v, %w", got, err)
		}
		return nil
	}
}

func asJSON(t testing.TB, text string) []byte {
	t.Helper()
	var values map[string]any
	if _, err := toml.Decode(text, &values); err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(values)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestMemoryOfALongRegistry(t *testing.T) {
	most := uint64(100 << 20)
	if raceDetector {
		most += most / 4
	}
	text := long()
	for _, c := range longCases {
		t.Run(c.name, func(t *testing.T) {
			resolve := c.in(t, text)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			err := resolve()
			runtime.ReadMemStats(&after)
			if err != nil {
				t.Error(err)
			}
			if spent := after.TotalAlloc - before.TotalAlloc; spent > most {
				t.Errorf("one node of 10,000 takes %d bytes of memory, want at most %d", spent, most)
			}
		})
	}
}

// BenchmarkResolve resolves one node of 10,000, whose registry has 5 MB.
func BenchmarkResolve(b *testing.B) {
	text := long()
	for _, c := range longCases {
		b.Run(c.name, func(b *testing.B) {
			resolve := c.in(b, text)
			b.ReportAllocs()
			for b.Loop() {
				if err := resolve(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
