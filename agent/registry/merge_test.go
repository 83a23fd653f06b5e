package registry

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/infra-agent/infra-agent/reconcile"
)

func TestMerging(t *testing.T) {
	const registry = `
schema = 1
[fleet]
domain = "example.org"

[roles.base]
implied = true
wave = "rest"
rollback = "hold"
[roles.base.checks]
sshd = {kind = "unit", unit = "sshd.service"}
time = {kind = "unit", unit = "chronyd.service"}

[roles.dns]
implies = ["resolver"]
wave = "infra"
[roles.dns.checks]
port = {kind = "tcp", target = "{address}:53"}
sshd = {kind = "unit", unit = "sshd.socket"}

[roles.resolver.checks]
port = {kind = "tcp", target = "{address}:5353"}
page = {kind = "http", target = "https://{node}.{domain}/"}

[nodes.dns-01]
roles = ["dns", "undefined"]
address = "2001:db8::1"
environment = "production"
rollback = "never"
[nodes.dns-01.checks]
time = false
absent = false
own = {kind = "exec", command = ["/bin/true"], required = false}

[nodes.plain]
`
	got, err := resolve(t, here(), registry)
	if err != nil {
		t.Fatal(err)
	}
	checks := map[string]string{}
	for _, c := range got.Checks {
		checks[c.Name] = c.Unit + c.Target + strings.Join(c.Command, " ")
	}
	want := map[string]string{
		"own": "/bin/true", "page": "https://dns-01.example.org/", "port": "[2001:db8::1]:53", "sshd": "sshd.socket",
	}
	if diff := cmp.Diff(want, checks); diff != "" {
		t.Errorf("checks (-want +got):\n%s", diff)
	}
	got.Checks, got.Warnings = nil, nil
	if diff := cmp.Diff(reconcile.Target{
		Node: "dns-01", Configuration: "dns-01", Roles: []reconcile.Role{"base", "dns", "resolver", "undefined"},
		Wave: "infra", Environment: "production", Rollback: reconcile.RollbackNever,
	}, got); diff != "" {
		t.Errorf("target (-want +got):\n%s", diff)
	}
	reordered := strings.Replace(registry, `["dns", "undefined"]`, `["dns", "base"]`, 1)
	if got, err := resolve(t, here(), reordered); err != nil || got.Wave != "rest" {
		t.Errorf("wave = %q, %v, want rest: of a node's own roles the later is stronger, implied or not", got.Wave, err)
	}
	got, err = resolve(t, named("plain", ""), registry)
	if err != nil || got.Wave != "rest" || got.Rollback != reconcile.RollbackHold || len(got.Checks) != 2 {
		t.Errorf("Resolve of a node without roles = %+v, %v, want what base gives", got, err)
	}
}

func TestPlaceholderWithoutValue(t *testing.T) {
	for _, word := range []string{"address", "domain"} {
		_, err := resolve(t, here(), "schema = 1\n[nodes.dns-01.checks.a]\nkind = \"tcp\"\ntarget = \"{"+word+"}:1\"")
		wantRefused(t, err, "check a of node dns-01: it needs {"+word+"}, which the registry does not give (hint: ")
	}
	_, err := resolve(t, here(), "schema = 1\n[nodes.dns-01.checks]\na = {kind = \"tcp\", target = \"{address}:1\"}\nb = {kind = \"dns\", target = \"{domain}\"}")
	wantRefused(t, err, "check a of node dns-01: ", "check b of node dns-01: ")
}

