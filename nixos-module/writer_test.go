//go:build integration

package nixosmodule

import (
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
