// Package strict reads TOML files and says everything that is wrong with them at
// once: each problem with file, line, key and what to do.
//
// The agent's settings and the registry are both read with it, so that both are
// equally strict. It knows the table of a check, which both have; it knows
// nothing else of what is in them.
package strict

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/BurntSushi/toml"
)

// maxBytes bounds a file. The longest real registry known is 40 kB.
const maxBytes = 1 << 20

// A Document is a parsed file and what was found wrong with it so far.
type Document struct {
	name     string
	src      string
	root     map[string]any
	offsets  map[Path]int
	problems []Problem
}

// A Problem is one thing that is wrong with a file.
type Problem struct {
	File string
	Line int
	Key  Path
	Text string
	Hint string // what to do; may be empty
}

func (p Problem) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:%d: ", p.File, p.Line)
	if p.Key != "" {
		fmt.Fprintf(&b, "%s: ", p.Key)
	}
	b.WriteString(p.Text)
	if p.Hint != "" {
		fmt.Fprintf(&b, " (%s)", p.Hint)
	}
	return b.String()
}

// An Error holds all problems of a file, in the order of its lines.
type Error struct{ Problems []Problem }

func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Parse reads the TOML text data; name is the file's name in problems.
// A text that is not TOML is an [*Error] with the first place that is not.
func Parse(name string, data []byte) (*Document, error) {
	d := &Document{name: name, src: string(data)}
	if len(data) > maxBytes {
		return nil, d.refuse(1, fmt.Sprintf("%d bytes are more than the limit of %d", len(data), maxBytes))
	}
	if bytes.HasPrefix(data, []byte("\ufeff")) {
		return nil, d.refuse(1, "starts with a byte-order mark, which Nix and others read differently; save it as plain UTF-8")
	}
	offsets, deep := scan(d.src)
	if deep >= 0 {
		return nil, d.refuse(d.lineAt(deep), fmt.Sprintf("nested more than %d levels deep", maxDepth))
	}
	d.offsets = offsets
	if _, err := toml.Decode(d.src, &d.root); err != nil {
		if at, ok := errors.AsType[toml.ParseError](err); ok {
			return nil, d.refuse(at.Position.Line, at.Message)
		}
		return nil, d.refuse(1, strings.TrimPrefix(err.Error(), "toml: "))
	}
	d.refuseUnportable("", d.root)
	return d, nil
}

func (d *Document) refuse(line int, text string) error {
	return &Error{Problems: []Problem{{File: d.name, Line: max(1, line), Text: text}}}
}

// refuseUnportable finds the values that Nix cannot read or reads differently.
func (d *Document) refuseUnportable(at Path, v any) {
	switch v := v.(type) {
	case map[string]any:
		for key, child := range v {
			d.refuseUnportable(at.Child(key), child)
		}
	case []map[string]any:
		for i, child := range v {
			d.refuseUnportable(at.Elem(i), child)
		}
	case []any:
		for i, child := range v {
			d.refuseUnportable(at.Elem(i), child)
		}
	case time.Time:
		d.Problemf(at, "write it as a string", "dates and times are not supported")
	case float64:
		if math.IsInf(v, 0) || math.IsNaN(v) {
			d.Problemf(at, "", "inf and nan are not supported")
		}
	}
}

// Problemf notes a problem with the value at a path. The line is that of the
// nearest enclosing table when the path itself is not in the file. A path that has
// a problem, or is inside of one that has, gets no second: it would be its consequence.
func (d *Document) Problemf(at Path, hint, format string, args ...any) {
	if slices.ContainsFunc(d.problems, func(p Problem) bool { return at.within(p.Key) }) {
		return
	}
	d.problems = append(d.problems, Problem{
		File: d.name, Line: d.line(at), Key: at, Text: fmt.Sprintf(format, args...), Hint: hint,
	})
}

// Err returns all problems noted so far as an [*Error], or nil.
func (d *Document) Err() error {
	if len(d.problems) == 0 {
		return nil
	}
	slices.SortStableFunc(d.problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Key, b.Key), cmp.Compare(a.Text, b.Text))
	})
	return &Error{Problems: d.problems}
}

func (d *Document) line(at Path) int {
	for ; at != ""; at = at.parent() {
		if offset, ok := d.offsets[at]; ok {
			return d.lineAt(offset)
		}
	}
	return 1
}

func (d *Document) lineAt(offset int) int { return 1 + strings.Count(d.src[:offset], "\n") }
