package strict

import (
	"cmp"
	"strings"
)

// Nearest returns the one of known that word most likely means, or "" when none
// is close: at most a third of its letters may be wrong, and no number. dns-02
// is another machine than dns-01, and no slip of its name; dns-2 is one.
func Nearest(word string, known []string) string {
	best, limit := "", max(1, len(word)/3)
	for _, k := range known {
		if numbers(k) != numbers(word) {
			continue
		}
		if n := distance(word, k); n <= limit {
			best, limit = k, n-1
		}
	}
	return best
}

// numbers are those in a word, in their order; 01 is 1, and 00 is 0.
func numbers(word string) string {
	runs := strings.FieldsFunc(word, func(r rune) bool { return r < '0' || r > '9' })
	for i, run := range runs {
		runs[i] = cmp.Or(strings.TrimLeft(run, "0"), "0")
	}
	return strings.Join(runs, " ")
}

// distance is the number of letters to insert, delete, replace or swap with
// their neighbour to make b of a (optimal string alignment).
func distance(a, b string) int {
	var before []int
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next := make([]int, len(b)+1)
		next[0] = i
		for j := 1; j <= len(b); j++ {
			replace := 1
			if a[i-1] == b[j-1] {
				replace = 0
			}
			next[j] = min(row[j]+1, next[j-1]+1, row[j-1]+replace)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}
