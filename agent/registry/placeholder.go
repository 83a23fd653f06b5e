package registry

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/infra-agent/infra-agent/agent/strict"
	"github.com/infra-agent/infra-agent/reconcile"
)

// placeholders are the words in braces that the texts of a check may contain. Those
// without a value stay as they are.
type placeholders map[string]string

var (
	braces = regexp.MustCompile(`\{[^{}]*\}`)
	slot   = regexp.MustCompile(`\[\{[^{}]*\}\]|\{[^{}]*\}`)
	word   = regexp.MustCompile(`\{[a-z_]+\}`)
)

// fill returns c with its placeholders filled in, and one that is left over.
func (p placeholders) fill(c reconcile.Check) (filled reconcile.Check, left string) {
	note := func(found string) {
		if left == "" {
			left = found
		}
	}
	for _, text := range []*string{&c.Target, &c.Server, &c.Answer, &c.Unit, &c.Path} {
		*text = p.text(*text, text != &c.Target && text != &c.Server)
		note(braces.FindString(*text))
	}
	c.Command = slices.Clone(c.Command)
	free := []*string{&c.Contains}
	for i := range c.Command {
		free = append(free, &c.Command[i])
	}
	for _, text := range free {
		var found string
		*text, found = p.free(*text)
		note(found)
	}
	return c, left
}

// text fills one text in, and does not look at what it has filled in. An IPv6 address
// has brackets, but where it stands alone.
func (p placeholders) text(text string, alone bool) string {
	return slot.ReplaceAllStringFunc(text, func(found string) string {
		value := p[strings.Trim(found, "[{}]")]
		switch {
		case value == "":
			return found
		case found[0] == '[' || strings.Contains(value, ":") && !alone:
			return "[" + value + "]"
		}
		return value
	})
}

// free fills in a text that may have braces of its own: of JSON, of awk, or ${shell}
// and %{format}. Only a word that was likely meant to be a placeholder is left over.
func (p placeholders) free(text string) (filled, left string) {
	const long = 5 // shorter words are all alike
	foreign := strings.NewReplacer("${", "$\x00", "%{", "%\x00")
	back := strings.NewReplacer("$\x00", "${", "%\x00", "%{")
	inURL := strings.Contains(text, "://") || strings.Contains(text, "{address}:")
	filled = p.text(foreign.Replace(text), !inURL)
	known := slices.Sorted(maps.Keys(p))
	for _, found := range word.FindAllString(filled, -1) {
		name := strings.Trim(found, "{}")
		if slices.Contains(known, name) || len(name) >= long && strict.Nearest(name, known) != "" {
			left = found
			break
		}
	}
	return back.Replace(filled), left
}
