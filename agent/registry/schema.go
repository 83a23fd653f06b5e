package registry

import (
	"encoding/json"
	"reflect"
	"strings"
	"time"

	"github.com/infra-agent/infra-agent/agent/strict"
	"github.com/infra-agent/infra-agent/reconcile"
)

// Schema returns a JSON Schema (draft 7, which editors for TOML read) of a
// registry. What it accepts may still be refused: it knows no relations.
func Schema() []byte {
	root := schemaOf(reflect.TypeFor[File]())
	root["$schema"] = "http://json-schema.org/draft-07/schema#"
	root["title"] = "infrastructure.toml of infra-agent"
	root["required"] = []string{"schema"}
	data, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		panic(err) // maps of strings
	}
	return append(data, '\n')
}

type keywords = map[string]any

func schemaOf(t reflect.Type) keywords {
	switch t {
	case reflect.TypeFor[time.Duration]():
		return keywords{"type": "string", "pattern": `^([0-9]+(\.[0-9]+)?(ns|us|ms|s|m|h))+$`}
	case reflect.TypeFor[Window]():
		return keywords{"type": "string", "pattern": `^[A-Z][A-Za-z.,]* [0-9]{2}:[0-9]{2}-[0-9]{2}:[0-9]{2} [A-Za-z0-9/_+-]+$`}
	case reflect.TypeFor[Secret]():
		table := schemaOf(reflect.TypeFor[reconcile.Secret]())
		table["required"] = []string{"path"}
		return keywords{"anyOf": []keywords{{"type": "string", "pattern": "^/"}, table}}
	case reflect.TypeFor[Checks]():
		check := schemaOf(reflect.TypeFor[reconcile.Check]())
		check["required"] = []string{"kind"}
		return keywords{"type": "object", "additionalProperties": keywords{"anyOf": []keywords{{"const": false}, check}}}
	case reflect.TypeFor[reconcile.CheckKind]():
		return keywords{"enum": reconcile.CheckKinds}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return schemaOf(t.Elem())
	case reflect.String:
		return keywords{"type": "string"}
	case reflect.Bool:
		return keywords{"type": "boolean"}
	case reflect.Int:
		return keywords{"type": "integer"}
	case reflect.Slice:
		return keywords{"type": "array", "items": schemaOf(t.Elem())}
	case reflect.Map:
		return keywords{"type": "object", "additionalProperties": schemaOf(t.Elem())}
	case reflect.Struct:
		return tableSchema(t)
	default: // any value
		return keywords{}
	}
}

func tableSchema(t reflect.Type) keywords {
	properties := keywords{}
	for i, key := range strict.Fields(t) {
		if key == "" {
			continue
		}
		field := t.Field(i)
		property := schemaOf(field.Type)
		if words := strings.Split(field.Tag.Get("type"), ", "); len(words) > 1 {
			property = keywords{"enum": words}
		}
		if doc := field.Tag.Get("doc"); doc != "" {
			property["description"] = doc
		}
		properties[key] = property
	}
	return keywords{"type": "object", "additionalProperties": false, "properties": properties}
}
