package strict

import (
	"strconv"
	"strings"
)

// maxDepth bounds how deep tables and lists may be nested: the TOML library
// recurses, and spends memory on the square of a dotted key's length.
const maxDepth = 16

// scan finds where in src each key and list element starts, which the TOML
// library does not tell. It judges nothing else: for a text that is not TOML it
// returns any offsets. deep is the offset of a key or value nested deeper than
// maxDepth, or -1.
func scan(src string) (offsets map[Path]int, deep int) {
	s := &scanner{src: src, offsets: map[Path]int{}, tables: map[Path]int{}, deep: -1}
	s.file()
	return s.offsets, s.deep
}

type scanner struct {
	src     string
	pos     int
	offsets map[Path]int
	tables  map[Path]int // number of elements of each array of tables
	deep    int
}

func (s *scanner) file() {
	table, depth := Path(""), 0
	for s.space(); s.more(); s.space() {
		start := s.pos
		switch {
		case strings.HasPrefix(s.src[s.pos:], "[["):
			s.pos += 2
			table, depth = s.header(true)
		case s.src[s.pos] == '[':
			s.pos++
			table, depth = s.header(false)
		default:
			s.pair(table, depth)
		}
		s.progress(start)
	}
}

// header reads [a.b] or [[a.b]] and returns the path of the table that it opens.
func (s *scanner) header(list bool) (table Path, depth int) {
	start := s.pos
	keys := s.key()
	for i, key := range keys {
		table = table.Child(key)
		s.note(table, start)
		n, isList := s.tables[table]
		switch {
		case list && i == len(keys)-1:
			s.tables[table]++
			table = table.Elem(n)
			s.note(table, start)
		case isList:
			table = table.Elem(n - 1)
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
		table = table.Child(key)
		s.note(table, start)
	}
	if s.more() && s.src[s.pos] == '=' {
		s.pos++
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
			s.note(at.Elem(i), s.pos)
			s.value(at.Elem(i), depth+1)
		})
	case s.src[s.pos] == '{':
		s.list('}', func(int) { s.pair(at, depth) })
	default:
		s.pos += until(s.src[s.pos:], ",]}#\n")
	}
}

// list reads the elements up to the closing bracket.
func (s *scanner) list(end byte, element func(i int)) {
	s.pos++
	for i := 0; ; i++ {
		s.space()
		for s.more() && s.src[s.pos] == ',' {
			s.pos++
			s.space()
		}
		if !s.more() {
			return
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

func (s *scanner) note(at Path, offset int) {
	if _, ok := s.offsets[at]; !ok {
		s.offsets[at] = offset
	}
}

// tooDeep notes the place and ends the scan.
func (s *scanner) tooDeep(offset int) {
	s.deep, s.pos = offset, len(s.src)
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
