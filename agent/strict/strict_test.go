package strict

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/infra-agent/infra-agent/reconcile"
)

func TestDecode(t *testing.T) {
	type proxy struct {
		Port int `toml:"port"`
	}
	type file struct {
		Name   string           `toml:"name"`
		On     *bool            `toml:"on"`
		Off    *bool            `toml:"off"`
		Wait   time.Duration    `toml:"wait"`
		Kept   int              `toml:"kept"`
		List   []string         `toml:"list"`
		Tables []proxy          `toml:"tables"`
		ByName map[string]proxy `toml:"by_name"`
		Free   any              `toml:"free"`
		Tagged string           `json:"tagged,omitempty"`
		Hidden string           `json:"-"`
	}
	d, err := Parse("f", []byte("name = \"n\"\non = false\nwait = \"2m\"\nlist = []\ntables = [{port = 1}, {}]\ntagged = \"t\"\n[by_name.\"a.b\"]\nport = 2\n[free]\nx = [1]\n"))
	if err != nil {
		t.Fatal(err)
	}
	got := file{Kept: 7, List: []string{"replaced"}}
	d.Decode(&got)
	want := file{
		Name: "n", On: new(bool), Wait: 2 * time.Minute, Kept: 7, List: []string{}, Tables: []proxy{{1}, {}},
		ByName: map[string]proxy{"a.b": {2}}, Free: map[string]any{"x": []any{int64(1)}}, Tagged: "t",
	}
	if diff := cmp.Diff(want, got); diff != "" || d.Err() != nil {
		t.Errorf("Decode (-want +got):\n%s\nproblems: %v", diff, d.Err())
	}
}

func TestParseRefuses(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"large file", strings.Repeat("#", 16<<20+1), "f:1:1: 16777217 bytes are more than the limit of 16777216"},
		{"deep lists", "\na = " + strings.Repeat("[", 1000), "f:2:13: nested more than 8 levels deep"},
		{"deep inline tables", "a = " + strings.Repeat("{a = ", 1000), "f:1:45: nested more than 8 levels deep"},
		{"long dotted key", "x = 1\n" + strings.Repeat("a.", 1000) + "a = 1", "f:2:1: nested more than 8 levels deep"},
		{"deep header", "[" + strings.Repeat("a.", 1000) + "a]", "f:1:2: nested more than 8 levels deep"},
		{"duplicate key", "a = 1\na = 2", "f:2:1: Key 'a' has already been defined."},
		{"git-crypt", "\x00GITCRYPT\x00\x01\xff", "f:1:1: is locked by git-crypt (the agent does not decrypt: commit the file in the clear)"},
		{"and what is wrong before", "a = 2021-01-01\nb = x\n_c = 1", "f:1:1: a: dates and times are not supported (write it as a string)\nf:2:5: expected value but found \"x\" instead (write \"x\": a text is in quotes)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := Parse("f", []byte(c.text)); err == nil || err.Error() != c.want {
				t.Errorf("Parse: %v\nwant %s", err, c.want)
			}
		})
	}
}

// TestHints: what people write for TOML, and what they are told to write.
// What reads beside its caller panics as the caller would, who recovers it.
func TestBeside(t *testing.T) {
	beside(func() {})()
	defer func() {
		if bug := recover(); bug != "index out of range" {
			t.Errorf("recovered %v", bug)
		}
	}()
	beside(func() { panic("index out of range") })()
	t.Error("it did not panic")
}

func TestHints(t *testing.T) {
	for text, want := range map[string]string{
		"a = x86_64-linux":         `write "x86_64-linux": a text is in quotes`,
		"a = 10.0.0.1":             `write "10.0.0.1": a text is in quotes`,
		"a = two words":            "a text is in quotes, and alone in its line",
		"a = True":                 "write true",
		"a = off":                  "write false",
		"a = \nb = 1":              "write a value after =",
		"a = \"x\nb = 1":           "the closing quote is missing",
		"a = 'x\nb = 1":            "the closing quote is missing",
		"a = \"\"\"x":              "the closing quotes are missing",
		"a \"x\"":                  "write KEY = VALUE",
		"a: 1":                     "write KEY = VALUE, and a key of other characters than letters, digits, _ and - in quotes",
		"[a\nb = 1":                "close the brackets of the header",
		"a = [1\nb = 2]":           "write one comma between two elements",
		"a = [1":                   "close the bracket",
		"a = \"x\" y":              "begin a new line here",
		"a = \"C:\\dir\"":          `write \\ for a backslash, or '…' around the text`,
		"a = 1\na = 2":             "",
		"a = 1\na = 2\nb = [1, x]": "",
	} {
		_, err := Parse("f", []byte(text))
		e, ok := errors.AsType[*Error](err)
		if !ok || len(e.Problems) != 1 || e.Problems[0].Hint != want {
			t.Errorf("%q: %v, want the hint %s", text, err, want)
		}
	}
}

