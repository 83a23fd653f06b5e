package strict

import (
	"cmp"
	"slices"
	"strings"
)

// A Part is what is wanted of a long file: all but some of what is in the entries of
// one table.
type Part struct {
	Table  []string                     // its keys, from the file
	Wanted func(entry, key string) bool // whether a key of an entry is wanted, with all that is in it
}

// An edit is what the library is shown instead of a stretch of the text.
type edit struct {
	start, end int
	with       string
}

// edited is a text with edits. One that is inside of another does not count.
func edited(src string, edits ...edit) string {
	slices.SortFunc(edits, func(a, b edit) int { return cmp.Compare(a.start, b.start) })
	var b strings.Builder
	done := 0
	for _, e := range edits {
		if e.start < done {
			continue
		}
		b.WriteString(src[done:e.start])
		b.WriteString(e.with)
		done = e.end
	}
	b.WriteString(src[done:])
	return b.String()
}

// want looks at a key that the scanner comes to. What first names an entry is wanted in
// any case, so that every entry is there.
func (s *scanner) want(key string, isLast bool) {
	if s.part == nil || s.unwanted || !s.isInTable() {
		return
	}
	if s.named == nil {
		s.named = map[string]bool{}
	}
	entry := key
	if len(s.at) > len(s.part.Table) {
		entry, isLast = s.at[len(s.part.Table)].key, true
		s.unwanted = s.named[entry] && !s.part.Wanted(entry, key)
	}
	if isLast {
		s.named[entry] = true
	}
}

// isInTable reports whether the scanner is in the table that has the entries, or in
// one of them.
func (s *scanner) isInTable() bool {
	table := s.part.Table
	if len(s.at) != len(table) && len(s.at) != len(table)+1 {
		return false
	}
	for i, step := range s.at {
		if step.index >= 0 || i < len(table) && step.key != table[i] {
			return false
		}
	}
	return true
}

// cutUnwanted ends what is not wanted, and began at an offset.
func (s *scanner) cutUnwanted(start int) {
	if !s.unwanted {
		return
	}
	s.unwanted = false
	end := s.pos
	if strings.HasPrefix(s.src[end:], ",") { // of an inline table
		end++
	}
	if n := len(s.found.cuts); n > 0 && strings.TrimSpace(s.src[s.found.cuts[n-1].end:start]) == "" {
		s.found.cuts[n-1].end = end
		return
	}
	s.found.cuts = append(s.found.cuts, edit{start, end, ""})
}

// patch hides a value from the library.
func (s *scanner) patch(start int, token string) {
	s.found.patches = append(s.found.patches, edit{start, start + len(token), "0" + strings.Repeat(" ", len(token)-1)})
}
