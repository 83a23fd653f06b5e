//go:build integration

package nixosmodule

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/infra-agent/infra-agent/agent/registry"
	"github.com/infra-agent/infra-agent/agent/strict"
)

// refused stands for a text that a reader does not take.
const refused = "refused"

// nixReads lets Nix read TOML texts, each by itself, and returns the JSON of each.
func nixReads(t *testing.T, texts []string) []string {
	t.Helper()
	dir := t.TempDir()
	for i, text := range texts {
		check(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.toml", i)), []byte(text), 0o600))
	}
	const script = `cd "$1"
for file in *.toml; do
	nix-instantiate --eval --strict --json --expr "builtins.fromTOML (builtins.readFile ./$file)" >"$file.json" 2>"$file.err" || echo refused >"$file.json"
done`
	_, err := nix(t, "sh", "-c", script, "sh", dir)
	check(t, err)
	answers := make([]string, len(texts))
	for i := range texts {
		answer, err := os.ReadFile(filepath.Join(dir, fmt.Sprintf("%d.toml.json", i)))
		check(t, err)
		answers[i] = strings.TrimSpace(string(answer))
	}
	return answers
}

// goReads returns the JSON of a TOML text, and the rules that it breaks.
func goReads(t *testing.T, text string) (answer string, rules []string) {
	t.Helper()
	d, err := strict.Parse("f", []byte(text))
	root := map[string]any{}
	if err == nil {
		d.Decode(&root)
		err = d.Err()
	}
	if problems, ok := errors.AsType[*strict.Error](err); ok {
		for _, p := range problems.Problems {
			rules = append(rules, p.Rule)
		}
		return refused, rules
	}
	return encoded(t, root), nil
}

// encoded is JSON in which fractions look like fractions, as Nix writes them.
func encoded(t *testing.T, v any) string {
	t.Helper()
	var fractions func(v any) any
	fractions = func(v any) any {
		switch v := v.(type) {
		case map[string]any:
			made := map[string]any{}
			for key, child := range v {
				made[key] = fractions(child)
			}
			return made
		case []map[string]any:
			made := []any{}
			for _, child := range v {
				made = append(made, fractions(child))
			}
			return made
		case []any:
			made := []any{}
			for _, child := range v {
				made = append(made, fractions(child))
			}
			return made
		case float64:
			return json.Number(strconv.FormatFloat(v, 'e', -1, 64))
		}
		return v
	}
	data, err := json.Marshal(fractions(v))
	check(t, err)
	return string(data)
}

// TestNixAndGoDisagree shows each of the rules T001 to T007 on both readers: Go refuses
// by the rule, and Nix does one of some things, by its version, that are not what a
// person would expect.
func TestNixAndGoDisagree(t *testing.T) {
	cases := []struct {
		rule, text string
		nix        []string
	}{
		{"T001", "a = 1979-05-27", []string{refused}},
		{"T001", "a = 07:32:00", []string{refused}},
		{"T001", "a = 1979-05-27T07:32:00Z", []string{refused}},
		{"T001", "a = [{b = 1979-05-27 07:32:00.5}]", []string{refused}},
		{"T002", "a = {b = 1,}", []string{refused}},
		{"T002", "a = {b = 1,\nc = 2}", []string{refused}},
		{"T002", `a = "\e"`, []string{refused}},
		{"T002", `a = "\x41"`, []string{refused}},
		{"T002", "a.b = 1\n[a]\nc = 2", []string{refused}},
		{"T002", "a = {}\n[a.b]", []string{refused}},
		{"T002", "a = {b = 1}\na.c = 2", []string{refused}},
		{"T002", "a = []\na.b = 1", []string{refused}},
		{"T002", "[a.b]\n[a]\nb.c = 1", []string{refused}},
		{"T002", "[[a]]\nb.c = 1\n[a.b]", []string{refused}},
		{"T002", "a = {b = {c = 1}, b.d = 2}", []string{refused}},
		{"T003", "a = 9223372036854775808", []string{refused, `{"a":9223372036854775807}`}},
		{"T003", "a = -9223372036854775809", []string{refused, `{"a":-9223372036854775808}`}},
		{"T003", "a = 0xFFFFFFFFFFFFFFFF", []string{refused, `{"a":9223372036854775807}`, `{"a":-1}`}},
		{"T003", "a = 1e400", []string{refused, `{"a":null}`}},
		{"T003", "a = inf", []string{`{"a":null}`, `{"a":inf}`}},
		{"T003", "a = -inf", []string{`{"a":null}`, `{"a":-inf}`}},
		{"T003", "a = nan", []string{`{"a":null}`, `{"a":nan}`}},
		{"T004", "a = 1\noutPath = 'x'", []string{`"x"`}},
		{"T004", "[a]\nb = 1\noutPath = 'x'", []string{`{"a":"x"}`}},
		{"T004", "a = 1\n__toString = 'x'", []string{refused}},
		{"T004", "_a = 1", []string{`{"_a":1}`}}, // read alike; but _module and the like mean something to modules
		{"T005", `a = "x\u0000y"`, []string{refused, `{"a":"x"}`}},
		{"T005", "a = 'x\x00y'", []string{refused}},
		{"T006", "\ufeffa = 1", []string{`{"a":1}`}},
		{"T007", "a = '\xff'", []string{refused}},
		{"T007", "a = " + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000), []string{refused}}, // a stack overflow
		{"T007", "a = 1 #" + strings.Repeat("x", 16<<20), []string{`{"a":1}`}},                            // only too much
	}
	var texts []string
	for _, c := range cases {
		texts = append(texts, c.text)
	}
	for i, got := range nixReads(t, texts) {
		c := cases[i]
		if !slices.Contains(c.nix, got) {
			t.Errorf("%s: Nix makes %.100s of %.60q, want one of %q", c.rule, got, c.text, c.nix)
		}
		if answer, rules := goReads(t, c.text); answer != refused || !slices.Equal(rules, []string{c.rule}) {
			t.Errorf("%s: Go makes %.100s of %.60q, by the rules %q", c.rule, answer, c.text, rules)
		}
	}
}

