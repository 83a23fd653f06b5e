package registry

import (
	"errors"
	"path/filepath"
	"strings"

	"github.com/infra-agent/infra-agent/agent/strict"
	"github.com/infra-agent/infra-agent/reconcile"
)

// Read is [Parse] for tools that validate a whole file: beside every problem it returns
// what could be read in spite of them; nil when the text is no TOML. A name that ends
// in .json is of a file with the value of a flake.
func Read(name string, data []byte) (*File, []strict.Problem) {
	d, err := document(name, data)
	return validated(name, d, err)
}

// ReadMapped is [Read] for a file of another format.
func ReadMapped(name string, data []byte, m Mapping) (*File, []strict.Problem) {
	d, err := m.document(name, data)
	return validated(name, d, err)
}

// ReadValue is [Read] for the value of a flake, as JSON; name is what problems call it.
func ReadValue(name string, data []byte) (*File, []strict.Problem) {
	d, err := value(name, data)
	return validated(name, d, err)
}

func validated(name string, d *strict.Document, err error) (*File, []strict.Problem) {
	if err != nil {
		return nil, problems(name, err)
	}
	return read(d, tables(d)), problems(name, d.Err())
}

func document(name string, data []byte) (*strict.Document, error) {
	if isJSON(name) {
		return value(name, data)
	}
	return strict.Parse(name, data)
}

func value(name string, data []byte) (*strict.Document, error) {
	root, err := object(data)
	if err != nil {
		return nil, err
	}
	return strict.FromValues(name, root), nil
}

func isJSON(name string) bool { return filepath.Ext(name) == ".json" }

func problems(name string, err error) []strict.Problem {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*strict.Error](err); ok {
		return e.Problems
	}
	return []strict.Problem{{File: name, Text: strings.TrimPrefix(err.Error(), name+": ")}}
}

// Target returns what the registry wants of one of its nodes, wherever this runs.
func (f *File) Target(name string) (reconcile.Target, error) { return f.target(name, f.Nodes[name]) }

// Concerning returns the problems of a file for which the agent would refuse a node:
// those in its own tables, and those that are outside of every node's. What Nix would
// read differently counts wherever it is; what is left to a newer version does not.
func Concerning(node string, all []strict.Problem) []strict.Problem {
	own, nodes := strict.Path("nodes").Child(node), strict.Path("nodes")
	var found []strict.Problem
	for _, p := range all {
		if p.Newer {
			continue
		}
		if p.Rule != "" || p.Key == nodes || !p.Key.Within(nodes) || p.Key.Within(own) {
			found = append(found, p)
		}
	}
	return found
}
