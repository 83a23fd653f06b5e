package strict

import (
	"strconv"
	"strings"
)

// maxDepth bounds how deep tables and lists may be nested: the TOML library
// recurses, and spends memory on the square of a dotted key's length.
const maxDepth = 8

// findings are what a scan saw.
type findings struct {
	deep       int          // offset of a key or value nested deeper than maxDepth, or -1
	unportable []unportable // syntax of TOML 1.1, which the library takes and Nix refuses
	sections   []Section
}

type unportable struct {
	offset     int
	text, hint string
}

// scan notes in offsets, unless it is nil, where in src each key and list element
// starts, which the TOML library does not tell. For a text that is not TOML it
// notes any offsets.
func scan(src string, offsets map[Path]int) findings {
	s := &scanner{src: src, offsets: offsets, tables: map[Path]int{}, scope: &scope{}, found: findings{deep: -1}}
	s.file()
	return s.found
}

type scanner struct {
	src     string
	pos     int
	offsets map[Path]int
	tables  map[Path]int // number of elements of each array of tables
	scope   *scope       // the file, or the inline table that is being read; nil: nobody wants to know
	found   findings
}

func (s *scanner) file() {
	table, depth := Path(""), 0
	for s.space(); s.more(); s.space() {
		start := s.pos
		switch {
		case strings.HasPrefix(s.src[s.pos:], "[["):
			table, depth = s.header("[[")
		case s.src[s.pos] == '[':
			table, depth = s.header("[")
		default:
			s.pair(table, depth)
		}
		s.progress(start)
	}
}

// header reads [a.b] or [[a.b]] and returns the path of the table that it opens.
func (s *scanner) header(opening string) (table Path, depth int) {
	start := s.pos
	s.pos += len(opening)
	keys := s.key()
	if n := len(s.found.sections); n > 0 {
		s.found.sections[n-1].End = start
	}
	s.found.sections = append(s.found.sections, Section{keys, start, len(s.src)})
	s.once(start, s.scope.open(keys, opening == "[["))
	for i, key := range keys {
		table = s.child(table, key)
		s.note(table, start)
		n, isList := s.tables[table]
		switch {
		case opening == "[[" && i == len(keys)-1:
			s.tables[table]++
			table = s.elem(table, n)
			s.note(table, start)
		case isList:
			table = s.elem(table, n-1)
		}
	}
	s.skip("] \t")
	return table, len(keys)
}

// pair reads a.b = value within a table.
func (s *scanner) pair(table Path, depth int) {
	start := s.pos
	keys := s.key()
	for _, key := range keys {
		table = s.child(table, key)
		s.note(table, start)
	}
	if s.more() && s.src[s.pos] == '=' {
		s.pos++
		s.skip(" \t")
		s.once(start, s.scope.add(keys, s.more() && (s.src[s.pos] == '{' || s.src[s.pos] == '[')))
		s.value(table, depth+len(keys))
	}
}

func (s *scanner) value(at Path, depth int) {
	s.skip(" \t")
	switch {
	case !s.more():
	case depth > maxDepth:
		s.tooDeep(s.pos)
	case s.src[s.pos] == '"' || s.src[s.pos] == '\'':
		s.text()
	case s.src[s.pos] == '[':
		s.list(']', func(i int) {
			at := s.elem(at, i)
			s.note(at, s.pos)
			s.value(at, depth+1)
		})
	case s.src[s.pos] == '{':
		outer := s.scope
		if outer != nil {
			s.scope = &scope{}
		}
		s.list('}', func(int) { s.pair(at, depth) })
		s.scope = outer
	default:
		s.pos += until(s.src[s.pos:], ",]}#\n")
	}
}

// list reads the elements up to the closing bracket.
func (s *scanner) list(end byte, element func(i int)) {
	s.pos++
	for i := 0; ; i++ {
		gap, comma := s.pos, -1
		s.space()
		for s.more() && s.src[s.pos] == ',' {
			comma = s.pos
			s.pos++
			s.space()
		}
		if !s.more() {
			return
		}
		if end == '}' {
			s.inlineGap(gap, comma)
		}
		if s.src[s.pos] == end {
			s.pos++
			return
		}
		start := s.pos
		element(i)
		s.progress(start)
	}
}

