package registry

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/infra-agent/infra-agent/agent/strict"
	"github.com/infra-agent/infra-agent/reconcile"
)

// resolve resolves with a registry of the given text.
func resolve(t *testing.T, r Resolver, text string) (reconcile.Target, error) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "infrastructure.toml"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return r.Resolve(t.Context(), dir, never(t))
}

// TestDocumentedSample holds the sample of the documentation to what it promises.
func TestDocumentedSample(t *testing.T) {
	text := readFile(t, "testdata/infrastructure.toml")
	got, err := resolve(t, here(), text)
	if err != nil {
		t.Fatal(err)
	}
	check := func(c reconcile.Check) reconcile.Check {
		c.Required, c.Within, c.Interval, c.Timeout, c.Successes = true, 2*time.Minute, 5*time.Second, 5*time.Second, 2
		return c
	}
	want := reconcile.Target{
		Node: "dns-01", Configuration: "dns-01", Roles: []reconcile.Role{"default", "dns", "monitoring-client"}, Wave: "infra",
		Checks: []reconcile.Check{
			check(reconcile.Check{Name: "answers", Kind: reconcile.CheckTCP, Target: "10.10.22.163:53"}),
			check(reconcile.Check{Name: "sshd", Kind: reconcile.CheckUnit, Unit: "sshd.service"}),
		},
		Secrets:  []reconcile.Secret{{Path: "/run/secrets/adguard-home"}},
		Warnings: []string{"no effect in this version of the agent: max_unavailable, wave"},
	}
	if len(got.Windows) != 1 || got.Windows[0].Text != "Mon..Fri 02:00-05:00 Europe/Berlin" {
		t.Errorf("windows = %+v, want the one of the node", got.Windows)
	}
	got.Windows = nil // see TestWindows
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Resolve (-want +got):\n%s", diff)
	}
	_, err = resolve(t, named("truenas", ""), text)
	wantRefused(t, err, "node truenas is unmanaged")
	got, err = resolve(t, named("ofborg-build01", ""), text)
	if err != nil || got.Configuration != "build01.ofborg.org" {
		t.Errorf("Resolve of ofborg-build01 = %+v, %v, want the output build01.ofborg.org", got, err)
	}
}

func TestEveryFieldIsAccepted(t *testing.T) {
	data := readFile(t, "testdata/all.toml")
	if _, err := Parse("all.toml", []byte(data)); err != nil {
		t.Errorf("Parse:\n%v", err)
	}
	for _, typ := range []reflect.Type{
		reflect.TypeFor[Fleet](), reflect.TypeFor[Waves](), reflect.TypeFor[Role](), reflect.TypeFor[Node](),
		reflect.TypeFor[Proxy](), reflect.TypeFor[Naming](), reflect.TypeFor[reconcile.Check](), reflect.TypeFor[reconcile.Secret](),
	} {
		for _, key := range strict.Fields(typ) {
			if key != "" && !regexp.MustCompile(`(?m)(^|[{., ])`+key+`(\.\w+)*( =|\])`).MatchString(data) {
				t.Errorf("testdata/all.toml does not show the key %q of a %s", key, typ.Name())
			}
		}
	}
}

