package registry

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/infra-agent/infra-agent/agent/strict"
)

// paths lists the fields that the types have.
func paths(t reflect.Type, at string) []string {
	switch t {
	case reflect.TypeFor[Checks](), reflect.TypeFor[Window]():
		return []string{at}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return paths(t.Elem(), at)
	case reflect.Map:
		if t.Elem().Kind() != reflect.Struct {
			return []string{at}
		}
		return paths(t.Elem(), at+".NAME")
	case reflect.Slice:
		if t.Elem().Kind() != reflect.Struct || t.Elem() == reflect.TypeFor[Window]() {
			return []string{at}
		}
		return append([]string{at}, paths(t.Elem(), at+"[]")...)
	case reflect.Struct:
		var all []string
		for i, key := range strict.Fields(t) {
			if key != "" {
				all = append(all, paths(t.Field(i).Type, strings.TrimPrefix(at+"."+key, "."))...)
			}
		}
		return all
	default:
		return []string{at}
	}
}

func TestEveryFieldIsDescribed(t *testing.T) {
	want := paths(reflect.TypeFor[File](), "")
	var got []string
	for _, f := range Fields() {
		got = append(got, f.Path)
		if f.Doc == "" || f.Type == "" {
			t.Errorf("%s has no description or no type", f.Path)
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("fields (-types +described):\n%s", diff)
	}
}

// TestSchema holds what a validator of its own says against what the agent says.
func TestSchema(t *testing.T) {
	parsed, err := jsonschema.UnmarshalJSON(strings.NewReader(string(Schema())))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("registry.json", parsed); err != nil {
		t.Fatal(err)
	}
	validator, err := compiler.Compile("registry.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		text string
		good bool
	}{
		{readFile(t, "testdata/all.toml"), true},
		{readFile(t, "testdata/infrastructure.toml"), true},
		{"[nodes.a]", false},
		{"schema = 1\n[nodes.a]\nrolez = []", false},
		{"schema = 1\n[nodes.a]\nroles = \"a\"", false},
		{"schema = 1\n[nodes.a]\nkind = \"lxc\"", false},
		{"schema = 1\n[nodes.a]\nwindow = [\"always\"]", false},
		{"schema = 1\n[nodes.a.checks.b]\nkind = \"ping\"", false},
		{"schema = 1\n[nodes.a.checks.b]\nkind = \"tcp\"\ntarget = \"a:1\"\nwithin = \"2 minutes\"", false},
		{"schema = 1\n[nodes.a.checks]\nb = true", false},
		{"schema = 1\n[nodes.a.checks]\nb = false", true},
		{"schema = 1\n[roles.a]\nsecrets = [\"relative\"]", false},
		{"schema = 1\n[roles.a]\nsecrets = [{mode = \"0400\"}]", false},
	} {
		var values map[string]any
		if _, err := toml.Decode(c.text, &values); err != nil {
			t.Fatal(err)
		}
		data, err := json.Marshal(values)
		if err != nil {
			t.Fatal(err)
		}
		value, err := jsonschema.UnmarshalJSON(strings.NewReader(string(data)))
		if err != nil {
			t.Fatal(err)
		}
		if err := validator.Validate(value); (err == nil) != c.good {
			t.Errorf("the schema says %v of\n%s\nwant good: %t", err, c.text, c.good)
		}
		if _, err := Parse("f", []byte(c.text)); (err == nil) != c.good {
			t.Errorf("Parse says %v of\n%s\nwant good: %t", err, c.text, c.good)
		}
	}
	if len(slices.Collect(maps.Keys(parsed.(map[string]any)["properties"].(map[string]any)))) != 6 {
		t.Errorf("the schema does not have the two numbers and four tables of a registry")
	}
}