// inlineGap judges what is before a pair of an inline table, or before its end.
// Until TOML 1.1 an inline table has one line, and no comma at its end.
func (s *scanner) inlineGap(start, comma int) {
	const newer = " in an inline table is TOML 1.1, which Nix does not read"
	if at := strings.IndexByte(s.src[start:s.pos], '\n'); at >= 0 {
		s.refuse(start+at, "a line end"+newer, "write it on one line, or as a table of its own")
	}
	if comma >= 0 && s.src[s.pos] == '}' {
		s.refuse(comma, "a comma at the end"+newer, "remove the comma")
	}
}

// once refuses what adds to a table that is complete; "" is none.
func (s *scanner) once(offset int, complete Path) {
	if complete != "" {
		s.refuse(offset, "adds to "+string(complete)+", which is complete where it is written: TOML, and Nix, refuse that", "write all of it in one place")
	}
}

func (s *scanner) refuse(offset int, text, hint string) {
	s.found.unportable = append(s.found.unportable, unportable{offset, text, hint})
}

// key reads a dotted key.
func (s *scanner) key() []string {
	start := s.pos
	var keys []string
	for {
		s.skip(" \t")
		if !s.more() {
			return keys
		}
		if c := s.src[s.pos]; c == '"' || c == '\'' {
			keys = append(keys, s.text())
		} else {
			n := until(s.src[s.pos:], " \t\r\n.=[]{},#")
			keys = append(keys, s.src[s.pos:s.pos+n])
			s.pos += n
		}
		s.skip(" \t")
		if len(keys) > maxDepth {
			s.tooDeep(start)
			return keys
		}
		if !s.more() || s.src[s.pos] != '.' {
			return keys
		}
		s.pos++
	}
}

// text reads a string of any of the four kinds and returns what it says when it
// has one line, as a key has.
func (s *scanner) text() string {
	quote := s.src[s.pos : s.pos+1]
	if triple := strings.Repeat(quote, 3); strings.HasPrefix(s.src[s.pos:], triple) {
		quote = triple
	}
	start := s.pos
	s.pos += len(quote)
	for s.more() && !strings.HasPrefix(s.src[s.pos:], quote) {
		if s.src[s.pos] == '\\' && quote[0] == '"' {
			s.pos++
			if s.more() && (s.src[s.pos] == 'e' || s.src[s.pos] == 'x') {
				s.refuse(s.pos-1, "the escape \\"+s.src[s.pos:s.pos+1]+" is TOML 1.1, which Nix does not read", `write \u and four digits`)
			}
		}
		s.pos++
	}
	s.pos = min(s.pos+len(quote), len(s.src))
	if len(quote) == 3 {
		s.skip(quote[:1]) // up to two quotes may end the text itself
		return ""
	}
	raw := s.src[start:s.pos]
	if quote == "'" {
		return strings.Trim(raw, "'")
	}
	if said, err := strconv.Unquote(raw); err == nil {
		return said
	}
	return raw
}

// child and elem make no paths when nobody wants to know them: in a long file they
// cost more than all the rest.
func (s *scanner) child(at Path, key string) Path {
	if s.offsets == nil {
		return ""
	}
	return at.Child(key)
}

func (s *scanner) elem(at Path, i int) Path {
	if s.offsets == nil {
		return ""
	}
	return at.Elem(i)
}

func (s *scanner) note(at Path, offset int) {
	if s.offsets == nil {
		return
	}
	if _, ok := s.offsets[at]; !ok {
		s.offsets[at] = offset
	}
}

// tooDeep notes the place and ends the scan.
func (s *scanner) tooDeep(offset int) {
	s.found.deep, s.pos = offset, len(s.src)
}

// space skips white space, line ends and comments.
func (s *scanner) space() {
	for {
		s.skip(" \t\r\n")
		if !s.more() || s.src[s.pos] != '#' {
			return
		}
		s.pos += until(s.src[s.pos:], "\n")
	}
}

func (s *scanner) skip(set string) {
	for s.more() && strings.IndexByte(set, s.src[s.pos]) >= 0 {
		s.pos++
	}
}

// progress makes sure that a text that is not TOML cannot stop the scan.
func (s *scanner) progress(start int) {
	if s.pos == start {
		s.pos++
	}
}

func (s *scanner) more() bool { return s.pos < len(s.src) }

func until(s, set string) int {
	if i := strings.IndexAny(s, set); i >= 0 {
		return i
	}
	return len(s)
}
