package store

import (
	"bytes"
	"encoding/json"
	"maps"
	"reflect"
	"strings"

	"github.com/infra-agent/infra-agent/reconcile"
)

// recordJSON is a record as it stands in the file.
type recordJSON struct {
	reconcile.Record
	Phase phaseJSON `json:"phase"`
}

// carry returns now with the fields of before that the type t does not have: a newer
// agent wrote them, and may come back. Fields of what is gone are dropped; so are those of
// an entry of a list that is another one now, since entries have no name.
func carry(t reflect.Type, before, now json.RawMessage) json.RawMessage {
	if t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct {
		return carryEntries(t.Elem(), before, now)
	}
	var was, is map[string]json.RawMessage
	if json.Unmarshal(before, &was) != nil || json.Unmarshal(now, &is) != nil || was == nil || is == nil {
		return now
	}
	switch {
	case t == reflect.TypeFor[phaseJSON]():
		if string(was["name"]) != string(is["name"]) {
			return now
		}
		if p, known := phaseTypes[strings.Trim(string(is["name"]), `"`)]; known {
			is["data"] = carry(p, was["data"], is["data"])
		}
	case t.Kind() == reflect.Map:
		for key, value := range is {
			is[key] = carry(t.Elem(), was[key], value)
		}
	case t.Kind() == reflect.Struct:
		known := map[string]reflect.Type{}
		namesOf(t, known)
		for key, value := range was {
			field, ours := known[strings.ToLower(key)] // encoding/json does not tell upper case from lower
			switch _, here := is[key]; {
			case !ours:
				is[key] = value
			case here:
				is[key] = carry(field, value, is[key])
			}
		}
	}
	if len(is) == 0 {
		return now
	}
	merged, err := json.Marshal(is)
	if err != nil {
		return now
	}
	return merged
}

// carryEntries is carry for a list of t's: an entry is the same one as before where all
// that t has of it is.
func carryEntries(t reflect.Type, before, now json.RawMessage) json.RawMessage {
	var compact bytes.Buffer
	if json.Compact(&compact, before) != nil || bytes.Equal(compact.Bytes(), now) { // nothing is new, and nothing to be carried
		return now
	}
	var was, is []json.RawMessage
	if json.Unmarshal(before, &was) != nil || json.Unmarshal(now, &is) != nil || len(is) == 0 {
		return now
	}
	same := map[string]json.RawMessage{}
	for _, entry := range was {
		known := reflect.New(t)
		if json.Unmarshal(entry, known.Interface()) != nil {
			continue
		}
		if text, err := json.Marshal(known.Interface()); err == nil {
			same[string(text)] = entry
		}
	}
	for i, entry := range is {
		if from, there := same[string(entry)]; there {
			is[i] = carry(t, from, entry)
		}
	}
	merged, err := json.Marshal(is)
	if err != nil {
		return now
	}
	return merged
}

// namesOf adds the JSON names of t's fields, and of those that are embedded.
func namesOf(t reflect.Type, names map[string]reflect.Type) {
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "":
			embedded := map[string]reflect.Type{}
			namesOf(f.Type, embedded)
			maps.Copy(names, embedded)
		case name != "-" && f.IsExported():
			names[strings.ToLower(name)] = f.Type
		}
	}
}
