package registry

import (
	"bytes"
	"slices"
	"strings"

	"github.com/infra-agent/infra-agent/agent/strict"
)

// narrow leaves out of a TOML registry the tables of nodes that cannot go by one of
// the names; lines stay where they are. So a fleet of 10,000 nodes costs a node a
// look at its own entry, and a mistake in another node's table does not hold this
// one ("registry check" finds it). Whoever is named in any way stays, so that an
// ambiguity is still seen.
func narrow(data []byte, names []string) []byte {
	if len(data) > strict.MaxBytes {
		return data
	}
	src := string(data)
	lower := strings.ToLower(src)
	if len(lower) != len(src) { // a character whose lower case is longer
		return data
	}
	named := func(from, to int) bool {
		return strings.ContainsRune(src[from:to], '\\') || slices.ContainsFunc(names, func(name string) bool {
			return name != "" && strings.Contains(lower[from:to], strings.ToLower(name))
		})
	}
	sections := strict.Sections(src)
	keep := map[string]bool{}
	for _, s := range sections {
		if s.In("nodes") && named(s.Start, s.End) {
			keep[s.Keys[1]] = true
		}
	}
	if len(keep) == 0 { // it holds anyway: then see all of it, to say why
		return data
	}
	var out bytes.Buffer
	out.Grow(len(data) / 8)
	done := 0
	for _, s := range sections {
		if !s.In("nodes") || keep[s.Keys[1]] {
			continue
		}
		out.WriteString(src[done:s.Start])
		out.Write(bytes.Repeat([]byte("\n"), strings.Count(src[s.Start:s.End], "\n")))
		done = s.End
	}
	out.WriteString(src[done:])
	return out.Bytes()
}
