package strict

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Decoder is a type with a table format of its own.
type Decoder interface {
	// DecodeTOML takes the value v found at a path, and notes problems in d.
	DecodeTOML(d *Document, at Path, v any)
}

// Decode stores the file in the struct that into points to. Fields are named by
// their toml tag, or else by their json tag; what the file does not give keeps
// its value. Unknown keys and wrong types are noted, see [Document.Err].
func (d *Document) Decode(into any) { d.Value("", d.root, into) }

// Value stores a value found at a path in what into points to.
func (d *Document) Value(at Path, v, into any) {
	d.value(at, v, reflect.ValueOf(into).Elem())
}

func (d *Document) value(at Path, v any, to reflect.Value) {
	switch to := to.Addr().Interface().(type) {
	case Decoder:
		to.DecodeTOML(d, at, v)
		return
	case *time.Duration:
		d.duration(at, v, to)
		return
	case encoding.TextUnmarshaler:
		if text, ok := as[string](d, at, v); ok {
			if err := to.UnmarshalText([]byte(text)); err != nil {
				d.Problemf(at, "", "%v", err)
			}
		}
		return
	}
	switch to.Kind() {
	case reflect.String:
		if text, ok := as[string](d, at, v); ok {
			to.SetString(text)
		}
	case reflect.Bool:
		if yes, ok := as[bool](d, at, v); ok {
			to.SetBool(yes)
		}
	case reflect.Int:
		if n, ok := as[int64](d, at, v); ok {
			to.SetInt(n)
		}
	case reflect.Pointer:
		elem := reflect.New(to.Type().Elem())
		d.value(at, v, elem.Elem())
		if !d.noted[at] { // else it would look like one that was given as zero
			to.Set(elem)
		}
	case reflect.Slice:
		d.list(at, v, to)
	case reflect.Map:
		d.tables(at, v, to)
	case reflect.Struct:
		d.table(at, v, to)
	case reflect.Interface:
		to.Set(reflect.ValueOf(v))
	default:
		panic(fmt.Sprintf("strict: %s has a type that no file can hold: %s", at, to.Type()))
	}
}

func (d *Document) duration(at Path, v any, to *time.Duration) {
	const hint = `write it like "90s", "5m" or "1h30m"`
	text, ok := v.(string)
	if !ok {
		d.Problemf(at, hint, "want a duration, got %s", kind(v))
		return
	}
	got, err := time.ParseDuration(text)
	if err != nil {
		d.Problemf(at, hint, "%q is not a duration", text)
		return
	}
	*to = got
}

func (d *Document) list(at Path, v any, to reflect.Value) {
	if tables, ok := v.([]map[string]any); ok {
		elements := make([]any, len(tables))
		for i, table := range tables {
			elements[i] = table
		}
		v = elements
	}
	elements, ok := as[[]any](d, at, v)
	if !ok {
		return
	}
	got := reflect.MakeSlice(to.Type(), len(elements), len(elements))
	for i, element := range elements {
		setDefaults(got.Index(i))
		d.value(at.Elem(i), element, got.Index(i))
	}
	to.Set(got)
}

func (d *Document) tables(at Path, v any, to reflect.Value) {
	table, ok := as[map[string]any](d, at, v)
	if !ok {
		return
	}
	to.Set(reflect.MakeMapWithSize(to.Type(), len(table)))
	for key, child := range table {
		elem := reflect.New(to.Type().Elem()).Elem()
		d.value(at.Child(key), child, elem)
		to.SetMapIndex(reflect.ValueOf(key).Convert(to.Type().Key()), elem)
	}
}

func (d *Document) table(at Path, v any, to reflect.Value) {
	table, ok := as[map[string]any](d, at, v)
	if !ok {
		return
	}
	fields, ok := d.fields[to.Type()]
	if !ok {
		if d.fields == nil {
			d.fields = map[reflect.Type][]string{}
		}
		fields = Fields(to.Type())
		d.fields[to.Type()] = fields
	}
	for key, child := range table {
		i := slices.Index(fields, key)
		if i < 0 || key == "" { // "" stands for a field without a key
			d.Unknownf(at.Child(key), key, fields, knownKeys(key, fields), "unknown key")
			continue
		}
		if child, fits := d.word(at.Child(key), child, to.Type().Field(i)); fits {
			d.value(at.Child(key), child, to.Field(i))
		}
	}
}

// word returns what stands for v in a field that is one of several words, which its tag
// type lists: true and false mean the words of the tags of that name. Where v can be no
// word, the words are named.
func (d *Document) word(at Path, v any, field reflect.StructField) (word any, fits bool) {
	words := field.Tag.Get("type")
	if _, text := v.(string); text || !strings.Contains(words, ", ") {
		return v, true
	}
	if yes, is := v.(bool); is {
		if meant, given := field.Tag.Lookup(strconv.FormatBool(yes)); given {
			return meant, true
		}
	}
	d.Problemf(at, "", "want one of %s, got %s", words, kind(v))
	return nil, false
}

// knownKeys is the hint for an unknown key.
func knownKeys(key string, known []string) string {
	known = slices.DeleteFunc(slices.Sorted(slices.Values(known)), func(s string) bool { return s == "" })
	if near := Nearest(key, known); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return "known here: " + strings.Join(known, ", ")
}

// Fields returns the key of each field of the struct type t, by index; "" for a
// field that has none.
func Fields(t reflect.Type) []string {
	names := make([]string, t.NumField())
	for i := range names {
		tag, ok := t.Field(i).Tag.Lookup("toml")
		if !ok {
			tag = t.Field(i).Tag.Get("json")
		}
		name, _, _ := strings.Cut(tag, ",")
		if name != "-" {
			names[i] = name
		}
	}
	return names
}

// as returns v as a T, or notes that it is something else.
func as[T any](d *Document, at Path, v any) (T, bool) {
	got, ok := v.(T)
	if !ok {
		d.Problemf(at, "", "want %s, got %s", kind(got), kind(v))
	}
	return got, ok
}

func kind(v any) string {
	switch v.(type) {
	case nil: // in a list of JSON
		return "null"
	case string:
		return "a string"
	case bool:
		return "true or false"
	case int64:
		return "an integer"
	case float64:
		return "a fraction"
	case time.Time:
		return "a date"
	case map[string]any:
		return "a table"
	case []any, []map[string]any:
		return "a list"
	default:
		panic(fmt.Sprintf("strict: the TOML library returned a %T", v))
	}
}
