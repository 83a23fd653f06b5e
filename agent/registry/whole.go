package registry

import (
	"errors"

	"github.com/infra-agent/infra-agent/agent/strict"
	"github.com/infra-agent/infra-agent/reconcile"
)

// Read is [Parse] for tools that judge a whole file: beside every problem it returns
// what could be read in spite of them; nil when the text is not TOML.
func Read(name string, data []byte) (*File, []strict.Problem) {
	d, err := strict.Parse(name, data)
	if err != nil {
		return nil, problems(err)
	}
	f := File{doc: d}
	d.Decode(&f)
	judge(d, &f)
	return &f, problems(d.Err())
}

func problems(err error) []strict.Problem {
	if e, ok := errors.AsType[*strict.Error](err); ok {
		return e.Problems
	}
	return nil
}

// Target returns what the registry wants of one of its nodes, wherever this runs.
func (f *File) Target(name string) (reconcile.Target, error) { return f.target(name, f.Nodes[name]) }
