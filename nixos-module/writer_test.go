//go:build integration

package nixosmodule

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
)

// A writer makes random registries, and writes them in random spellings of TOML.
type writer struct{ *rand.Rand }

func newWriter(seed uint64) writer { return writer{rand.New(rand.NewPCG(seed, 1))} }

func (w writer) coin() bool { return w.IntN(2) == 0 }

func pick[T any](w writer, of ...T) T { return of[w.IntN(len(of))] }

// registry is a valid registry; all that TOML can say is in meta, which is free.
func (w writer) registry() map[string]any {
	nodes, roles := map[string]any{}, map[string]any{}
	for range w.IntN(5) {
		roles[w.name()] = w.some(map[string]func() any{
			"description": func() any { return w.text() },
			"implied":     func() any { return w.coin() },
			"implies":     func() any { return w.names() },
			"checks": func() any {
				return map[string]any{w.name(): map[string]any{"kind": "tcp", "target": "{address}:53", "successes": int64(1 + w.IntN(5))}, w.name(): false}
			},
			"max_unavailable": func() any { return int64(w.IntN(1000)) },
		})
	}
	for range w.IntN(5) {
		name := w.name()
		if w.coin() {
			name += ".example.org"
		}
		nodes[name] = w.some(map[string]func() any{
			"roles":       func() any { return w.names() },
			"tags":        func() any { return []any{w.text(), w.text()} },
			"vmid":        func() any { return w.integer() },
			"vmid_reason": func() any { return w.text() },
			"managed":     func() any { return w.coin() },
			"proxy":       func() any { return map[string]any{"port": int64(1 + w.IntN(65535)), "subdomains": []any{w.text()}} },
			"naming":      func() any { return map[string]any{"exempt": true, "reason": "r" + w.text()} },
			"meta":        func() any { return w.value(4) },
		})
	}
	return map[string]any{"schema": int64(1), "fleet": map[string]any{"name": w.text()}, "nodes": nodes, "roles": roles}
}

// some makes some of the values.
func (w writer) some(of map[string]func() any) map[string]any {
	made := map[string]any{}
	for _, key := range slices.Sorted(maps.Keys(of)) { // so that a seed makes one file
		if w.coin() {
			made[key] = of[key]()
		}
	}
	return made
}

func (w writer) name() string {
	return pick(w, "dns", "web", "Starr-x", "a_b", "0", "k8s-01", "x.y") + strconv.Itoa(w.IntN(100))
}

func (w writer) names() []any {
	names := []any{}
	for range w.IntN(4) {
		names = append(names, w.name())
	}
	return names
}

// value is any value that has depth levels at most.
func (w writer) value(depth int) any {
	kinds := 6
	if depth <= 0 {
		kinds = 4
	}
	switch w.IntN(kinds) {
	case 0:
		return w.text()
	case 1:
		return w.integer()
	case 2:
		return w.fraction()
	case 3:
		return w.coin()
	case 4:
		list := []any{}
		tables := w.coin() // these may be written as [[a]]
		for range w.IntN(4) {
			if tables {
				list = append(list, w.table(depth-2))
			} else {
				list = append(list, w.value(depth-1))
			}
		}
		return list
	default:
		return w.table(depth - 1)
	}
}

func (w writer) table(depth int) map[string]any {
	made := map[string]any{}
	for range w.IntN(4) {
		key := w.name()
		if w.IntN(3) == 0 {
			key = "k" + w.text() // not _, and not outPath
		}
		made[key] = w.value(depth)
	}
	return made
}

func (w writer) integer() int64 {
	return pick(w, int64(w.IntN(100)), -int64(w.IntN(100)), math.MaxInt64, math.MinInt64, int64(w.Uint64()))
}

func (w writer) fraction() float64 {
	f := math.Float64frombits(w.Uint64())
	if math.IsNaN(f) || math.IsInf(f, 0) || w.coin() {
		return float64(w.IntN(1_000_000)) / 1000
	}
	return f
}

func (w writer) text() string {
	var b strings.Builder
	for range w.IntN(8) {
		b.WriteString(pick(w, "a", "Z", " ", "é", "漢", "😀", `"`, "'", `\`, "#", "=", "[", "]", "{", "}", ",", ".", "\n", "\t", "\r", "\x01", "\x1f", "\x7f", "\u0085", "${x}", "''", `"""`, "/", "\ufffd"))
	}
	return b.String()
}

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