// TestNixAndGoAgree reads every spelling of TOML with both.
func TestNixAndGoAgree(t *testing.T) {
	texts := []string{
		// keys and tables
		"", "a = 1", "\"\" = 1", "a.\"\" = 1", "- = 1", "1 = 1", "3.14 = 1", "true = 1", "é = 1", "\"é\" = 1", `"a\u0062" = 1`, "'a b' = 1", "a . b = 1",
		"\"a\\nb\" = 1", "[ a . b ]\nc = 1", "a = 1\n\"a\" = 2", "[a]\n[a]", "[[a]]\n[a]", "[a]\n[[a]]", "a = [{b = 1}]\n[[a]]", "[a.b.c]\n[a.b]\ny = 1",
		"[[a.b]]\nc = 1\n[a.b.d]\ne = 1\n[[a.b]]", "[a.b]\nx = 1\n[[a.c]]\n[a]\ny = 2", "a.b.c = 1\na.b.d = 2\na.e = 3", "a.b = 1\nc = 2\na.d = 3", "a = 1\n[a.b]",
		"a = 1\na.b = 2", "a.b = 1\n[a.c]\nd = 1", "a.b = 1\n[[a.c]]\nd = 1", "a.b = 1\n[[a]]", "[x]\na = {}\n[x.a]", "[a.b.c]\nx = 1\n[a]\ny.z = 1\n[a.y.q]",
		"[a]\nb.c.d = 1\n[a.b.c]\nf = 1", "[a]\nb.c.d = 1\n[a.b.c.e]\nf = 1", "[a.b.c]\nz = 1\n[a]\nb.d = 1", "[[a]]\n[a.b]\nc = 1\n[[a]]\n[a.b]\nc = 2", "[[a.b]]\n[a]\nb.c = 1",
		"a.b = {c = 1}\na.b.d = 1", "a.b = {c = 1}\na.d = 1", "a.\"b\".c = 1\n[a.b]", "a = {b = {}}\na.b.c = 1", "a = {b.c = 1, b.d = 2}", "a = {b = 1, b = 2}", "[a.b]\n[a]\nc.d = 1\nc.e = 2",
		// numbers
		"a = 1_000", "a = +5", "a = +0", "a = -0", "a = 05", "a = 0xDEADbeef", "a = 0x7FFFFFFFFFFFFFFF", "a = 0o777", "a = 0b101", "a = -9223372036854775808", "a = 9223372036854775807",
		"a = 1__0", "a = 1_", "a = 0xdead_beef", "a = 1.", "a = .5", "a = 1e06", "a = 1_0.5e1_0", "a = 1E5", "a = +1.5", "a = 5e-324", "a = 1e-400", "a = 0.1234567890123456789", "a = -0.0",
		"a = 1.7976931348623157e308", "a = 123456789012345680.0", "a = 1.0", "a = 1e", "a = True", "a = [true, false]",
		// strings
		"a = \"\"\"\nx \\\n   y\"\"\"", "a = \"\"\"x\\  \n\n  y\"\"\"", "a = \"\"\"\"x\"\"\"\"", "a = '''\nx'''", "a = ''''x''''", "a = \"\"\"\r\nx\r\ny\"\"\"\r\n", "a = 1\r\nb = 2\r\n", "a = 1\rb = 2",
		"a = \"\t\"", `a = "\u0001"`, `a = "\u007f"`, "a = \"\x7f\"", "a = '\x7f'", "#\x7f\na = 1", "#\x01\na = 1", "#\t\na = 1", `a = "\U0010FFFF"`, `a = "\U00110000"`, `a = "\uD800"`, `a = "\uD83D\uDE00"`,
		"a = \"é漢😀\"", `a = "\b\t\n\f\r\"\\"`, `a = "\q"`, "a = \"\uffff\"", "a = \"\ufeff\"", "a = \"\u0085\u2028\"", "a = \"\"\"\x01\"\"\"", `a = """a \ b"""`,
		// lists and space
		"a = [1, 1.0, 'x', {b = 1}]", "a = [[1, 2], ['x']]", "a = [1, 2,]", "a = [ # x\n1, # y\n# z\n]", "a = {b = [1,\n2]}", "a = []\nb = {}", "a = 1 b = 2", "   a   =   1   ", "a = \x0b1", "a\u00a0= 1",
		"a = 1 # x\r\n", "# a\rb\nc = 1",
	}
	for i, nix := range nixReads(t, texts) {
		if got, rules := goReads(t, texts[i]); !sameJSON(got, nix) {
			t.Errorf("%q: Go makes %s of it (rules %q), Nix %s", texts[i], got, rules, nix)
		}
	}
}

