package strict

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// TestPart leaves out of every entry all that is not wanted, but for what first names
// it, in each way to write a table.
func TestPart(t *testing.T) {
	const text = "x = 1\n[n.a] # n.a\nkeep = 'a'\nother = \"\"\"\n[n.z]\n\"\"\" # more\n[n.a.table]\nkeep = 1\n[n.b.table]\nfirst = 1\n[n.b]\nother = 1\n" +
		"[n.keep.keep]\nother = 1\n[m.a]\nother = 1\n[n]\nc = {other = [1,\n2], keep = [1, 2], x = 1}\nd.other = 1\nd.third = 2\nd.keep = 3\n[[n.e]]\nother = 1\n"
	const want = "map[m:map[a:map[other:1]] n:map[a:map[keep:a] b:map[table:map[first:1]] c:map[keep:[1 2]] d:map[keep:3 other:1] e:[map[other:1]] " +
		"keep:map[keep:map[other:1]]] x:1]"
	var asked []string
	part := &Part{Table: []string{"n"}, Wanted: func(entry, key string) bool {
		asked = append(asked, entry+"."+key)
		return key == "keep"
	}}
	d, err := ParsePart("f", text, part)
	if err != nil || d.Err() != nil {
		t.Fatal(err, d.Err())
	}
	if got := fmt.Sprint(d.root); got != want {
		t.Errorf("ParsePart:\n%s\nwant\n%s", got, want)
	}
	if want := strings.Fields("a.keep a.other a.table b.other c.other c.keep c.x d.third d.keep"); !reflect.DeepEqual(asked, want) {
		t.Errorf("asked for %q, want %q", asked, want)
	}
	if line, column := d.Position("n.c.keep"); line != 19 || column != 5 {
		t.Errorf("n.c.keep is at %d:%d, want 19:5", line, column)
	}
	// What is wrong elsewhere is wrong with the file.
	for text, want := range map[string]string{
		"[n.a]\nother = 2021-01-01":                 "f:2:1: n.a.other: dates and times are not supported (write it as a string)",
		"[n.a]\nother = {a = [inf]}":                "f:2:15: n.a.other.a[0]: inf and nan are not supported",
		"[n.a]\nother = 9223372036854775808":        "f:2:1: n.a.other: 9223372036854775808 does not fit 64 bits",
		"[n.a]\n[n.a.other]\n_x = 1":                "f:3:1: n.a.other._x: Nix gives keys that start with _, and outPath, a meaning of their own (choose another name)",
		"[n.a]\nother = \"\"\"\\u0000\"\"\"":        "f:2:1: n.a.other: holds a NUL character, at which Nix ends a string (remove it)",
		"[n.a]\nother = x\n":                        `f:2:9: expected value but found "x" instead (write "x": a text is in quotes)`,
		"[n.a]\nother.x = 1\n[n.a.other]":           "f:3:1: adds to n.a.other, which is complete where it is written: TOML, and Nix, refuse that (write all of it in one place)",
		"[n.a]\nother = 1\nother = 2\n":             "f:3:1: Key 'n.a.other' has already been defined.",
		"[n.a]\nother = [[[[[[[[]]]]]]]]\n_y = 1\n": "f:2:15: nested more than 8 levels deep",
	} {
		d, err := ParsePart("f", text, &Part{Table: []string{"n"}, Wanted: func(string, string) bool { return false }})
		if err == nil {
			err = d.Err()
		}
		if err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}
