package strict

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
)

// TestLines gives lines by hand for each way to write a key.
func TestLines(t *testing.T) {
	const text = `a = 1 # [x]
b.c = """
[not] = "a key"
""" # two
"q.k" = [
  1, # one
  [2, 3],
  {m = 1, n.o = "}"},
]
[t.u]
v = 'it''s' # is refused by TOML, but must not confuse the scan
[[l]]
x = 1
[l.sub]
y = 2
[[l]]
[l.sub]
y = 3
`
	// Up to two quotes before the closing three belong to the text.
	const quotes = "a = '''x''''\nb = 1"
	offsets := map[Path]int{}
	if scan(quotes, nil, offsets); offsets["b"] != strings.Index(quotes, "b") {
		t.Errorf("offsets of %q = %v, want b at its place", quotes, offsets)
	}
	offsets = map[Path]int{}
	if found := scan(text, nil, offsets); found.deep != -1 || found.problems != nil {
		t.Fatalf("scan = %+v, want nothing amiss", found)
	}
	for at, want := range map[Path]int{
		"a": 1, "b": 2, "b.c": 2, `"q.k"`: 5, `"q.k"[0]`: 6, `"q.k"[1]`: 7, `"q.k"[1][1]`: 7, `"q.k"[2].n.o`: 8,
		"t": 10, "t.u": 10, "t.u.v": 11, "l": 12, "l[0]": 12, "l[0].x": 13, "l[0].sub.y": 15, "l[1]": 16, "l[1].sub": 17, "l[1].sub.y": 18,
	} {
		offset, ok := offsets[at]
		if got := 1 + strings.Count(text[:offset], "\n"); !ok || got != want {
			t.Errorf("line of %s = %d (found: %t), want %d", at, got, ok, want)
		}
	}
	if _, ok := offsets["not"]; ok {
		t.Error("found a key inside of a string")
	}
}

// sure holds that a scan without doubt is of TOML, and that a part has what the whole has.
func sure(t *testing.T, text string) {
	if found := scan(text, nil, nil); found.doubt == nil && found.deep < 0 {
		if _, err := toml.Decode(edited(text, found.patches...), new(map[string]any)); err != nil {
			t.Fatalf("%q is no TOML, and the scan is sure: %v", text, err)
		}
	}
	whole, err := Parse("f", []byte(text))
	part, errOfPart := ParsePart("f", text, &Part{Table: []string{"a"}, Wanted: func(_, key string) bool { return key == "c" }})
	if (err == nil) != (errOfPart == nil) || err == nil && fmt.Sprint(whole.Err()) != fmt.Sprint(part.Err()) {
		t.Fatalf("of %q a part is %v, %v; the whole %v, %v", text, errOfPart, part.Err(), err, whole.Err())
	}
	if err == nil {
		has(t, "", whole.root, part.root)
	}
}

// has compares what is wanted, and the names of the entries.
func has(t *testing.T, at string, whole, part map[string]any) {
	for key, v := range whole {
		got, ok := part[key]
		if !ok && (strings.Count(at, ".") != 2 || key == "c") {
			t.Fatalf("the part lacks %s.%s", at, key)
		}
		inner, isTable := v.(map[string]any)
		if of, ok := got.(map[string]any); ok && isTable {
			has(t, at+"."+strings.ReplaceAll(key, ".", "-"), inner, of)
		} else if ok && !reflect.DeepEqual(v, got) {
			t.Fatalf("%s.%s is %v in the part, and %v in the whole", at, key, got, v)
		}
	}
}

// FuzzParse: no panic, no hang, and every value of an accepted file has a line.
func FuzzParse(f *testing.F) {
	f.Add("a = 1\n[[l]]\nb.c = [{d = 'x'}, \"\"\"y\"\"\"]")
	f.Add("\"\\u0041\" = {a.b = [1, 2,], c = 0x1f}")
	f.Add("\b\b\b\b") // the library's place of the error is outside of the text
	f.Add("\"\" = 1\n[\"\"]\n'' = 1")
	f.Add("[ a . 'b' ]\nc = '''\n'''''")
	f.Add("[a.b]\nc = 1\nd = 2\n[a.b.e]\n[[a.f]]\nc = 1\n[a]\ng = {c = 1, d = 2}\nh.c = 1\nh.d = 2\n'i'.'c' = \"\\U0001F600\"")
	f.Fuzz(func(t *testing.T, text string) {
		d, err := Parse("f", []byte(text))
		if err != nil {
			if e, ok := errors.AsType[*Error](err); !ok || len(e.Problems) == 0 || e.Problems[0].Line < 1 {
				t.Fatalf("Parse: %v, want problems with a line", err)
			}
			return
		}
		sure(t, d.src)
		everyValueHasALine(t, d, "", d.root)
	})
}

func everyValueHasALine(t *testing.T, d *Document, at Path, v any) {
	d.Position(at)
	if _, ok := d.offsets[at]; !ok && at != "" {
		t.Fatalf("no line for %s in %q", at, d.src)
	}
	switch v := v.(type) {
	case map[string]any:
		for key, child := range v {
			everyValueHasALine(t, d, at.Child(key), child)
		}
	case []map[string]any:
		for i, child := range v {
			everyValueHasALine(t, d, at.Elem(i), child)
		}
	case []any:
		for i, child := range v {
			everyValueHasALine(t, d, at.Elem(i), child)
		}
	}
}