// sameJSON compares what two readers made, numbers exactly.
func sameJSON(a, b string) bool {
	if a == refused || b == refused {
		return a == b
	}
	return cmp.Equal(decoded(a), decoded(b))
}

// decoded is JSON, with integers and fractions told apart.
func decoded(text string) any {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return err.Error()
	}
	return exact(v)
}

func exact(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key, child := range v {
			v[key] = exact(child)
		}
	case []any:
		for i, child := range v {
			v[i] = exact(child)
		}
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, err := v.Float64()
		if err != nil {
			return err.Error()
		}
		return f
	}
	return v
}

// TestRandomRegistries writes random registries in random spellings, and has Nix and Go
// read them: both must see the values that were written.
func TestRandomRegistries(t *testing.T) {
	const files = 1000
	dir := t.TempDir()
	want := map[string]map[string]any{}
	for seed := range files {
		w := newWriter(uint64(seed))
		root := w.registry()
		name := fmt.Sprintf("%d.toml", seed)
		want[name] = root
		text := w.spell(root)
		check(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
		if _, err := registry.Parse(name, []byte(text)); err != nil {
			t.Fatalf("%v of\n%s", err, text)
		}
		got, rules := goReads(t, text)
		if diff := cmp.Diff(decoded(encoded(t, root)), decoded(got)); diff != "" {
			t.Fatalf("Go, by the rules %q (-written +read):\n%s\nof\n%s", rules, diff, text)
		}
	}
	out, err := nix(t, "nix-instantiate", "--eval", "--strict", "--json", "--expr",
		fmt.Sprintf(`let dir = %s; in builtins.mapAttrs (name: _: builtins.fromTOML (builtins.readFile (dir + "/${name}"))) (builtins.readDir dir)`, dir))
	check(t, err)
	var read map[string]json.RawMessage
	check(t, json.Unmarshal([]byte(out), &read))
	for name, root := range want {
		if diff := cmp.Diff(decoded(encoded(t, root)), decoded(string(read[name]))); diff != "" {
			text, _ := os.ReadFile(filepath.Join(dir, name))
			t.Fatalf("Nix (-written +read):\n%s\nof\n%s", diff, text)
		}
	}
}
