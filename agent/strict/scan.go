package strict

import "strings"

// maxDepth bounds how deep tables and lists may be nested: the TOML library
// recurses, and spends memory on the square of a dotted key's length.
const maxDepth = 8

// findings are what a scan saw.
type findings struct {
	problems []finding
	deep     int    // offset of a key or value nested deeper than maxDepth, or -1
	doubt    *doubt // the first; nil: the text is TOML for sure
	patches  []edit // of values that the library would stop at
	cuts     []edit // of what is not wanted
}

// A finding is something that Nix refuses or reads differently, and the library does not.
type finding struct {
	rule       string
	offset     int
	at         Path // "": of the text rather than a value
	text, hint string
}

// A doubt is where a text may be no TOML. Only the library decides.
type doubt struct {
	offset int
	hint   string // what to write instead; may be empty
}

// scan reads src without making anything of it. Unless offsets is nil it notes there
// where each key and list element starts, which the TOML library does not tell. For a
// text that is not TOML it notes any.
func scan(src string, part *Part, offsets map[Path]int) findings {
	s := &scanner{src: src, part: part, offsets: offsets, found: findings{deep: -1}}
	s.scope = &scope{kinds: make(map[uint64]definition, len(src)/64)} // a guess; to grow costs more than to read
	s.file()
	return s.found
}

type scanner struct {
	src     string
	pos     int
	at      []step // where it is
	keys    []string
	depth   int // of what it reads: steps of a list of tables do not count
	offsets map[Path]int
	scope   *scope // the file, or the inline table that is being read
	found   findings

	part     *Part // nil: all is wanted
	unwanted bool  // what it reads
	named    map[string]bool
}

// A step is a key, or the index of an element.
type step struct {
	key    string
	index  int // -1 for a key
	offset int
}

func (s *scanner) file() {
	section := 0
	for s.space(); s.more(); s.space() {
		start := s.pos
		if s.src[start] == '[' {
			s.cutUnwanted(section)
			section = start
			s.header()
		} else {
			s.pair()
		}
		s.lineEnd()
		s.progress(start)
	}
	s.cutUnwanted(section)
}

// header reads [a.b] or [[a.b]].
func (s *scanner) header() {
	start, opening := s.pos, "["
	if s.has("[[") {
		opening = "[["
	}
	s.pos += len(opening)
	keys := s.key()
	indices, complete, twice := s.scope.open(keys, opening == "[[")
	s.at = s.at[:0]
	for i, key := range keys {
		s.enter(key, start, i == len(keys)-1)
		s.once(start, i+1 == complete, twice)
		if indices[i] >= 0 {
			s.step("", indices[i], start)
		}
	}
	s.depth = len(keys)
	if !s.has("]]"[:len(opening)]) {
		s.doubt(start, "close the brackets of the header")
		return
	}
	s.pos += len(opening)
}

// pair reads a.b = value within a table.
func (s *scanner) pair() {
	start, outer, depth, wanted := s.pos, len(s.at), s.depth, !s.unwanted
	keys := s.key()
	isPair := s.has("=")
	if isPair {
		s.pos++
		s.skip(" \t")
	}
	complete, twice := s.scope.add(keys, s.has("{") || s.has("["))
	for i, key := range keys {
		s.enter(key, start, i == len(keys)-1)
		s.once(start, i+1 == complete, twice)
	}
	s.depth += len(keys)
	if isPair {
		s.value()
	} else {
		s.doubt(start, "write KEY = VALUE")
		s.pos += until(s.src[s.pos:], ",}\n")
	}
	if wanted {
		s.cutUnwanted(start)
	}
	s.at, s.depth = s.at[:outer], depth
}

func (s *scanner) value() {
	switch {
	case s.depth > maxDepth:
		s.tooDeep(s.pos)
	case s.has(`"`) || s.has("'"):
		if _, hasNUL := s.text(); hasNUL {
			s.say(ruleNUL, "remove it", "holds a NUL character, at which Nix ends a string")
		}
	case s.has("["):
		s.depth++
		s.list(']', func(i int) {
			s.step("", i, s.pos)
			s.value()
			s.at = s.at[:len(s.at)-1]
		})
		s.depth--
	case s.has("{"):
		outer := s.scope
		s.scope = &scope{}
		s.list('}', func(int) { s.pair() })
		s.scope = outer
	default:
		s.scalar()
	}
}

// list reads the elements up to the closing bracket.
func (s *scanner) list(end byte, element func(i int)) {
	start := s.pos
	s.pos++
	for i := 0; ; i++ {
		gap, comma, commas := s.pos, -1, 0
		for s.space(); s.has(","); s.space() {
			comma = s.pos
			commas++
			s.pos++
		}
		if !s.more() {
			s.doubt(start, "close the bracket")
			return
		}
		if end == '}' {
			s.inlineGap(gap, comma)
		}
		isEnd := s.src[s.pos] == end
		if commas > 1 || i == 0 && commas > 0 || i > 0 && commas == 0 && !isEnd {
			s.doubt(s.pos, "write one comma between two elements")
		}
		if isEnd {
			s.pos++
			return
		}
		start := s.pos
		element(i)
		s.progress(start)
	}
}

// inlineGap validates what is before a pair of an inline table, or before its end.
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

// enter goes to a key of the table where the scanner is.
func (s *scanner) enter(key string, offset int, isLast bool) {
	s.want(key, isLast)
	s.step(key, -1, offset)
	if key == "outPath" || strings.HasPrefix(key, "_") {
		s.say(ruleKey, "choose another name", "Nix gives keys that start with _, and outPath, a meaning of their own")
	}
	if strings.IndexByte(key, 0) >= 0 {
		s.say(ruleNUL, "choose another name", "the key holds a NUL character, at which Nix ends it")
	}
}

func (s *scanner) step(key string, index, offset int) {
	s.at = append(s.at, step{key, index, offset})
	if s.offsets == nil || s.unwanted {
		return
	}
	at := s.path()
	if _, ok := s.offsets[at]; !ok {
		s.offsets[at] = offset
	}
}

func (s *scanner) path() Path {
	var at Path
	for _, step := range s.at {
		if step.index >= 0 {
			at = at.Elem(step.index)
		} else {
			at = at.Child(step.key)
		}
	}
	return at
}

// once refuses a table that is written a second time. Of other things that are, only
// the library knows whether they may be.
func (s *scanner) once(offset int, isComplete, twice bool) {
	if isComplete {
		s.refuse(offset, "adds to "+string(s.path())+", which is complete where it is written: TOML, and Nix, refuse that", "write all of it in one place")
	}
	if twice {
		s.doubt(offset, "")
	}
}

// refuse notes syntax that the library takes.
func (s *scanner) refuse(offset int, text, hint string) {
	s.found.problems = append(s.found.problems, finding{ruleSyntax, offset, "", text, hint})
}

// say notes a problem of the value where the scanner is.
func (s *scanner) say(rule, hint, text string) {
	s.found.problems = append(s.found.problems, finding{rule, s.at[len(s.at)-1].offset, s.path(), text, hint})
}

func (s *scanner) doubt(offset int, hint string) {
	if s.found.doubt == nil {
		s.found.doubt = &doubt{offset, hint}
	}
}

// tooDeep notes the place and ends the scan.
func (s *scanner) tooDeep(offset int) {
	s.found.deep, s.pos = offset, len(s.src)
}
