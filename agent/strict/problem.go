package strict

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// A Problem is one thing that is wrong with a file.
type Problem struct {
	File   string
	Line   int // from 1; 0: not known
	Column int // from 1, in characters; 0: not known
	Key    Path
	Text   string
	Hint   string // what to do; may be empty
	Rule   string // T001 to T007 where Nix would read the file differently, see docs/conventions.md; else empty
	Newer  bool   // a newer version may know it: a word that is none of those known here, nor like one
}

// The rules of Nix's and Go's common ground, by their ids in docs/conventions.md.
const (
	ruleDate    = "T001"
	ruleSyntax  = "T002"
	ruleNumber  = "T003"
	ruleKey     = "T004"
	ruleNUL     = "T005"
	ruleBOM     = "T006"
	ruleMeasure = "T007" // UTF-8, size and depth
)

func (p Problem) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: ", p.Place())
	if p.Key != "" {
		fmt.Fprintf(&b, "%s: ", p.Key)
	}
	b.WriteString(p.Text)
	if p.Hint != "" {
		fmt.Fprintf(&b, " (%s)", p.Hint)
	}
	return b.String()
}

// Place is FILE:LINE:COLUMN, as far as they are known.
func (p Problem) Place() string {
	place := p.File
	for _, n := range []int{p.Line, p.Column} {
		if n == 0 {
			break
		}
		place += fmt.Sprintf(":%d", n)
	}
	return place
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

// Problemf notes a problem with the value at a path. The place is that of the
// nearest enclosing table when the path itself is not in the file. A path that has
// a problem, or is inside of one that has, gets no second: it would be its consequence.
func (d *Document) Problemf(at Path, hint, format string, args ...any) {
	d.note("", at, hint, format, args...)
}

// Unknownf is [Document.Problemf] about a word, a key or a value, that is none of those
// known here. Where it is like one of them it is taken for a slip; otherwise a newer
// version may know it, and the problem says so.
func (d *Document) Unknownf(at Path, word string, known []string, hint, format string, args ...any) {
	p := d.problem(at, hint, format, args...)
	p.Newer = d.later || Nearest(word, known) == ""
	d.add(p)
}

// Later says that the file is known to be written for a newer version: then no unknown
// word in it is taken for a slip.
func (d *Document) Later() { d.later = true }

func (d *Document) note(rule string, at Path, hint, format string, args ...any) {
	p := d.problem(at, hint, format, args...)
	p.Rule = rule
	d.add(p)
}

func (d *Document) problem(at Path, hint, format string, args ...any) Problem {
	line, column := d.Position(at)
	return Problem{File: d.name, Line: line, Column: column, Key: d.Origin(at), Text: fmt.Sprintf(format, args...), Hint: hint}
}

func (d *Document) add(p Problem) {
	for outer := p.Key; outer != ""; outer = outer.parent() {
		if d.noted[outer] {
			return
		}
	}
	if d.noted == nil {
		d.noted = map[Path]bool{}
	}
	d.noted[p.Key] = p.Key != ""
	d.problems = append(d.problems, p)
}

// Err returns all problems noted so far as an [*Error], or nil.
func (d *Document) Err() error {
	if len(d.problems) == 0 {
		return nil
	}
	slices.SortStableFunc(d.problems, func(a, b Problem) int {
		return cmp.Or(
			cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Key, b.Key), cmp.Compare(a.Text, b.Text),
		)
	})
	return &Error{Problems: d.problems}
}