func TestProblems(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"no schema", "[nodes.a]", `infrastructure.toml:1:1: schema: this version reads schema 1, not 0 (write schema = 1; if this file is not meant for infra-agent, set registry.source = "none" in its settings)`},
		{"later schema", "\nschema = 2", `infrastructure.toml:2:1: schema: this version reads schema 1, not 2`},
		{"syntax", "schema = 1\n[nodes", "infrastructure.toml:2:6: "},
		{"unknown key", "schema = 1\n[nodes.a]\naddrss = \"h\"", `infrastructure.toml:3:1: nodes.a.addrss: unknown key (did you mean "address"?)`},
		{"unknown key in a quoted node", "schema = 1\n[nodes.\"a.b\"]\nrole = []", `infrastructure.toml:3:1: nodes."a.b".role: unknown key (did you mean "roles"?)`},
		{"wrong type", "schema = 1\n[nodes.a]\nroles = \"dns\"", "infrastructure.toml:3:1: nodes.a.roles: want a list, got a string"},
		{"role name", "schema = 1\n[nodes.a]\nroles = [\"x\", \"\"]", `infrastructure.toml:3:1: nodes.a.roles: "" is not a name`},
		{"hostname", "schema = 1\n[nodes.a]\nhostname = \"${x}\"", `infrastructure.toml:3:1: nodes.a.hostname: "${x}" is not a name`},
		{"configuration", "schema = 1\n[nodes.a]\nconfiguration = \"a\\\"b\"", `infrastructure.toml:3:1: nodes.a.configuration: "a\"b" is not a name`},
		{"system", "schema = 1\n[nodes.a]\nsystem = \"dell-xps13\"", `infrastructure.toml:3:1: nodes.a.system: "dell-xps13" is not a system such as x86_64-linux`},
		{"address", "schema = 1\n[nodes.a]\naddress = \"10.0.0.1/24\"", `infrastructure.toml:3:1: nodes.a.address: "10.0.0.1/24" is not an address or host name`},
		{"address with a placeholder", "schema = 1\n[nodes.a]\naddress = \"{node}\"", `nodes.a.address: "{node}" is not an address or host name`},
		{"address with a port", "schema = 1\n[nodes.a]\naddress = \"10.0.0.3:22\"", `infrastructure.toml:3:1: nodes.a.address: "10.0.0.3:22" is not an address or host name (write an address such as 10.0.0.3, without a port, or a host name)`},
		{"name with a port", "schema = 1\n[nodes.a]\naddress = \"a.example.org:22\"", `"a.example.org:22" is not an address`},
		{"address out of range", "schema = 1\n[nodes.a]\naddress = \"10.0.0.300\"", `infrastructure.toml:3:1: nodes.a.address: "10.0.0.300" is not an address or host name`},
		{"half an address", "schema = 1\n[nodes.a]\naddress = \"10.0.0.\"", `"10.0.0." is not an address`},
		{"kind", "schema = 1\n[nodes.a]\nkind = \"templat\"", `nodes.a.kind: "templat" is none of vm, metal, cloud, template, appliance`},
		{"rollback", "schema = 1\n[roles.a]\nrollback = \"no\"", `roles.a.rollback: "no" is none of auto, hold, never`},
		{"naming", "schema = 1\n[fleet]\nnaming = \"wran\"", `fleet.naming: "wran" is none of off, info, warn, error`},
		{"check", "schema = 1\n[roles.a.checks.b]\nkind = \"tcp\"\n\ntarget = \"53\"", `infrastructure.toml:5:1: roles.a.checks.b.target: "53" is not host:port`},
		{"check that is true", "schema = 1\n[nodes.a]\nchecks.b = true", "infrastructure.toml:3:1: nodes.a.checks.b: want a table, got true or false"},
		{"placeholder", "schema = 1\n[roles.a.checks.b]\nkind = \"http\"\ntarget = \"http://{addrss}/\"", `infrastructure.toml:2:1: roles.a.checks.b: {addrss} stands for nothing (known are {address}, {domain}, {node})`},
		{"placeholder in a path", "schema = 1\n[roles.a.checks.b]\nkind = \"file\"\npath = \"/srv/{name}\"", `infrastructure.toml:2:1: roles.a.checks.b: {name} stands for nothing (known are {address}, {domain}, {node})`},
		{"placeholder in a command", "schema = 1\n[roles.a.checks.b]\nkind = \"exec\"\ncommand = [\"/bin/ping\", \"{addrss}\"]", `roles.a.checks.b: {addrss} stands for nothing (known are {address}, {domain}, {node})`},
		{"slip of a check's kind", "schema = 1\n[nodes.a.checks.b]\nkind = \"htpt\"", `infrastructure.toml:3:1: nodes.a.checks.b.kind: "htpt" is not supported by this version: want unit, tcp, http, dns, exec, mount, file`},
		{"window", "schema = 1\n[nodes.a]\nwindow = [\"Mon 1:00-2:00 UTC\"]", `infrastructure.toml:3:11: nodes.a.window[0]: "1:00" is not a time of the day such as 02:00`},
		{"pin", "schema = 1\n[nodes.a]\npin = \"v1\"", `infrastructure.toml:3:1: nodes.a.pin: "v1" is not a commit (write 7 to 40 digits of it)`},
		{"reason for nothing", "schema = 1\n[nodes.a]\nreason = \"x\"", `infrastructure.toml:3:1: nodes.a.reason: is a reason for nothing (add hold = true or pin, or remove it)`},
		{"exemption without reason", "schema = 1\n[nodes.a]\nnaming = {exempt = true}", `infrastructure.toml:3:1: nodes.a.naming: an exemption needs a reason (add reason = "…")`},
		{"branch", "schema = 1\n[fleet]\nbranch = \"a..b\"", `infrastructure.toml:3:1: fleet.branch: "a..b" is not the name of a branch`},
		{"subdir", "schema = 1\n[fleet]\nsubdir = \"../x\"", `infrastructure.toml:3:1: fleet.subdir: "../x" is not a path inside the repository`},
		{"secret", "schema = 1\n[roles.a]\nsecrets = [\"x\", {path = \"/y\", mode = \"9\"}]", `infrastructure.toml:3:12: roles.a.secrets[0]: "x" is not an absolute path`},
		{"secret's mode", "schema = 1\n[roles.a]\nsecrets = [{path = \"/y\", mode = \"9\"}]", `infrastructure.toml:3:26: roles.a.secrets[0].mode: "9" is not a mode (write it like "0440")`},
		{"drain", "schema = 1\n[roles.a]\ndrain = [\"kubectl\"]", `infrastructure.toml:3:1: roles.a.drain: does not begin with the absolute path of a program`},
		{"port", "schema = 1\n[nodes.a.proxy]\nport = 70000", `infrastructure.toml:3:1: nodes.a.proxy.port: 70000 is not a port`},
		{"proxy that is true", "schema = 1\n[nodes.a]\nproxy = true", "infrastructure.toml:3:1: nodes.a.proxy: want a table, got true or false (write proxy = { port = 8080 }, or proxied = true)"},
		{"proxied that is a table", "schema = 1\n[nodes.a]\nproxied = {port = 80}", "infrastructure.toml:3:1: nodes.a.proxied: want true or false, got a table (call the table proxy)"},
		{"git-crypt", "\x00GITCRYPT\x00x\xff", "infrastructure.toml:1:1: is locked by git-crypt (the agent does not decrypt: commit the file in the clear)"},
		{"date", "schema = 1\n[nodes.a]\nmeta = {bought = 2024-01-01}", "infrastructure.toml:3:9: nodes.a.meta.bought: dates and times are not supported"},
		{"byte-order mark", "\ufeffschema = 1", "infrastructure.toml:1:1: starts with a byte-order mark"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := resolve(t, named("a", "a.b"), c.text)
			wantRefused(t, err, c.want)
		})
	}
	_, err := resolve(t, named("a b", ""), "schema = 1\n[nodes.\"a b\"]")
	wantRefused(t, err, `infrastructure.toml:2:1: nodes."a b": "a b" is not a name (use letters, digits and . _ -)`)
	_, err = resolve(t, named("a", ""), "schema = 2\nrole = 1\n[nodes.a]\nvmid = \"y\"\nrollback = \"z\"\n")
	wantRefused(t, err, "toml:1:1: schema", "toml:2:1: role", "toml:4:1: nodes.a.vmid", "toml:5:1: nodes.a.rollback")
}

