package catalogue

import (
	"regexp"
	"strings"
)

// A Rule is one of infra-agent.rules.yml.
type Rule struct {
	Name   string
	Alert  bool // else it records a series
	Expr   string
	Labels map[string]string
	Text   string // all of it
}

var (
	begin  = regexp.MustCompile(`(?m)^  - (record|alert): (\S+)$`)
	labels = regexp.MustCompile(`(?m)^    labels: \{(\w+): "?(\w+)"?\}$`)
)

// Rules returns the rules of a file that is written as ours is: it is no reader of YAML, which would be a dependency.
func Rules(text string) []Rule {
	var all []Rule
	at := begin.FindAllStringSubmatchIndex(text, -1)
	for i, m := range at {
		end := len(text)
		if i+1 < len(at) {
			end = at[i+1][0]
		}
		r := Rule{Alert: text[m[2]:m[3]] == "alert", Name: text[m[4]:m[5]], Text: text[m[0]:end], Labels: map[string]string{}}
		r.Expr = exprOf(r.Text)
		if l := labels.FindStringSubmatch(r.Text); l != nil {
			r.Labels[l[1]] = l[2]
		}
		all = append(all, r)
	}
	return all
}

// exprOf returns what stands behind expr, on its line or indented below it.
func exprOf(rule string) string {
	_, rest, _ := strings.Cut(rule, "    expr: ")
	first, below, _ := strings.Cut(rest, "\n")
	if first != "|" {
		return first
	}
	var b strings.Builder
	for line := range strings.Lines(below) {
		if !strings.HasPrefix(line, "      ") {
			break
		}
		b.WriteString(line)
	}
	return strings.TrimSpace(b.String())
}
