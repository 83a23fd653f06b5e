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
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/BurntSushi/toml"
)

// MaxBytes bounds a file: a registry of 10,000 nodes has 5 MB.
const MaxBytes = 16 << 20

// A Document is a parsed file and what was found wrong with it so far.
type Document struct {
	name     string
	src      string
	parsed   bool // from src; false: the values come from elsewhere
	root     map[string]any
	offsets  map[Path]int // where each value starts
	lines    []int        // where each line starts; made when it is asked for
	fields   map[reflect.Type][]string
	problems []Problem
	noted    map[Path]bool // paths that have a problem
}

// A Problem is one thing that is wrong with a file.
type Problem struct {
	File   string
	Line   int // from 1; 0: not known
	Column int // from 1, in characters; 0: not known
	Key    Path
	Text   string
	Hint   string // what to do; may be empty
	Rule   string // T001 to T007 where Nix would read the file differently, see docs/conventions.md; else empty
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

// Parse reads the TOML text data; name is the file's name in problems.
// A text that is not TOML is an [*Error] with the first place that is not.
func Parse(name string, data []byte) (*Document, error) {
	d := &Document{name: name, src: string(data), parsed: true}
	if len(data) > MaxBytes {
		return nil, d.refuse(ruleMeasure, 0, fmt.Sprintf("%d bytes are more than the limit of %d", len(data), MaxBytes))
	}
	if bytes.HasPrefix(data, []byte("\ufeff")) {
		return nil, d.refuse(ruleBOM, 0, "starts with a byte-order mark, which Nix and others read differently; save it as plain UTF-8")
	}
	if at := invalidUTF8(d.src); at >= 0 {
		return nil, d.refuse(ruleMeasure, at, "is not UTF-8 text; save it as plain UTF-8")
	}
	if at := strings.IndexByte(d.src, 0); at >= 0 {
		return nil, d.refuse(ruleNUL, at, "holds a NUL character, which Nix does not read; remove it")
	}
	found := scan(d.src, nil)
	if found.deep >= 0 {
		return nil, d.refuse(ruleMeasure, found.deep, fmt.Sprintf("nested more than %d levels deep", maxDepth))
	}
	d.offsets = make(map[Path]int, len(d.src)/32)
	var located sync.WaitGroup
	located.Go(func() { scan(d.src, d.offsets) }) // while the library reads, which takes longer
	_, err := toml.Decode(d.src, &d.root)
	located.Wait()
	if err != nil {
		if at, ok := errors.AsType[toml.ParseError](err); ok {
			return nil, d.refuseSyntax(at)
		}
		return nil, d.refuse("", 0, strings.TrimPrefix(err.Error(), "toml: "))
	}
	for _, u := range found.unportable {
		line, column := d.lineAt(u.offset)
		d.problems = append(d.problems, Problem{File: name, Line: line, Column: column, Text: u.text, Hint: u.hint, Rule: ruleSyntax})
	}
	d.refuseUnportable("", d.root)
	return d, nil
}

// FromValues makes a document of values that were decoded from something else
// than TOML: maps, lists, strings, booleans, int64, float64, and nil in lists. Its
// problems have no lines.
func FromValues(name string, root map[string]any) *Document {
	d := &Document{name: name, root: root}
	d.refuseUnportable("", root)
	return d
}

func (d *Document) refuse(rule string, offset int, text string) error {
	line, column := d.lineAt(offset)
	return &Error{Problems: []Problem{{File: d.name, Line: line, Column: column, Text: text, Rule: rule}}}
}

// refuseSyntax refuses what the TOML library does not read.
func (d *Document) refuseSyntax(e toml.ParseError) error {
	start := min(max(0, e.Position.Start), len(d.src)) // the library's may be outside
	token := d.src[start:min(start+max(0, e.Position.Len), len(d.src))]
	_, intErr := strconv.ParseInt(token, 0, 64)
	_, floatErr := strconv.ParseFloat(token, 64)
	if errors.Is(intErr, strconv.ErrRange) || errors.Is(floatErr, strconv.ErrRange) {
		return d.refuse(ruleNumber, start, e.Message)
	}
	return d.refuse("", start, e.Message)
}

// invalidUTF8 returns where s stops being UTF-8, or -1.
func invalidUTF8(s string) int {
	if utf8.ValidString(s) {
		return -1
	}
	for i, r := range s {
		if _, size := utf8.DecodeRuneInString(s[i:]); r == utf8.RuneError && size == 1 {
			return i
		}
	}
	return -1
}

// isPlain reports whether both read a value alike for sure. Most are so, and need no path.
func isPlain(v any) bool {
	switch v := v.(type) {
	case string:
		return strings.IndexByte(v, 0) < 0
	case bool, int64:
		return true
	}
	return false
}

// refuseUnportable finds the values that Nix cannot read or reads differently.
func (d *Document) refuseUnportable(at Path, v any) {
	switch v := v.(type) {
	case map[string]any:
		for key, child := range v {
			if key == "outPath" || strings.HasPrefix(key, "_") {
				d.note(ruleKey, at.Child(key), "choose another name", "Nix gives keys that start with _, and outPath, a meaning of their own")
			}
			if !isPlain(child) {
				d.refuseUnportable(at.Child(key), child)
			}
		}
	case []map[string]any:
		for i, child := range v {
			d.refuseUnportable(at.Elem(i), child)
		}
	case []any:
		for i, child := range v {
			d.refuseUnportable(at.Elem(i), child)
		}
	case string:
		if strings.ContainsRune(v, 0) {
			d.note(ruleNUL, at, "remove it", "holds a NUL character, at which Nix ends a string")
		}
	case time.Time:
		d.note(ruleDate, at, "write it as a string", "dates and times are not supported")
	case float64:
		if math.IsInf(v, 0) || math.IsNaN(v) {
			d.note(ruleNumber, at, "", "inf and nan are not supported")
		}
	}
}

// Problemf notes a problem with the value at a path. The place is that of the
// nearest enclosing table when the path itself is not in the file. A path that has
// a problem, or is inside of one that has, gets no second: it would be its consequence.
func (d *Document) Problemf(at Path, hint, format string, args ...any) {
	d.note("", at, hint, format, args...)
}

func (d *Document) note(rule string, at Path, hint, format string, args ...any) {
	for outer := at; outer != ""; outer = outer.parent() {
		if d.noted[outer] {
			return
		}
	}
	if d.noted == nil {
		d.noted = map[Path]bool{}
	}
	d.noted[at] = true
	line, column := d.Position(at)
	d.problems = append(d.problems, Problem{
		File: d.name, Line: line, Column: column, Key: at, Text: fmt.Sprintf(format, args...), Hint: hint, Rule: rule,
	})
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

// Position returns where the value at a path, or the nearest table around it,
// starts: line and column from 1, or zeros when the values did not come from a text.
func (d *Document) Position(at Path) (line, column int) {
	for ; at != ""; at = at.parent() {
		if offset, ok := d.offsets[at]; ok {
			return d.lineAt(offset)
		}
	}
	return d.lineAt(0)
}

func (d *Document) lineAt(offset int) (line, column int) {
	if !d.parsed {
		return 0, 0
	}
	if d.lines == nil {
		d.lines = []int{0}
		for i := range len(d.src) {
			if d.src[i] == '\n' {
				d.lines = append(d.lines, i+1)
			}
		}
	}
	line, found := slices.BinarySearch(d.lines, offset)
	if found {
		line++ // the offset is a line's first
	}
	return line, 1 + utf8.RuneCountInString(d.src[d.lines[line-1]:offset])
}