func TestAddresses(t *testing.T) {
	for _, address := range []string{"10.0.0.3", "2001:db8::1", "fe80::1%eth0", "a", "a-1.example.org", "10-0-0-3.example.org"} {
		if _, err := resolve(t, named("a", ""), "schema = 1\n[nodes.a]\naddress = \""+address+"\""); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func TestWhereTheRegistryIs(t *testing.T) {
	const text = "schema = 1\n[nodes.dns-01]\nconfiguration = \"from-the-file\"\n"
	tree, elsewhere := t.TempDir(), t.TempDir()
	for path, content := range map[string]string{
		tree + "/real.toml": text, tree + "/sub/infrastructure.toml": text, elsewhere + "/secret.toml": text, tree + "/dir.toml/x": "",
	} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for link, target := range map[string]string{
		"inside.toml": "real.toml", "outside.toml": elsewhere + "/secret.toml", "climbing.toml": "../" + filepath.Base(elsewhere) + "/secret.toml",
		"dangling.toml": "none.toml", "loop.toml": "loop.toml", "away": elsewhere,
	} {
		if err := os.Symlink(target, filepath.Join(tree, link)); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name, subdir, file string
		source             Source
		want               string // configuration
		refused            string
	}{
		{name: "file", file: "real.toml", source: TOML, want: "from-the-file"},
		{name: "subdir", subdir: "sub", file: "infrastructure.toml", source: Auto, want: "from-the-file"},
		{name: "link inside", file: "inside.toml", source: Auto, want: "from-the-file"},
		{name: "none, although there is a file", file: "real.toml", source: None, want: "dns-01"},
		{name: "auto without a file", file: "none.toml", source: Auto, want: "dns-01"},
		{name: "toml without a file", file: "none.toml", source: TOML, refused: "read the registry none.toml: "},
		{name: "link outside", file: "outside.toml", source: Auto, refused: "read the registry outside.toml: "},
		{name: "link climbing outside", file: "climbing.toml", source: Auto, refused: "read the registry climbing.toml: "},
		{name: "loop", file: "loop.toml", source: Auto, refused: "read the registry loop.toml: "},
		{name: "subdir outside", subdir: "away", file: "secret.toml", source: Auto, refused: "read the registry secret.toml: "},
		{name: "directory", file: "dir.toml", source: Auto, refused: "read the registry dir.toml: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := here()
			r.Source, r.Subdir, r.File = c.source, c.subdir, c.file
			got, err := r.Resolve(t.Context(), tree, flake("dns-01"))
			if c.refused != "" {
				wantRefused(t, err, c.refused)
				return
			}
			if err != nil || got.Configuration != c.want {
				t.Errorf("Resolve = %+v, %v, want %s", got, err, c.want)
			}
		})
	}
}

func readFile(t testing.TB, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
