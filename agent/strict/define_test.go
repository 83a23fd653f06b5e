package strict

import "testing"

// TestTablesAreWrittenOnce has the verdicts of Nix 2.26; nixos-module's tests ask Nix
// itself. The TOML library takes all of them.
func TestTablesAreWrittenOnce(t *testing.T) {
	const complete = ", which is complete where it is written: TOML, and Nix, refuse that (write all of it in one place)"
	for _, c := range []struct{ text, want string }{
		{"a.b = 1\n[a]\nc = 1", "f:2:1: adds to a" + complete},
		{"[b]\nc.d = 1\n[b.c]\ne = 1", "f:3:1: adds to b.c" + complete},
		{"[a]\nb.c.d = 1\n[a.b.c]\nf = 1", "f:3:1: adds to a.b.c" + complete},
		{"a.\"b\".c = 1\n['a'.b]", "f:2:1: adds to a.b" + complete},
		{"[a.b]\n[a]\nb.c = 1", "f:3:1: adds to a.b" + complete},
		{"[a.b.c]\n[a]\nb.d = 1", "f:3:1: adds to a.b" + complete},
		{"[[a.b]]\n[a]\nb.c = 1", "f:3:1: adds to a.b" + complete},
		{"[[a]]\nb.c = 1\n[a.b]", "f:3:1: adds to a[0].b" + complete},
		{"a = {}\n[a.b]", "f:2:1: adds to a" + complete},
		{"a = {b = 1}\n[[a.c]]", "f:2:1: adds to a" + complete},
		{"[x]\na = {}\n[x.a.b]", "f:3:1: adds to x.a" + complete},
		{"a = { b = 1 }\na.c = 2", "f:2:1: adds to a" + complete},
		{"a.b = {c = 1}\na.b.d = 1", "f:2:1: adds to a.b" + complete},
		{"a = []\na.b = 1", "f:2:1: adds to a" + complete},
		{"x = {a = {c = 1}, a.b = 1}", "f:1:19: adds to x.a" + complete},

		{"[a.b.c]\n[a.b]\ny = 1\n[a]\nz = 1", ""},
		{"a.b = 1\na.c = 1\n[a.d]\n[[a.e]]", ""},
		{"[a]\nb.c.d = 1\n[a.b.e]\n[a.b.c.f]", ""},
		{"[[a]]\nb.c = 1\nb.d = 2\n[[a]]\nb.c = 1\n[a.e]\n[[a]]\n[a.e]", ""},
		{"[[a.b]]\n[a]\nc = 1", ""},
		{"a.b = {c = 1}\na.d = 1", ""},
		{"x = {a.b = 1, a.c = {d = 1}}\ny = [{a.b = 1}, {a.b = 2}]", ""},
	} {
		d, err := Parse("f", []byte(c.text))
		if err != nil {
			t.Errorf("%q is no case: the library refuses it: %v", c.text, err)
			continue
		}
		got := ""
		if err := d.Err(); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%q: %q, want %q", c.text, got, c.want)
		}
	}
}
