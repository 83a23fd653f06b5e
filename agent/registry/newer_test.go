package registry

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/infra-agent/infra-agent/agent/strict"
	"github.com/infra-agent/infra-agent/reconcile"
)

// TestANodeReadsNewerRegistries: an agent deploys the commit that brings its successor,
// and the registry that only the successor knows whole. "registry check" passes over nothing.
func TestANodeReadsNewerRegistries(t *testing.T) {
	const left = "left to a newer agent, for this version does not know it: "
	const notRun = " is not run: this version does not know all of it (hint: a newer agent runs it, from its next deployment on)"
	for _, c := range []struct {
		name, text string
		checks     string // that are run
		warnings   []string
	}{
		{name: "table", text: "schema = 1\n[quorum.etcd]\nnodes = ['a']\n[nodes.a]", warnings: []string{left + "quorum"}},
		{name: "keys", text: "schema = 1\n[fleet]\nlocale = 'de'\n[nodes.a]\nslot = 3\nproxy = {port = 1, http3 = true}", warnings: []string{left + "fleet.locale, nodes.a.slot, nodes.a.proxy.http3"}},
		{name: "key of a secret", text: "schema = 1\n[roles.r]\nimplied = true\nsecrets = [{path = '/s', selinux = 'x'}]\n[nodes.a]", warnings: []string{left + "roles.r.secrets[0].selinux"}},
		{name: "of others", text: "schema = 1\n[roles.db]\nslot = 1\n[roles.db.checks.up]\nkind = 'postgres'\n[nodes.a]\n[nodes.b]\nslot = 1\nroles = ['db']"},
		{
			name: "kind of a check", text: "schema = 1\n[roles.r]\nimplied = true\n[roles.r.checks.port]\nkind = 'tcp'\ntarget = 'h:1'\n[roles.r.checks.up]\nkind = 'postgres'\ndatabase = 'x'\n[nodes.a]",
			checks: "port", warnings: []string{"roles.r.checks.up" + notRun},
		},
		{name: "what such a check replaces", text: "schema = 1\n[roles.r.checks.up]\nkind = 'tcp'\ntarget = 'h:1'\n[nodes.a]\nroles = ['r']\n[nodes.a.checks.up]\nkind = 'postgres'\n", warnings: []string{"nodes.a.checks.up" + notRun}},
		{name: "key of a check", text: "schema = 1\n[nodes.a.checks.up]\nkind = 'http'\nheader = {a = 'b'}\nsocket = '/run/x'", warnings: []string{"nodes.a.checks.up" + notRun}},
		{name: "words", text: "schema = 1\n[fleet]\nnaming = 'fatal'\n[nodes.a]\nkind = 'container'\nreboot = 'kexec'", warnings: []string{
			"no effect in this version of the agent: reboot", left + "fleet.naming, nodes.a.kind, nodes.a.reboot",
		}},
		{name: "later schema", text: "schema = 3\nmin_reader = 1\n[nodes.a]\nrole = 'x'", warnings: []string{left + "schema, nodes.a.role"}},
		{name: "reader named in vain", text: "schema = 1\nmin_reader = 1\n[nodes.a]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := resolve(t, named("a", ""), c.text)
			if err != nil {
				t.Fatal(err)
			}
			var checks []string
			for _, check := range got.Checks {
				checks = append(checks, check.Name)
			}
			if diff := cmp.Diff(c.warnings, got.Warnings); diff != "" || strings.Join(checks, " ") != c.checks {
				t.Errorf("checks %q, want %q; warnings (-want +got):\n%s", checks, c.checks, diff)
			}
			_, err = Parse("infrastructure.toml", []byte(c.text))
			if strictly := len(c.warnings) > 0 || c.name == "of others"; (err != nil) != strictly {
				t.Errorf("Parse, which is strict: %v, want an error: %t", err, strictly)
			}
		})
	}
}

// TestWhatNoNodePassesOver: what decides how a node is deployed to must be understood.
func TestWhatNoNodePassesOver(t *testing.T) {
	for text, want := range map[string]string{
		"schema = 1\n[nodes.a]\nmanagd = false":                                           `nodes.a.managd: unknown key (did you mean "managed"?)`,
		"schema = 1\n[nodes.a]\nrollback = 'snapshot'":                                    `nodes.a.rollback: "snapshot" is none of auto, hold, never`,
		"schema = 3\nmin_reader = 1\n[nodes.a]\nrollback = 'snapshot'":                    `nodes.a.rollback: "snapshot" is none of`,
		"schema = 1\nslot = 1\n[nodes.a]\nwindow = ['first Mon 02:00-03:00 UTC']":         `is not a window`,
		"schema = 1\nslot = 1\n[nodes.a.checks.up]\nkind = 'tcp'\ntarget = '{gateway}:1'": `{gateway} stands for nothing`,
		"schema = 1\nslot = 1\n[nodes.a]\npin = 'v1'":                                     `nodes.a.pin: "v1" is not a commit`,
		"schema = 3\n[nodes.a]":                                                           "this version reads schema 1, not 3 (deploy a newer infra-agent first, by a commit whose registry has schema = 1 or min_reader = 1)",
		"schema = 3\nmin_reader = 2\n[nodes.a]":                                           "this version reads schema 1, not 3",
		"schema = 3\nmin_reader = 4\n[nodes.a]":                                           "min_reader: 4 is not between 1 and schema = 3",
		"schema = 1\nmin_reader = -1\n[nodes.a]":                                          "min_reader: -1 is not between 1 and schema = 1",
		"schema = 3\nmin_reader = 1\nx = 2021-01-01\n[nodes.a]":                           "dates and times are not supported",
	} {
		_, err := resolve(t, named("a", ""), text)
		wantRefused(t, err, want)
		if err != nil && strings.Contains(err.Error(), "slot") {
			t.Errorf("%v\nsays what is no mistake of\n%s", err, text)
		}
	}
}

// TestWordsAreUnlike holds new words apart from those of the same table: an older agent
// would take one that is like an old one for a slip of it, and refuse the file. Whoever
// must have one raises the schema, and lists it here.
func TestWordsAreUnlike(t *testing.T) {
	old := []string{"drain", "undrain", "implied", "implies"}
	tables := map[string][]string{}
	for _, typ := range []reflect.Type{
		reflect.TypeFor[File](), reflect.TypeFor[Fleet](), reflect.TypeFor[Waves](), reflect.TypeFor[Role](), reflect.TypeFor[Node](),
		reflect.TypeFor[Proxy](), reflect.TypeFor[Naming](), reflect.TypeFor[reconcile.Check](), reflect.TypeFor[reconcile.Secret](),
	} {
		tables["a "+typ.Name()] = strict.Fields(typ)
	}
	for what, words := range map[string][]string{"naming": levels, "node kinds": kinds, "reboot": reboots} {
		tables[what] = words
	}
	for _, kind := range reconcile.CheckKinds {
		tables["check kinds"] = append(tables["check kinds"], string(kind))
	}
	for what, words := range tables {
		for i, word := range words {
			others := slices.Concat(words[:i], words[i+1:])
			if near := strict.Nearest(word, others); word != "" && near != "" && !slices.Contains(old, word) {
				t.Errorf("%s: %q is like %q", what, word, near)
			}
		}
	}
}
