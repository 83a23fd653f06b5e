package registry

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/infra-agent/infra-agent/agent/strict"
)

// maxJSONDepth bounds the reader's recursion.
const maxJSONDepth = 100

// object decodes a JSON object. Its whole numbers are int64, as those of TOML, and
// there are no nulls in its objects, which TOML does not have.
func object(data []byte) (map[string]any, error) {
	switch {
	case len(data) > strict.MaxBytes:
		return nil, fmt.Errorf("has more than the limit of %d bytes", strict.MaxBytes)
	case !utf8.Valid(data):
		return nil, errors.New("is not UTF-8 text")
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	r := jsonReader{Decoder: d}
	v, err := r.value()
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("it ends too early")
	}
	if err != nil {
		return nil, fmt.Errorf("is not a JSON object that the agent can read: %s%w", r.place(), err)
	}
	root, ok := v.(map[string]any)
	if !ok {
		return nil, errors.New("is JSON, but not an object")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("has something after the JSON object")
	}
	return root, nil
}

// A jsonReader reads values token by token: the library's own reader takes the last
// of two keys that are alike.
type jsonReader struct {
	*json.Decoder
	at []step
}

// A step is a key, or the index of an element.
type step struct {
	key   string
	index int // -1 for a key
}

func (r *jsonReader) value() (any, error) {
	token, err := r.Token()
	if err != nil {
		return nil, err
	}
	if len(r.at) > maxJSONDepth {
		return nil, errors.New("it is nested too deep")
	}
	switch token := token.(type) {
	case json.Delim:
		if token == '{' {
			return r.table()
		}
		return r.list()
	case json.Number:
		return number(token)
	}
	return token, nil
}

func (r *jsonReader) table() (any, error) {
	table := map[string]any{}
	for r.More() {
		token, err := r.Token()
		if err != nil {
			return nil, err
		}
		key, _ := token.(string) // the decoder takes no other
		r.at = append(r.at, step{key, -1})
		if _, twice := table[key]; twice {
			return nil, errors.New("the key is given twice")
		}
		if table[key], err = r.value(); err != nil {
			return nil, err
		}
		r.at = r.at[:len(r.at)-1]
	}
	maps.DeleteFunc(table, func(_ string, v any) bool { return v == nil })
	_, err := r.Token()
	return table, err
}

func (r *jsonReader) list() (any, error) {
	list := []any{}
	for r.More() {
		r.at = append(r.at, step{index: len(list)})
		v, err := r.value()
		if err != nil {
			return nil, err
		}
		list = append(list, v)
		r.at = r.at[:len(r.at)-1]
	}
	_, err := r.Token()
	return list, err
}

// place is where the reader is, for an error.
func (r *jsonReader) place() string {
	var at strict.Path
	for _, step := range r.at {
		if step.index >= 0 {
			at = at.Elem(step.index)
		} else {
			at = at.Child(step.key)
		}
	}
	if at == "" {
		return ""
	}
	return string(at) + ": "
}

func number(n json.Number) (any, error) {
	if i, err := n.Int64(); err == nil {
		return i, nil
	}
	f, err := n.Float64()
	if err != nil || !strings.ContainsAny(n.String(), ".eE") || math.IsInf(f, 0) {
		return nil, fmt.Errorf("the number %s is too large", n)
	}
	return f, nil
}
