// Package strict reads TOML files and says everything that is wrong with them at
// once: each problem with file, line, key and what to do.
//
// The agent's settings and the registry are both read with it, so that both are
// equally strict. It knows the table of a check, which both have; it knows
// nothing else of what is in them.
package strict

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/BurntSushi/toml"
)

// MaxBytes bounds a file: a registry of 10,000 nodes has 5 MB.
const MaxBytes = 16 << 20

// A Document is a parsed file and what was found wrong with it so far.
type Document struct {
	name     string
	src      string
	parsed   bool          // from src; false: the values come from elsewhere
	source   *Document     // that the values were taken from; nil: none
	origins  map[Path]Path // where each was there
	root     map[string]any
	part     *Part
	later    bool         // see [Document.Later]
	offsets  map[Path]int // where each value starts; nil: not known yet
	lines    []int        // where each line starts; made when it is asked for
	fields   map[reflect.Type][]string
	problems []Problem
	noted    map[Path]bool // paths that have a problem
}

// Parse reads the TOML text data; name is the file's name in problems.
// A text that is not TOML is an [*Error] with the first place that is not, and what
// was found before it.
func Parse(name string, data []byte) (*Document, error) { return ParsePart(name, string(data), nil) }

// ParsePart is [Parse] for a long file of which only a part is wanted, which costs a
// tenth. The rest is not in the document, but what is no TOML there, and what Nix
// would read differently, is a problem all the same. A nil part is all.
func ParsePart(name, text string, part *Part) (*Document, error) {
	d := &Document{name: name, src: text, parsed: true, part: part}
	if len(text) > MaxBytes {
		return nil, d.refuse(ruleMeasure, 0, fmt.Sprintf("%d bytes are more than the limit of %d", len(text), MaxBytes), "")
	}
	if strings.HasPrefix(d.src, "\x00GITCRYPT\x00") {
		return nil, d.refuse("", 0, "is locked by git-crypt", "the agent does not decrypt: commit the file in the clear")
	}
	d.clean()
	found := scan(d.src, part, nil)
	for _, f := range found.problems {
		line, column := d.lineAt(f.offset)
		d.add(Problem{File: name, Line: line, Column: column, Key: f.at, Text: f.text, Hint: f.hint, Rule: f.rule})
	}
	if found.deep >= 0 {
		return nil, d.refuse(ruleMeasure, found.deep, fmt.Sprintf("nested more than %d levels deep", maxDepth), "")
	}
	located := func() {}
	if part == nil { // while the library reads, which takes longer
		located = beside(d.locate)
	}
	err := d.read(found)
	located()
	if err != nil {
		return nil, err
	}
	return d, nil
}

// beside runs f beside its caller. wait returns when f does, and panics as f did: the caller
// may recover what nobody else could.
func beside(f func()) (wait func()) {
	ended := make(chan any, 1)
	go func() {
		defer func() { ended <- recover() }()
		f()
	}()
	return func() {
		if bug := <-ended; bug != nil {
			panic(bug)
		}
	}
}

// clean notes the characters that no reader should be given, and replaces them, so
// that what else is wrong can be found.
func (d *Document) clean() {
	note := func(rule string, offset int, text, hint string) {
		line, column := d.lineAt(offset)
		d.problems = append(d.problems, Problem{File: d.name, Line: line, Column: column, Text: text, Hint: hint, Rule: rule})
	}
	if rest, ok := strings.CutPrefix(d.src, "\ufeff"); ok {
		note(ruleBOM, 0, "starts with a byte-order mark, which Nix and others read differently", "save it as plain UTF-8")
		d.src, d.lines = " "+rest, nil
	}
	if at := invalidUTF8(d.src); at >= 0 {
		note(ruleMeasure, at, "is not UTF-8 text", "save it as plain UTF-8")
		d.src, d.lines = strings.ToValidUTF8(d.src, "?"), nil
	}
	if at := strings.IndexByte(d.src, 0); at >= 0 {
		note(ruleNUL, at, "holds a NUL character, which Nix does not read", "remove it")
		d.src = strings.ReplaceAll(d.src, "\x00", "?")
	}
}

// read lets the library read what a scan found. Of a text that may be no TOML it
// reads all, in order to say what is wrong.
func (d *Document) read(found findings) error {
	if found.doubt == nil && found.cuts != nil {
		if _, err := toml.Decode(edited(d.src, slices.Concat(found.cuts, found.patches)...), &d.root); err == nil {
			return nil
		}
	}
	_, err := toml.Decode(edited(d.src, found.patches...), &d.root)
	if err == nil {
		return nil
	}
	at, ok := errors.AsType[toml.ParseError](err)
	if !ok {
		return d.refuse("", 0, strings.TrimPrefix(err.Error(), "toml: "), "")
	}
	start := min(max(0, at.Position.Start), len(d.src)) // the library's may be outside
	hint := ""
	if found.doubt != nil {
		line, _ := d.lineAt(start)
		if doubted, _ := d.lineAt(found.doubt.offset); doubted <= line {
			hint = found.doubt.hint
		}
	}
	return d.refuse("", start, at.Message, hint)
}

// refuse ends the reading. What was found after the place counts for nothing.
func (d *Document) refuse(rule string, offset int, text, hint string) error {
	line, column := d.lineAt(offset)
	d.problems = slices.DeleteFunc(d.problems, func(p Problem) bool {
		return cmp.Or(cmp.Compare(p.Line, line), cmp.Compare(p.Column, column)) > 0
	})
	d.problems = append(d.problems, Problem{File: d.name, Line: line, Column: column, Text: text, Hint: hint, Rule: rule})
	return d.Err()
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

// Position returns where the value at a path, or the nearest table around it,
// starts: line and column from 1, or zeros when the values did not come from a text.
func (d *Document) Position(at Path) (line, column int) {
	if d.source != nil {
		return d.source.Position(d.Origin(at))
	}
	if d.offsets == nil && d.parsed {
		d.locate()
	}
	for ; at != ""; at = at.parent() {
		if offset, ok := d.offsets[at]; ok {
			return d.lineAt(offset)
		}
	}
	return d.lineAt(0)
}

func (d *Document) locate() {
	d.offsets = map[Path]int{}
	scan(d.src, d.part, d.offsets)
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
