package registry

import (
	"errors"
	"path/filepath"

	"github.com/infra-agent/infra-agent/agent/strict"
	"github.com/infra-agent/infra-agent/reconcile"
)

// Read is [Parse] for tools that judge a whole file: beside every problem it returns
// what could be read in spite of them; nil when the text is no TOML. A name that ends
// in .json is of a file with the value of a flake.
func Read(name string, data []byte) (*File, []strict.Problem) {
	d, err := document(name, data)
	if err != nil {
		return nil, problems(name, err)
	}
	f := File{doc: d}
	d.Decode(&f)
	judge(d, &f)
	return &f, problems(name, d.Err())
}

// ReadNode reads of a file what the agent reads on one of its nodes: mistakes in the
// tables of other nodes are no problems. The file is nil when there are any.
func ReadNode(name string, data []byte, node string) (*File, []strict.Problem) {
	d, err := documentOf(name, data, node)
	if err != nil {
		return nil, problems(name, err)
	}
	f, err := decodeOwn(d, node)
	return f, problems(name, err)
}

func documentOf(name string, data []byte, node string) (*strict.Document, error) {
	if isJSON(name) {
		return document(name, data)
	}
	return ofText(name, string(data))(node)
}

func document(name string, data []byte) (*strict.Document, error) {
	if !isJSON(name) {
		return strict.Parse(name, data)
	}
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
	return []strict.Problem{{File: name, Text: err.Error()}}
}

// Target returns what the registry wants of one of its nodes, wherever this runs.
func (f *File) Target(name string) (reconcile.Target, error) { return f.target(name, f.Nodes[name]) }
