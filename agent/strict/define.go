package strict

import "hash/maphash"

// A scope remembers what was defined how, to find the tables that are written in more
// than one place where TOML allows only one: the library merges them, or drops what
// was there before, and Nix refuses them.
//
// What else is defined twice is an error of the library's. Tables go by a
// hash of their path: of paths there are as many as the file has lines.
type scope struct {
	table uint64 // that the last header opened
	kinds map[uint64]definition
	lists map[uint64]int // number of elements of each array of tables

	indices []int // that open returned
}

type definition byte

const (
	above  definition = iota + 1 // a table above that of a header
	header                       // the table of a header
	tables                       // an array of tables
	dotted                       // a table of a dotted key
	closed                       // an inline table, or a list
	plain                        // any other value
)

var seed = maphash.MakeSeed()

func child(table uint64, key string) uint64 {
	return (table^0x9e3779b97f4a7c15)*0xff51afd7ed558ccd + maphash.String(seed, key)
}

func element(table uint64, i int) uint64 { return child(table, "") + uint64(i) }

func (s *scope) define(table uint64, as definition) {
	if s.kinds == nil {
		s.kinds = map[uint64]definition{}
	}
	s.kinds[table] = as
}

// open takes a header. It returns the index of the element at each key that is an
// array of tables, else -1; how many of the keys name a table that it may not add to;
// and whether the same may be defined already.
func (s *scope) open(keys []string, isList bool) (indices []int, complete int, twice bool) {
	s.table = 0
	for i, key := range keys {
		last := i == len(keys)-1
		s.table = child(s.table, key)
		s.indices = append(s.indices[:i], -1)
		switch was := s.kinds[s.table]; {
		case complete > 0:
		case was == closed, was == dotted && last:
			complete = i + 1
		case last && isList || was == tables:
			twice = twice || was != tables && was != 0 || last && !isList
			s.define(s.table, tables)
			if s.lists == nil {
				s.lists = map[uint64]int{}
			}
			if last && isList {
				s.lists[s.table]++
			}
			s.indices[i] = s.lists[s.table] - 1
			s.table = element(s.table, s.indices[i])
		case last:
			twice = twice || was == header || was == plain
			s.define(s.table, header)
		case was == 0:
			s.define(s.table, above)
		case was == plain:
			twice = true
		}
	}
	return s.indices, complete, twice
}

// add takes a pair; it returns the same.
func (s *scope) add(keys []string, isClosed bool) (complete int, twice bool) {
	last := len(keys) - 1
	at := s.table
	for i, key := range keys[:last] {
		at = child(at, key)
		switch was := s.kinds[at]; was {
		case 0, dotted:
			s.define(at, dotted)
		case plain:
			return 0, true
		default:
			return i + 1, false
		}
	}
	at = child(at, keys[last])
	if s.kinds[at] != 0 {
		return 0, true
	}
	as := plain
	if isClosed {
		as = closed
	}
	s.define(at, as)
	return 0, false
}
