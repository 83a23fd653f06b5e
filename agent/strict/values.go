package strict

import (
	"math"
	"strings"
)

// FromValues makes a document of values that were decoded from something else
// than TOML: maps, lists, strings, booleans, int64, float64, and nil in lists. Its
// problems have no lines.
func FromValues(name string, root map[string]any) *Document {
	d := &Document{name: name, root: root}
	d.refuseUnportable("", root)
	return d
}

// Derive makes a document of values that were taken from d. Its problems are said of
// where they come from: origins has the paths in d, by those in the new document, of
// values and of all that is in them.
func (d *Document) Derive(root map[string]any, origins map[Path]Path) *Document {
	derived := &Document{name: d.name, root: root, source: d, origins: origins}
	derived.refuseUnportable("", root)
	return derived
}

// Origin returns the path in the source of what is at a path; the path itself where the
// document was not derived.
func (d *Document) Origin(at Path) Path {
	for outer := at; outer != ""; outer = outer.parent() {
		if from, ok := d.origins[outer]; ok {
			return from + at[len(outer):]
		}
	}
	return at
}

// isPlain reports whether both read a value alike for sure. Most are so, and need no path.
func isPlain(v any) bool {
	switch v := v.(type) {
	case string:
		return strings.IndexByte(v, 0) < 0
	case bool, int64:
		return true
	}
	return false
}

// refuseUnportable finds what the scan of a text would have found.
func (d *Document) refuseUnportable(at Path, v any) {
	switch v := v.(type) {
	case map[string]any:
		for key, child := range v {
			if key == "outPath" || strings.HasPrefix(key, "_") {
				d.note(ruleKey, at.Child(key), "choose another name", "Nix gives keys that start with _, and outPath, a meaning of their own")
			}
			if !isPlain(child) {
				d.refuseUnportable(at.Child(key), child)
			}
		}
	case []any:
		for i, child := range v {
			d.refuseUnportable(at.Elem(i), child)
		}
	case string:
		if strings.ContainsRune(v, 0) {
			d.note(ruleNUL, at, "remove it", "holds a NUL character, at which Nix ends a string")
		}
	case float64:
		if math.IsInf(v, 0) || math.IsNaN(v) {
			d.note(ruleNumber, at, "", "inf and nan are not supported")
		}
	}
}
