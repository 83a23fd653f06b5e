package strict

// A scope remembers what was defined how, to find the tables that are written in more
// than one place where TOML allows only one: the library merges them, or drops what
// was there before, and Nix refuses them.
//
// It has paths for headers, dotted keys, tables and lists only, not for each value.
type scope struct {
	table Path // that the last header opened
	kinds map[Path]definition
	lists map[Path]int // number of elements of each array of tables
}

type definition byte

const (
	above  definition = iota + 1 // a table above that of a header
	header                       // the table of a header
	tables                       // an array of tables
	dotted                       // a table of a dotted key
	closed                       // an inline table, or a list
)

func (s *scope) define(at Path, as definition) {
	if s.kinds == nil {
		s.kinds = map[Path]definition{}
	}
	s.kinds[at] = as
}

// open takes a header; it returns the table that it may not add to, or "".
func (s *scope) open(keys []string, isList bool) (complete Path) {
	if s == nil {
		return ""
	}
	s.table = ""
	for i, key := range keys {
		last := i == len(keys)-1
		s.table = s.table.Child(key)
		switch was := s.kinds[s.table]; {
		case was == closed, was == dotted && last:
			return s.table
		case last && isList || was == tables:
			s.define(s.table, tables)
			if s.lists == nil {
				s.lists = map[Path]int{}
			}
			if last && isList {
				s.lists[s.table]++
			}
			s.table = s.table.Elem(s.lists[s.table] - 1)
		case last:
			s.define(s.table, header)
		case was == 0:
			s.define(s.table, above)
		}
	}
	return ""
}

// add takes a pair; it returns the table that it may not add to, or "".
func (s *scope) add(keys []string, isClosed bool) (complete Path) {
	last := len(keys) - 1
	if s == nil || last < 0 || last == 0 && !isClosed {
		return ""
	}
	at := s.table
	for _, key := range keys[:last] {
		at = at.Child(key)
		if was := s.kinds[at]; was != 0 && was != dotted {
			return at
		}
		s.define(at, dotted)
	}
	if isClosed {
		s.define(at.Child(keys[last]), closed)
	}
	return ""
}
