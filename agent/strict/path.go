package strict

import (
	"strconv"
	"strings"
)

// A Path names a value as a person would write it: source.remotes[0].url,
// nodes."build01.example.org".system. The empty path is the file itself.
type Path string

// Child returns the path of a key of the table at p.
func (p Path) Child(key string) Path {
	if !bare(key) {
		key = strconv.Quote(key)
	}
	if p == "" {
		return Path(key)
	}
	return p + "." + Path(key)
}

// Elem returns the path of an element of the list at p.
func (p Path) Elem(i int) Path { return p + Path("["+strconv.Itoa(i)+"]") }

// Within reports whether p is the path outer, or of a value inside of that one.
func (p Path) Within(outer Path) bool {
	rest, ok := strings.CutPrefix(string(p), string(outer))
	return ok && (outer == "" || rest == "" || rest[0] == '.' || rest[0] == '[')
}

// parent returns the path without its last key or index.
func (p Path) parent() Path {
	quoted, cut := false, 0
	for i := 0; i < len(p); i++ {
		switch {
		case quoted && p[i] == '\\':
			i++
		case p[i] == '"':
			quoted = !quoted
		case !quoted && (p[i] == '.' || p[i] == '['):
			cut = i
		}
	}
	return p[:cut]
}

// bare reports whether a key needs no quotes. It is asked for every key of a file.
func bare(key string) bool {
	for i := range len(key) {
		c := key[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && c != '_' && c != '-' {
			return false
		}
	}
	return key != ""
}
