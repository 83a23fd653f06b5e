package strict

// A Section is a header such as [nodes.web-01] with the lines up to the next one.
type Section struct {
	Keys       []string // of the header
	Start, End int      // in bytes
}

// In reports whether the section is of one element of a table of the file, or of a
// table inside of it: [nodes.web-01.proxy] is one in nodes.
func (s Section) In(table string) bool { return len(s.Keys) > 1 && s.Keys[0] == table }

// Sections lists the headers of a TOML text; what is before the first is none.
func Sections(src string) []Section {
	s := &scanner{src: src, tables: map[Path]int{}, found: findings{deep: -1}} // without a scope: the reader finds what is wrong
	s.file()
	return s.found.sections
}
