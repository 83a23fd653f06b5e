package config

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/infra-agent/infra-agent/agent/strict"
	"github.com/infra-agent/infra-agent/reconcile"
)

// TestKeysAreTheSchema holds Keys against the fields of Settings, both ways.
func TestKeysAreTheSchema(t *testing.T) {
	want := fieldNames("", reflect.TypeFor[Settings]())
	var got []string
	for _, key := range Keys() {
		got = append(got, key.Name)
		if key.Type == "" || key.Doc == "" || !strings.HasSuffix(key.Doc, ".") {
			t.Errorf("%s: want a type and a sentence of documentation, got %q and %q", key.Name, key.Type, key.Doc)
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Keys and the fields of Settings differ (-fields +Keys):\n%s", diff)
	}
}

func fieldNames(prefix string, typ reflect.Type) []string {
	var names []string
	for i, name := range strict.Fields(typ) {
		switch field := typ.Field(i).Type; {
		case name == "": // no key
		case field == reflect.TypeFor[Checks]():
			checks := fieldNames(prefix+name+".NAME.", reflect.TypeFor[reconcile.Check]())
			names = append(names, slices.DeleteFunc(checks, func(s string) bool { return strings.HasSuffix(s, ".name") })...)
		case field.Kind() == reflect.Struct:
			names = append(names, fieldNames(prefix+name+".", field)...)
		case field.Kind() == reflect.Slice && field.Elem().Kind() == reflect.Struct:
			names = append(names, fieldNames(prefix+name+"[].", field.Elem())...)
		default:
			names = append(names, prefix+name)
		}
	}
	return names
}

// TestDefaultsAreAsDocumented writes each documented default into a file: it must
// change nothing.
func TestDefaultsAreAsDocumented(t *testing.T) {
	const base = remote + "[[source.hosts]]\nhost = \"h\"\n[checks.NAME]\nkind = \"unit\"\nunit = \"a.service\"\n"
	want, err := Parse("base", []byte(base))
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range Keys() {
		if key.Default == "" {
			continue
		}
		line := key.Name + " = " + key.Default + "\n"
		text := line + base
		if name, ok := strings.CutPrefix(key.Name, "source.remotes[]."); ok {
			text = strings.Replace(base, "url", name+" = "+key.Default+"\nurl", 1)
		}
		if name, ok := strings.CutPrefix(key.Name, "source.hosts[]."); ok {
			text = strings.Replace(base, "host =", name+" = "+key.Default+"\nhost =", 1)
		}
		if name, ok := strings.CutPrefix(key.Name, "checks.NAME."); ok {
			text = base + name + " = " + key.Default + "\n"
		}
		got, err := Parse(key.Name, []byte(text))
		if err != nil {
			t.Errorf("%s: %v", key.Name, err)
			continue
		}
		empty := cmp.FilterValues(func(a, b []string) bool { return len(a)+len(b) == 0 }, cmp.Ignore())
		if diff := cmp.Diff(want, got, empty); diff != "" {
			t.Errorf("%s: the documented default is not the default (-default +documented):\n%s", key.Name, diff)
		}
	}
}
