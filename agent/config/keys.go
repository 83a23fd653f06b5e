package config

import (
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/infra-agent/infra-agent/agent/strict"
	"github.com/infra-agent/infra-agent/reconcile"
)

// A Key describes one key of the settings file. All of it stands at the key's field, in
// [Settings] and what is in it, in tags:
//
//	toml      its name (of a check, the json tag)
//	type      what the field's own type does not say: path, file (an absolute path, or
//	          empty), group, http status, or the words allowed
//	secret    "true": what is in the file is one
//	true      which of the words true means; false: the same of false
//	default   its value where the file does not give it, see [strict.SetDefaults]
//	required  "true": it must be given; without this and without a default it may be left out
//	range     the least and the largest: "5s to 24h"
//	example   a value other than the default, as in the file; without quotes
//	doc       one sentence
//
// What cannot be said by a tag is validated by hand, see validate.
type Key struct {
	Name     string // source.remotes[].url; NAME stands for a name that the user chooses
	Type     string // string, path, file, duration, size, integer, http status, bool, list, table, group, or the words allowed
	Default  string // as written in the file; "" = none
	Required bool
	Secret   bool   // it names a file with one
	Example  string // as written in the file
	Doc      string // one line
}

// Keys lists every key of the settings file, in the order of the documentation.
func Keys() []Key { return keysOf("", reflect.TypeFor[Settings]()) }

func keysOf(prefix string, in reflect.Type) []Key {
	var keys []Key
	for i, name := range strict.Fields(in) {
		field := in.Field(i)
		switch kind := field.Type.Kind(); {
		case name == "" || in == reflect.TypeFor[reconcile.Check]() && name == "name": // no key of a file
		case field.Type == reflect.TypeFor[Checks]():
			keys = append(keys, keysOf(prefix+name+".NAME.", reflect.TypeFor[reconcile.Check]())...)
		case kind == reflect.Struct:
			keys = append(keys, keysOf(prefix+name+".", field.Type)...)
		case kind == reflect.Slice && field.Type.Elem().Kind() == reflect.Struct:
			keys = append(keys, keysOf(prefix+name+"[].", field.Type.Elem())...)
		default:
			keys = append(keys, keyOf(prefix+name, field))
		}
	}
	return keys
}

func keyOf(name string, field reflect.StructField) Key {
	key := Key{Name: name, Type: typeOf(field), Doc: field.Tag.Get("doc"), Required: field.Tag.Get("required") == "true", Secret: field.Tag.Get("secret") == "true"}
	if _, given := field.Tag.Lookup("true"); given {
		key.Type += ", true, false"
	}
	quoted := func(s string) string {
		if text := field.Type.Kind() == reflect.String || key.Type == "duration" || key.Type == "size"; text {
			return strconv.Quote(s)
		}
		return s
	}
	if text, given := field.Tag.Lookup("default"); given {
		key.Default = quoted(text)
	}
	key.Example = quoted(field.Tag.Get("example"))
	if limits, given := field.Tag.Lookup("range"); given {
		key.Doc = strings.TrimSuffix(key.Doc, ".") + ", " + limits + "."
	}
	if least, given := field.Tag.Lookup("least"); given {
		key.Doc = strings.TrimSuffix(key.Doc, ".") + "; no less than " + least + "."
	}
	return key
}

func typeOf(field reflect.StructField) string {
	if said := field.Tag.Get("type"); said != "" {
		return said
	}
	switch field.Type {
	case reflect.TypeFor[time.Duration]():
		return "duration"
	case reflect.TypeFor[Size]():
		return "size"
	}
	switch field.Type.Kind() {
	case reflect.Bool:
		return "bool"
	case reflect.Int:
		return "integer"
	case reflect.Slice:
		return "list"
	case reflect.Map:
		return "table"
	}
	return "string"
}
