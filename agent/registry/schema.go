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
	s := schema{docs: map[string]Field{}}
	for _, f := range Fields() {
		s.docs[f.Path] = f
	}
	root := s.of(reflect.TypeFor[File](), "")
	root["$schema"] = "http://json-schema.org/draft-07/schema#"
	root["title"] = "infrastructure.toml of infra-agent"
	root["required"] = []string{"schema"}
	data, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		panic(err) // maps of strings
	}
	return append(data, '\n')
}

type schema struct{ docs map[string]Field }

type keywords = map[string]any

// of describes a type at a path.
func (s schema) of(t reflect.Type, path string) keywords {
	switch t {
	case reflect.TypeFor[time.Duration]():
		return keywords{"type": "string", "pattern": `^([0-9]+(\.[0-9]+)?(ns|us|ms|s|m|h))+$`}
	case reflect.TypeFor[Window]():
		return keywords{"type": "string", "pattern": `^[A-Z][A-Za-z.,]* [0-9]{2}:[0-9]{2}-[0-9]{2}:[0-9]{2} [A-Za-z0-9/_+-]+$`}
	case reflect.TypeFor[Secret]():
		table := s.of(reflect.TypeFor[reconcile.Secret](), path)
		table["required"] = []string{"path"}
		return keywords{"anyOf": []keywords{{"type": "string", "pattern": "^/"}, table}}
	case reflect.TypeFor[Checks]():
		check := s.of(reflect.TypeFor[reconcile.Check](), path+".NAME")
		check["required"] = []string{"kind"}
		return keywords{"type": "object", "additionalProperties": keywords{"anyOf": []keywords{{"const": false}, check}}}
	case reflect.TypeFor[reconcile.CheckKind]():
		return keywords{"enum": reconcile.CheckKinds}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return s.of(t.Elem(), path)
	case reflect.String:
		return keywords{"type": "string"}
	case reflect.Bool:
		return keywords{"type": "boolean"}
	case reflect.Int:
		return keywords{"type": "integer"}
	case reflect.Slice:
		return keywords{"type": "array", "items": s.of(t.Elem(), path+"[]")}
	case reflect.Map:
		return keywords{"type": "object", "additionalProperties": s.of(t.Elem(), path+".NAME")}
	case reflect.Struct:
		return s.table(t, path)
	default: // any value
		return keywords{}
	}
}

func (s schema) table(t reflect.Type, path string) keywords {
	properties := keywords{}
	for i, key := range strict.Fields(t) {
		if key == "" {
			continue
		}
		at := strings.TrimPrefix(path+"."+key, ".")
		property := s.of(t.Field(i).Type, at)
		if doc, ok := s.docs[at]; ok {
			property["description"] = doc.Doc
			if words := strings.Split(doc.Type, ", "); len(words) > 1 {
				property = keywords{"enum": words, "description": doc.Doc}
			}
		}
		properties[key] = property
	}
	return keywords{"type": "object", "additionalProperties": false, "properties": properties}
}
