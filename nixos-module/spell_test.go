//go:build integration

package nixosmodule

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// spell writes a table as a file.
func (w writer) spell(root map[string]any) string {
	var b strings.Builder
	w.body(&b, nil, root)
	return b.String()
}

// body writes what is in a table after its header: first pairs, then tables with
// headers of their own.
func (w writer) body(b *strings.Builder, path []string, table map[string]any) {
	var later []string
	keys := slices.Sorted(maps.Keys(table))
	w.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	for _, key := range keys {
		child, isTable := table[key].(map[string]any)
		switch {
		case isTable && len(child) > 0 && w.IntN(3) == 0:
			w.dots(b, []string{key}, child)
		case isTable && w.IntN(3) > 0, isTables(table[key]) && w.coin():
			later = append(later, key)
		default:
			w.pair(b, []string{key}, table[key])
		}
		if w.IntN(4) == 0 {
			b.WriteString(pick(w, "\n", "# a comment = [1\n", "  \t\n", "\r\n"))
		}
	}
	for _, key := range later {
		path := append(slices.Clone(path), key)
		if child, ok := table[key].(map[string]any); ok {
			fmt.Fprintf(b, "[%s]%s\n", w.key(path), pick(w, "", " # x"))
			w.body(b, path, child)
			continue
		}
		for _, element := range table[key].([]any) {
			fmt.Fprintf(b, "[[%s]]\n", w.key(path))
			w.body(b, path, element.(map[string]any))
		}
	}
}

// isTables reports whether a value can be written with [[headers]].
func isTables(v any) bool {
	list, ok := v.([]any)
	return ok && len(list) > 0 && !slices.ContainsFunc(list, func(v any) bool { _, is := v.(map[string]any); return !is })
}

// dots writes a table as pairs with dotted keys.
func (w writer) dots(b *strings.Builder, path []string, table map[string]any) {
	for _, key := range slices.Sorted(maps.Keys(table)) {
		path := append(slices.Clone(path), key)
		if child, ok := table[key].(map[string]any); ok && len(child) > 0 && w.coin() {
			w.dots(b, path, child)
		} else {
			w.pair(b, path, table[key])
		}
	}
}

func (w writer) pair(b *strings.Builder, path []string, v any) {
	fmt.Fprintf(b, "%s%s=%s%s%s\n", w.key(path), pick(w, "", " "), pick(w, "", " "), w.inline(v), pick(w, "", " # c"))
}

func (w writer) key(path []string) string {
	var parts []string
	for _, key := range path {
		bare := key != "" && strings.Trim(key, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") == ""
		switch {
		case bare && w.coin():
			parts = append(parts, key)
		case isLiteral(key) && w.coin():
			parts = append(parts, "'"+key+"'")
		default:
			parts = append(parts, w.basic(key))
		}
	}
	return strings.Join(parts, pick(w, ".", " . "))
}

func (w writer) inline(v any) string {
	switch v := v.(type) {
	case string:
		return w.string(v)
	case int64:
		return w.number(v)
	case float64:
		text := strconv.FormatFloat(v, byte(pick(w, 'e', 'g')), -1, 64)
		if !strings.ContainsAny(text, ".e") {
			text += ".0"
		}
		return text
	case []any:
		var parts []string
		for _, child := range v {
			parts = append(parts, w.inline(child))
		}
		gap := pick(w, "", " ", "\n", " # c\n")
		text := "[" + gap + strings.Join(parts, ","+gap)
		if len(parts) > 0 && w.coin() {
			text += ","
		}
		return text + gap + "]"
	case map[string]any:
		var parts []string
		for _, key := range slices.Sorted(maps.Keys(v)) {
			parts = append(parts, w.key([]string{key})+" = "+w.inline(v[key]))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
	return fmt.Sprint(v)
}

func (w writer) number(n int64) string {
	switch w.IntN(5) {
	case 0:
		if n >= 0 {
			return fmt.Sprintf(pick(w, "0x%x", "0x%X", "0o%o", "0b%b"), n)
		}
	case 1:
		if n >= 1000 {
			return fmt.Sprintf("%d_%03d", n/1000, n%1000)
		}
	}
	return strconv.FormatInt(n, 10)
}

// isLiteral reports whether a text can stand between single quotes.
func isLiteral(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r == '\'' || r == 0x7f || r < ' ' && r != '\t' })
}

func (w writer) string(s string) string {
	inLines := !strings.ContainsFunc(s, func(r rune) bool { return r == 0x7f || r < ' ' && r != '\t' && r != '\n' })
	switch {
	case isLiteral(s) && w.coin():
		return "'" + s + "'"
	case inLines && !strings.Contains(s, "'''") && !strings.HasSuffix(s, "'") && w.coin():
		return "'''\n" + s + "'''"
	case w.coin():
		text := w.basic(s)
		return `"""` + "\n" + strings.ReplaceAll(text[1:len(text)-1], `\n`, pick(w, `\n`, "\n")) + `"""`
	}
	return w.basic(s)
}

// basic writes a text between double quotes.
func (w writer) basic(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\n':
			b.WriteString(`\n`)
		case r == '"' || r == '\\':
			b.WriteString(`\` + string(r))
		case r < ' ' && r != '\t' || r == 0x7f || w.IntN(8) == 0:
			fmt.Fprintf(&b, "\\U%08X", r)
		default:
			b.WriteRune(r)
		}
	}
	return `"` + b.String() + `"`
}
