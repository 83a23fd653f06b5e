package registry

import (
	"reflect"
	"slices"
	"strings"

	"github.com/infra-agent/infra-agent/agent/strict"
	"github.com/infra-agent/infra-agent/reconcile"
)

// A Field describes one field of a registry.
type Field struct {
	Path string // nodes.NAME.vmid; NAME stands for a name that the user chooses
	Type string // string, path, integer, bool, list, table, command, or the words allowed
	Doc  string // one line
}

// Fields lists every field of a registry but those of checks, in the order of [File] and the
// types of its fields, whose tags describe them.
func Fields() []Field { return fieldsOf(reflect.TypeFor[File](), "") }

func fieldsOf(t reflect.Type, path string) []Field {
	var all []Field
	for i, key := range strict.Fields(t) {
		if key == "" {
			continue
		}
		field := t.Field(i)
		at := strings.TrimPrefix(path+"."+key, ".")
		if doc := field.Tag.Get("doc"); doc != "" {
			all = append(all, Field{at, typeOf(field), doc})
		}
		if table, below := tableOf(field.Type); table != nil {
			all = append(all, fieldsOf(table, at+below)...)
		}
	}
	return all
}

// tableOf returns the type of the tables that a field of type t is or has, and how their
// place is written after the field's path; nil: it has none.
func tableOf(t reflect.Type) (table reflect.Type, below string) {
	switch t {
	case reflect.TypeFor[Checks](), reflect.TypeFor[[]Window]():
		return nil, ""
	case reflect.TypeFor[[]Secret]():
		return reflect.TypeFor[reconcile.Secret](), "[]"
	}
	if t.Kind() == reflect.Map {
		t, below = t.Elem(), ".NAME"
	}
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return nil, ""
	}
	return t, below
}

// typeOf returns what a field's tag says of its values, else what the field's type says.
func typeOf(field reflect.StructField) string {
	if words := field.Tag.Get("type"); words != "" {
		return words
	}
	t := field.Type
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.String:
		return "string"
	case reflect.Int:
		return "integer"
	case reflect.Bool:
		return "bool"
	case reflect.Slice:
		return "list"
	default:
		return "table"
	}
}

// wordsOf returns the words that a field of T allows, and "".
func wordsOf[T any](key string) []string {
	t := reflect.TypeFor[T]()
	words := t.Field(slices.Index(strict.Fields(t), key)).Tag.Get("type")
	return append([]string{""}, strings.Split(words, ", ")...)
}