func TestFill(t *testing.T) {
	values := placeholders{"address": "2001:db8::1", "node": "n", "domain": ""}
	for _, c := range []struct{ target, want, left string }{
		{"{address}:53", "[2001:db8::1]:53", ""},
		{"[{address}]:53", "[2001:db8::1]:53", ""},
		{"http://{address}/{node}?{node}", "http://[2001:db8::1]/n?n", ""},
		{"{other}:1", "{other}:1", "{other}"},
		{"{domain}", "{domain}", "{domain}"},
	} {
		got, left := values.fill(reconcile.Check{Target: c.target})
		if got.Target != c.want || left != c.left {
			t.Errorf("fill(%q) = %q, %q, want %q, %q", c.target, got.Target, left, c.want, c.left)
		}
	}
	given := reconcile.Check{
		Unit: "web@{node}.service", Path: "/srv/{node}", Contains: "{\"host\": \"{node}\", \"at\": \"{address}\"}",
		Command: []string{"/bin/probe", "{address}", "http://{address}/{node}", "{print $1}"},
	}
	want := reconcile.Check{
		Unit: "web@n.service", Path: "/srv/n", Contains: "{\"host\": \"n\", \"at\": \"2001:db8::1\"}",
		Command: []string{"/bin/probe", "2001:db8::1", "http://[2001:db8::1]/n", "{print $1}"},
	}
	if got, left := values.fill(given); !cmp.Equal(got, want) || left != "" || given.Command[1] != "{address}" {
		t.Errorf("fill (-want +got), %q is left over:\n%s", left, cmp.Diff(want, got))
	}
	if _, left := values.fill(reconcile.Check{Command: []string{"/bin/probe", "--of={domain}"}}); left != "{domain}" {
		t.Errorf("fill of a command leaves %q over, want {domain}", left)
	}
	got, _ := values.fill(reconcile.Check{Server: "{address}:53", Answer: "{address}"})
	if got.Server != "[2001:db8::1]:53" || got.Answer != "2001:db8::1" {
		t.Errorf("fill of server and answer = %q, %q, want the address with and without brackets", got.Server, got.Answer)
	}
	for _, c := range []struct{ argument, want, left string }{
		{"--listen={address}:1", "--listen=[2001:db8::1]:1", ""},
		{"--from={address}", "--from=2001:db8::1", ""},
		{"echo ${node} %{node} {node}", "echo ${node} %{node} n", ""}, // the shell's own, and curl's
		{"awk '{print $1} {next} {mode}'", "awk '{print $1} {next} {mode}'", ""},
		{"ping {addrss}", "ping {addrss}", "{addrss}"},
	} {
		if got, left := values.fill(reconcile.Check{Command: []string{c.argument}}); got.Command[0] != c.want || left != c.left {
			t.Errorf("fill(%q) = %q, %q, want %q, %q", c.argument, got.Command[0], left, c.want, c.left)
		}
	}
	own := placeholders{"address": "{node}", "node": "{domain}", "domain": "d"}
	for range 20 { // in whatever order a map is
		if got, _ := own.fill(reconcile.Check{Target: "{address} {node} [{domain}]"}); got.Target != "{node} {domain} [d]" {
			t.Fatalf("fill with values that look like placeholders = %q, want them as they are", got.Target)
		}
	}
}

func TestWarnings(t *testing.T) {
	got, err := resolve(t, here(), "schema = 1\n[roles.monitoring]\n[nodes.dns-01]\nroles = [\"monitoringg\", \"other\"]\ndepends_on = [\"x\"]\n[nodes.x]\nroles = [\"monitorin\"]\n")
	want := []string{`role "monitoringg" is not defined (hint: did you mean "monitoring"?)`, "no effect in this version of the agent: depends_on"}
	if diff := cmp.Diff(want, got.Warnings); diff != "" || err != nil {
		t.Errorf("Warnings, %v (-want +got):\n%s", err, diff)
	}
}

// TestAddressThatIsNone: a word for no address is none.
func TestAddressThatIsNone(t *testing.T) {
	const node = "schema = 1\n[nodes.dns-01]\naddress = \"Unknown\"\n"
	got, err := resolve(t, here(), node)
	if diff := cmp.Diff([]string{`the address "Unknown" is none: checks cannot use it`}, got.Warnings); diff != "" || err != nil {
		t.Errorf("Warnings, %v (-want +got):\n%s", err, diff)
	}
	_, err = resolve(t, here(), node+"checks.a = {kind = \"tcp\", target = \"{address}:1\"}")
	wantRefused(t, err, "check a of node dns-01: it needs {address}, which the registry does not give")
}

func TestRolesMayImplyEachOther(t *testing.T) {
	got, err := resolve(t, here(), "schema = 1\n[roles.a]\nimplies = [\"b\"]\n[roles.b]\nimplies = [\"a\"]\n[nodes.dns-01]\nroles = [\"a\"]\n")
	if diff := cmp.Diff([]reconcile.Role{"a", "b"}, got.Roles); diff != "" || err != nil {
		t.Errorf("Roles, %v (-want +got):\n%s", err, diff)
	}
}

