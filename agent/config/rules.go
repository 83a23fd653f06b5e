package config

import (
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/infra-agent/infra-agent/agent/strict"
)

// each visits the values of the keys in a struct, but for the checks, each of which is
// validated as it is read.
func each(at strict.Path, in reflect.Value, visit func(strict.Path, reflect.StructField, reflect.Value)) {
	for i, name := range strict.Fields(in.Type()) {
		field, value := in.Type().Field(i), in.Field(i)
		switch at := at.Child(name); {
		case field.Type == reflect.TypeFor[Checks]():
		case value.Kind() == reflect.Struct:
			each(at, value, visit)
		case value.Kind() == reflect.Slice && field.Type.Elem().Kind() == reflect.Struct:
			for i := range value.Len() {
				each(at.Elem(i), value.Index(i), visit)
			}
		default:
			visit(at, field, value)
		}
	}
}

// validateTags notes the values that are not what the tags of their fields say, see [Key].
func validateTags(d *strict.Document, s Settings) {
	each("", reflect.ValueOf(s), func(at strict.Path, field reflect.StructField, value reflect.Value) {
		validateValue(d, at, field, value)
	})
}

// Files lists the files that the settings name: credentials, keys and lists of them.
func (s Settings) Files() []string {
	var files []string
	each("", reflect.ValueOf(s), func(_ strict.Path, field reflect.StructField, value reflect.Value) {
		if typeOf(field) == "file" && value.String() != "" {
			files = append(files, value.String())
		}
	})
	return files
}

func validateValue(d *strict.Document, at strict.Path, field reflect.StructField, value reflect.Value) {
	switch typ := typeOf(field); typ {
	case "file":
		if file := value.String(); file != "" && !filepath.IsAbs(file) {
			d.Problemf(at, "", "%q is not an absolute path", file)
		}
	case "group":
		if group := value.String(); group != field.Tag.Get("default") && !isGroup(group) {
			d.Problemf(at, "", "%q is not the name of a group", group)
		}
	case "integer", "size":
		least, given := field.Tag.Lookup("least")
		switch n := value.Int(); {
		case n < 1:
			d.Problemf(at, "", "%d is not more than 0", n)
		case given && n < amount(least):
			d.Problemf(at, "", "%v is less than %s, with which no fix would arrive", value, least)
		}
	case "duration":
		limits := field.Tag.Get("range")
		least, most, _ := strings.Cut(limits, " to ")
		if got := value.Interface().(time.Duration); got < span(least) || got > span(most) {
			d.Problemf(at, "", "%s is not between %s", got, strings.Replace(limits, " to ", " and ", 1))
		}
	case "string", "path", "bool", "list", "table":
	default:
		if words := strings.Split(typ, ", "); !slices.Contains(words, value.String()) {
			d.Problemf(at, "", "%q is none of %s", value, typ)
		}
	}
}

// span is a duration of a tag.
func span(text string) time.Duration {
	d, err := time.ParseDuration(text)
	if err != nil {
		panic("config: " + err.Error()) // of the program itself
	}
	return d
}

// amount is a number or a size of a tag.
func amount(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err == nil {
		return n
	}
	var s Size
	if err := s.UnmarshalText([]byte(text)); err != nil {
		panic("config: " + err.Error()) // of the program itself
	}
	return int64(s)
}

// isGroup holds what group(5) and a path can hold of a name.
func isGroup(s string) bool { return s != "" && !strings.ContainsAny(s, ": \t\n/") }