func TestUnportableValuesAreProblems(t *testing.T) {
	d, err := Parse("f", []byte("\ufeffa = 1979-05-27\n[[b]]\nc = [1.5, inf]\n[d]\ne = {f = nan}\n_g = '\\e'\noutPath = 1\n"+
		"h = \"x\\u0000\"\ni = {a = \"\\e\", b = \"\\x41\",}\nj = {a = [1,\n2,], # ,\nb = 1 }\n"+
		"k = [9223372036854775808, 0xFFFFFFFFFFFFFFFF, 1e400]\n\"l\\u0000\" = 07:32:00\nm = 'é\xff'\nn = '\x00'\n"))
	if err != nil {
		t.Fatal(err)
	}
	const want = `f:1:1: starts with a byte-order mark, which Nix and others read differently (save it as plain UTF-8)
f:1:2: a: dates and times are not supported (write it as a string)
f:3:11: b[0].c[1]: inf and nan are not supported
f:5:6: d.e.f: inf and nan are not supported
f:6:1: d._g: Nix gives keys that start with _, and outPath, a meaning of their own (choose another name)
f:7:1: d.outPath: Nix gives keys that start with _, and outPath, a meaning of their own (choose another name)
f:8:1: d.h: holds a NUL character, at which Nix ends a string (remove it)
f:9:11: the escape \e is TOML 1.1, which Nix does not read (write \u and four digits)
f:9:21: the escape \x is TOML 1.1, which Nix does not read (write \u and four digits)
f:9:26: a comma at the end in an inline table is TOML 1.1, which Nix does not read (remove the comma)
f:11:9: a line end in an inline table is TOML 1.1, which Nix does not read (write it on one line, or as a table of its own)
f:13:6: d.k[0]: 9223372036854775808 does not fit 64 bits
f:13:27: d.k[1]: 0xFFFFFFFFFFFFFFFF does not fit 64 bits
f:13:47: d.k[2]: 1e400 does not fit 64 bits
f:14:1: d."l\x00": the key holds a NUL character, at which Nix ends it (choose another name)
f:15:7: is not UTF-8 text (save it as plain UTF-8)
f:16:6: holds a NUL character, which Nix does not read (remove it)`
	if got := d.Err(); got == nil || got.Error() != want {
		t.Errorf("Err:\n%v\nwant\n%s", got, want)
	}
}

// TestEmptyKey: a field without a key is called "" too.
func TestEmptyKey(t *testing.T) {
	type table struct {
		Name   string `toml:"name"`
		unseen string
	}
	type file struct {
		Table  table `toml:"table"`
		unseen string
	}
	for text, want := range map[string]string{
		"\"\" = 'x'":        `f:1:1: "": unknown key (known here: table)`,
		"[table]\n'' = 'x'": `f:2:1: table."": unknown key (known here: name)`,
		"[table.\"\"]":      `f:1:1: table."": unknown key (known here: name)`,
	} {
		d, err := Parse("f", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		var got file
		d.Decode(&got)
		if err := d.Err(); err == nil || err.Error() != want || got.unseen != "" || got.Table.unseen != "" {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

func TestOneProblemAPath(t *testing.T) {
	d, err := Parse("f", []byte("a = 1\nab = 2"))
	if err != nil {
		t.Fatal(err)
	}
	d.Problemf("ab", "", "second")
	d.Problemf("a", "do this", "first")
	d.Problemf("a", "", "again")
	d.Problemf("a.b", "", "inside")
	d.Problemf("missing.key", "", "elsewhere")
	const want = "f:1:1: a: first (do this)\nf:1:1: missing.key: elsewhere\nf:2:1: ab: second"
	if got := d.Err(); got == nil || got.Error() != want {
		t.Errorf("Err:\n%v\nwant\n%s", got, want)
	}
}

func TestCheck(t *testing.T) {
	d, err := Parse("f", []byte("[a]\nkind = \"tcp\"\ntarget = \"h:1\"\nrequired = false\nwithin = \"0s\"\nname = \"a\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	var tables map[string]any
	d.Decode(&tables)
	got := d.Check("a", "a", tables["a"])
	want := reconcile.Check{
		Name: "a", Kind: reconcile.CheckTCP, Target: "h:1",
		Interval: 5 * time.Second, Timeout: 5 * time.Second, Successes: 2,
	}
	if diff := cmp.Diff(want, got); diff != "" || d.Err() != nil {
		t.Errorf("Check (-want +got):\n%s\nproblems: %v", diff, d.Err())
	}
}

func TestNearest(t *testing.T) {
	known := []string{"interval", "within", "unit", "address", "dns-01", "x86_64-linux"}
	for _, c := range []struct{ word, want string }{
		{"intervall", "interval"},
		{"itnerval", "interval"},
		{"withn", "within"},
		{"uint", "unit"},
		{"addrss", "address"},
		{"wave", ""},
		{"", ""},
		{"x", ""},
		{"dns-02", ""}, // its neighbour
		{"dsn-02", ""},
		{"unit0", ""},
		{"dns-00", ""},
		{"dns-1", "dns-01"},
		{"dsn-01", "dns-01"},
		{"x86-64-linux", "x86_64-linux"},
	} {
		if got := Nearest(c.word, known); got != c.want {
			t.Errorf("Nearest(%q) = %q, want %q", c.word, got, c.want)
		}
	}
}

func TestPath(t *testing.T) {
	p := Path("").Child("nodes").Child(`a."b`).Child("roles").Elem(2)
	if want := Path(`nodes."a.\"b".roles[2]`); p != want {
		t.Fatalf("path = %s, want %s", p, want)
	}
	var got []Path
	for at := p; at != ""; at = at.parent() {
		got = append(got, at)
	}
	want := []Path{`nodes."a.\"b".roles[2]`, `nodes."a.\"b".roles`, `nodes."a.\"b"`, "nodes"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("parents = %q, want %q", got, want)
	}
}
