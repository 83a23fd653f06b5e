package convention

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestDefaultTables holds the tables to what the conventions say, written by hand.
func TestDefaultTables(t *testing.T) {
	tables := Default()
	var prefixes []string
	for _, p := range tables.Naming.Prefixes {
		prefixes = append(prefixes, p.ID)
		if p.Label == "" || p.Category == "" || len(p.VMID) == 0 {
			t.Errorf("prefix %s: %+v, want label, category and ranges", p.ID, p)
		}
		for _, id := range p.VMID {
			if tables.VMID.named(id) == nil {
				t.Errorf("prefix %s: there is no range %s", p.ID, id)
			}
		}
	}
	const want = "dns dhcp fw proxy mon backup nfs git ldap vpn build " +
		"web app db cache mail ci docker k8s mqtt nas san store archive plex ha cam media pi"
	if diff := cmp.Diff(strings.Fields(want), prefixes); diff != "" || len(prefixes) != 29 {
		t.Errorf("%d prefixes (-want +got):\n%s", len(prefixes), diff)
	}
	for _, same := range tables.Naming.Same {
		for _, p := range same.Prefixes {
			if tables.Naming.prefix(p) == nil && p != "hass" {
				t.Errorf("same: %s is not listed", p)
			}
		}
	}
	type span struct {
		ID       string
		From, To int
	}
	var classes []span
	for _, c := range tables.VMID.Classes {
		classes = append(classes, span{c.ID, c.From, c.To})
	}
	if diff := cmp.Diff([]span{
		{"system", 1, 99}, {"production", 100, 999}, {"template", 1000, 1999}, {"development", 2000, 2999}, {"temporary", 9000, 9999},
	}, classes); diff != "" {
		t.Errorf("classes (-want +got):\n%s", diff)
	}
	next := 100
	for _, r := range tables.VMID.Ranges {
		if next == 3000 {
			next = 9000
		}
		if r.From != next || r.Label == "" || r.Group == "" {
			t.Errorf("range %+v, want one from %d with label and group", r, next)
		}
		next = r.To + 1
	}
	if n := len(tables.VMID.Ranges); n != 55 || next != 10000 {
		t.Errorf("%d ranges up to %d, want 55 up to 9999", n, next-1)
	}
}

func TestOwnTablesAreJudged(t *testing.T) {
	const format = "schema = 1\n[format]\npattern = '^(?P<purpose>[a-z]+)(?P<nn>[0-9]{3})$'\n"
	naming := func(data []byte) error { _, err := ParseNaming("f", data); return err }
	vmid := func(data []byte) error { _, err := ParseVMID("f", data); return err }
	const class = "schema = 1\n[[class]]\nid = 'a'\nfrom = 100\nto = 199\npolicy = 'allow'\n"
	for _, c := range []struct {
		name  string
		parse func([]byte) error
		text  string
		want  string
	}{
		{"good names", naming, format, ""},
		{"no schema", naming, format[len("schema = 1\n"):], "f:1:1: schema: this version reads schema 1, not 0 (write schema = 1)"},
		{"no groups", naming, "schema = 1\n[format]\npattern = 'x'", "f:3:1: format.pattern: it needs the groups purpose and nn (write (?P<purpose>…) and (?P<nn>…))"},
		{"bad pattern", naming, "schema = 1\n[format]\nmode = 'strict'\nstrict = '('", "f:4:1: format.strict: error parsing regexp: missing closing ): `(`"},
		{"mode", naming, format + "mode = 'lax'", `f:4:1: format.mode: "lax" is none of default, strict`},
		{"numbers", naming, format + "first = 2\nlast = 1", "f:2:1: format: digits and length are 1 or more, and first is not after last"},
		{"prefix twice", naming, format + "[[prefix]]\nid = 'a'\n[[prefix]]\nid = 'a'", `f:6:1: prefix[1]: its id "a" is empty or given twice`},
		{"empty key", naming, format + "\"\" = 1", `f:4:1: format."": unknown key (known here: digits, environments, first, last, length, mode, pattern, reserved, strict)`},
		{"empty key at top level", naming, "\"\" = 1\n" + format, `f:1:1: "": unknown key (known here: format, prefix, same, schema)`},
		{"unknown key", naming, format + "[[prefix]]\nid = 'a'\nlabl = ''", `f:6:1: prefix[0].labl: unknown key (did you mean "label"?)`},
		{"good ids", vmid, class + "[[range]]\nid = 'r'\nclass = 'a'\nfrom = 100\nto = 199\npolicy = 'allow'", ""},
		{"class policy", vmid, "schema = 1\n[[class]]\nid = 'a'\npolicy = 'x'", `f:4:1: class[0].policy: "x" is none of allow, forbid, template-only, allow-ephemeral`},
		{"range policy", vmid, class + "[[range]]\nid = 'r'\nclass = 'a'\nfrom = 100\nto = 199\npolicy = 'forbid'", `f:12:1: range[0].policy: "forbid" is none of allow, reserved`},
		{"outside", vmid, class + "[[range]]\nid = 'r'\nclass = 'a'\nfrom = 190\nto = 200\npolicy = 'allow'", `f:7:1: range[0]: r, 190-200, is not inside of the class "a"`},
		{"overlap", vmid, class + "[[class]]\nid = 'b'\nfrom = 199\nto = 300\npolicy = 'allow'", "f:7:1: class[1]: b, 199-300, and a, 100-199, overlap"},
		{"backwards", vmid, class + "[[class]]\nid = 'b'\nfrom = 400\nto = 300\npolicy = 'allow'", "f:7:1: class[1]: b: 400 is after 300"},
		{"twice", vmid, class + "[[class]]\nid = 'a'\nfrom = 200\nto = 300\npolicy = 'allow'", `f:7:1: class[1]: its id "a" is empty or given twice`},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := c.parse([]byte(c.text))
			if got := fmtError(err); got != c.want {
				t.Errorf("parse:\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

func fmtError(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// TestOwnTablesRule: a fleet's own names and ids replace the default ones.
func TestOwnTablesRule(t *testing.T) {
	naming, err := ParseNaming("n", []byte("schema = 1\n[format]\nmode = 'strict'\npattern = 'x'\nstrict = '^(?P<purpose>[a-z][a-z0-9]*)-(?P<nn>[0-9]{3})$'\ndigits = 3\nlength = 9\n[[prefix]]\nid = 'starr'\n[[prefix]]\nid = 's3'"))
	if err != nil {
		t.Fatal(err)
	}
	f := Input{Name: "f", Tables: Tables{Naming: naming, VMID: Default().VMID}}.validate("[nodes.starr-001]\n[nodes.starr-x-002]\n[nodes.dns1]\n[nodes.s3]")
	if got, want := of("N003", f), `3:1 warn nodes.starr-x-002: "starr-x-002" has a purpose of several words (write starrx-002)
4:1 warn nodes.dns1: "dns1" is not PURPOSE-NN, such as dns-01 (write dns-001, or keep it with naming = { exempt = true, reason = "why" })
5:1 warn nodes.s3: "s3" is not PURPOSE-NN, such as dns-01 (write s3-001, or keep it with naming = { exempt = true, reason = "why" })`; got != want {
		t.Errorf("N003:\n%s\nwant\n%s", got, want)
	}
	if got := of("N004", f); got != "" {
		t.Errorf("N004 of a listed prefix: %s", got)
	}
	if got, want := of("N010", f), "3:1 info nodes.starr-x-002: the name has more than 9 characters (a shorter name is easier to type and to read)"; got != want {
		t.Errorf("N010: %s, want %s", got, want)
	}
}
