package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/infra-agent/infra-agent/reconcile"
)

// storeDir is left out of the file, as Nix's own JSON leaves it out by now.
const storeDir = "/nix/store/"

// head is all but the nodes, in the order of the file.
type head struct {
	Schema    int              `json:"schema"`
	MinReader int              `json:"min_reader,omitempty"` // oldest schema whose agents may read the file; 0: schema
	Commit    reconcile.Commit `json:"commit"`
	Tree      string           `json:"tree"`
	Created   time.Time        `json:"created"`
	Nix       string           `json:"nix"`
	Registry  json.RawMessage  `json:"registry,omitempty"`
}

// entry is a node in the file. Its store paths have no directory.
type entry struct {
	Configuration string `json:"configuration,omitempty"`
	System        string `json:"system"`
	Toplevel      string `json:"toplevel"`
	Derivation    string `json:"derivation"`
}

// Encode returns the file. There is one text for a manifest: keys in order, a line for
// each node, no blanks. A difference of two manifests is one of their lines.
func (m *Manifest) Encode() ([]byte, error) {
	if err := m.check(); err != nil {
		return nil, err
	}
	registry, err := canonical(m.Registry)
	if err != nil {
		return nil, fmt.Errorf("registry: %w", err)
	}
	text, err := json.Marshal(head{Schema: Schema, Commit: m.Commit, Tree: m.Tree, Created: m.Created, Nix: m.Nix, Registry: registry})
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.Write(bytes.TrimSuffix(text, []byte("}")))
	b.WriteString(`,"nodes":{`)
	between := "\n"
	for _, name := range slices.Sorted(maps.Keys(m.Nodes)) {
		n := m.Nodes[name]
		key, err := json.Marshal(name)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(entry{n.Configuration, n.System, string(n.Toplevel)[len(storeDir):], string(n.Derivation)[len(storeDir):]})
		if err != nil {
			return nil, err
		}
		b.WriteString(between)
		b.Write(key)
		b.WriteByte(':')
		b.Write(value)
		between = ",\n"
	}
	b.WriteString("\n}}\n")
	if b.Len() > MaxBytes {
		return nil, fmt.Errorf("it has %d bytes, more than the limit of %d", b.Len(), MaxBytes)
	}
	return b.Bytes(), nil
}

// canonical is JSON with its keys in order and without blanks; numbers stay as they are.
func canonical(raw json.RawMessage) (json.RawMessage, error) {
	if raw == nil {
		return nil, nil
	}
	var values map[string]any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&values); err != nil {
		return nil, err
	}
	if values == nil {
		return nil, errors.New("want an object, got null")
	}
	return json.Marshal(values)
}