// TestMergeLaws merges random layers and judges each check and word by the
// strongest layer that mentions it.
func TestMergeLaws(t *testing.T) {
	names := []string{"a", "b", "c"}
	rapid.Check(t, func(t *rapid.T) {
		layer := func(label string) Checks {
			all := Checks{}
			for _, name := range names {
				switch rapid.IntRange(0, 2).Draw(t, label+name) {
				case 1:
					all[name] = nil
				case 2:
					all[name] = &reconcile.Check{
						Name: name, Kind: reconcile.CheckUnit, Unit: label + ".service",
						Interval: 5 * time.Second, Timeout: 5 * time.Second, Successes: 1,
					}
				}
			}
			return all
		}
		word := func(label string) string { return rapid.SampledFrom([]string{"", label}).Draw(t, "wave "+label) }
		f := &File{Roles: map[string]Role{
			"implied": {Implied: true, Checks: layer("implied"), Wave: word("implied")},
			"weak":    {Checks: layer("weak"), Wave: word("weak")},
			"strong":  {Implies: []string{"weak"}, Checks: layer("strong"), Wave: word("strong")},
		}}
		n := Node{Roles: []string{"strong"}, Checks: layer("node"), Wave: word("node")}
		if rapid.Bool().Draw(t, "listed too") {
			n.Roles = []string{"weak", "strong"}
		}
		got, err := f.target("n", n)
		if err != nil {
			t.Fatal(err)
		}
		strongestFirst := []Checks{n.Checks, f.Roles["strong"].Checks, f.Roles["weak"].Checks, f.Roles["implied"].Checks}
		var want []reconcile.Check
		for _, name := range names {
			for _, layer := range strongestFirst {
				if check, mentioned := layer[name]; mentioned {
					if check != nil {
						want = append(want, *check)
					}
					break
				}
			}
		}
		if diff := cmp.Diff(want, got.Checks); diff != "" {
			t.Fatalf("checks (-want +got):\n%s", diff)
		}
		waves := []string{n.Wave, f.Roles["strong"].Wave, f.Roles["weak"].Wave, f.Roles["implied"].Wave, ""}
		if i := slices.IndexFunc(waves, func(s string) bool { return s != "" }); i >= 0 && got.Wave != waves[i] {
			t.Fatalf("wave = %q, want %q", got.Wave, waves[i])
		}
		if !slices.IsSorted(got.Roles) || len(got.Roles) != len(slices.Compact(slices.Clone(got.Roles))) {
			t.Fatalf("roles = %v, want them sorted and each once", got.Roles)
		}
		again, err := f.target("n", n)
		if diff := cmp.Diff(got, again); diff != "" || err != nil {
			t.Fatalf("merging again, %v (-first +second):\n%s", err, diff)
		}
	})
}

// FuzzParse: no panic, and every node of an accepted file resolves or is refused
// with a reason.
func FuzzParse(f *testing.F) {
	for _, name := range []string{"infrastructure.toml", "all.toml"} {
		f.Add(readFile(f, "testdata/"+name))
	}
	f.Add("schema = 1\n[roles.a]\nimplies = ['a']\n[nodes.b]\nroles = ['a', 'a']\nchecks.c = false")
	f.Fuzz(func(t *testing.T, text string) {
		parsed, err := Parse("fuzz", []byte(text))
		if err != nil {
			if err.Error() == "" {
				t.Fatal("an error without a text")
			}
			return
		}
		for _, name := range slices.Sorted(maps.Keys(parsed.Nodes)) {
			target, err := parsed.target(name, parsed.Nodes[name])
			if gate, _ := reconcile.RejectedBy(err); err != nil && gate != reconcile.GateIdentity {
				t.Fatalf("target of %s: %v, want it rejected for identity", name, err)
			}
			for _, c := range target.Checks {
				if problems := c.Problems(); problems != nil {
					t.Fatalf("check %s of %s: %v", c.Name, name, problems)
				}
			}
		}
	})
}

// FuzzJSON: no panic, and what is wrong has a reason.
func FuzzJSON(f *testing.F) {
	f.Add(`{"schema": 1, "": 1, "nodes": {"a": {"roles": [null, 1e400], "meta": [null]}}, "roles": {"r": {"checks": {"c": null}}}}`)
	f.Add(`{"schema": 1, "nodes": {"a": null, "a": []}} x`)
	f.Fuzz(func(t *testing.T, text string) {
		if file, problems := Read("f.json", []byte(text)); file == nil && (problems == nil || problems[0].Text == "") {
			t.Fatalf("%v: no registry, and no reason", problems)
		}
		d, err := document("f.json", []byte(text))
		if err != nil {
			return
		}
		if file, err := decodeOwn(d, "a"); file == nil && (err == nil || err.Error() == "") {
			t.Fatalf("%v: no registry of a node, and no reason", err)
		}
	})
}
