// Package message says what receivers of notices get: a document in JSON, or a text of the operator's own with its
// values in it. It knows nothing of who gets it, nor how.
package message

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/infra-agent/infra-agent/reconcile"
)

// A Message is a notice on its way to a receiver. As JSON it is the document of docs/notifications.md: fields are only ever added.
type Message struct {
	Version int               `json:"version"` // of the document
	Node    string            `json:"node"`
	Urgency reconcile.Urgency `json:"urgency"`
	Text    string            `json:"text"` // what happened, in one line
	reconcile.Notice
}

// Of returns the message about what happened to the named node.
func Of(node string, n reconcile.Notice) Message {
	return Message{Version: 1, Node: node, Urgency: n.Kind.Urgency(), Text: node + ": " + n.Text(), Notice: n}
}

// JSON returns m as a document of one line.
func (m Message) JSON() []byte {
	text, err := json.Marshal(m)
	if err != nil {
		panic(fmt.Sprintf("message: %v", err)) // it is plain data
	}
	return append(text, '\n')
}

// Secret stands for a receiver's secret, where it is addressed.
const Secret = "{secret}"

// A Template is a text with values of a message in it: {text} stands for its text. In a text that is JSON the values are
// escaped as in a string of JSON.
type Template string

var placeholder = regexp.MustCompile(`\{[a-z_]+\}`)

// Body returns what a receiver gets for the template, and of which media type it is. An empty
// template is the document itself.
func (m Message) Body(t Template) (body []byte, mediaType string) {
	if t == "" {
		return m.JSON(), "application/json"
	}
	isJSON := t.isJSON()
	values := m.values()
	text := placeholder.ReplaceAllStringFunc(string(t), func(name string) string {
		if isJSON {
			return escaped(values[strings.Trim(name, "{}")])
		}
		return values[strings.Trim(name, "{}")]
	})
	if isJSON {
		return []byte(text), "application/json"
	}
	return []byte(text), "text/plain; charset=utf-8"
}

// Problem says what is wrong with the template; "": nothing.
func (t Template) Problem() string {
	known := Message{}.values()
	for _, name := range placeholder.FindAllString(string(t), -1) {
		if _, is := known[strings.Trim(name, "{}")]; !is {
			return fmt.Sprintf("there is no value %s: there are {%s}", name, strings.Join(slices.Sorted(maps.Keys(known)), "}, {"))
		}
	}
	if strings.HasPrefix(strings.TrimSpace(t.sample()), "{") && !t.isJSON() {
		return `it looks like JSON and is none: write values of texts between quotes, such as "{text}"`
	}
	return ""
}

func (t Template) isJSON() bool {
	sample := strings.TrimSpace(t.sample())
	return (strings.HasPrefix(sample, "{") || strings.HasPrefix(sample, "[")) && json.Valid([]byte(sample))
}

// sample is the text with values that are a number where one may be, and else no JSON without quotes around them.
func (t Template) sample() string {
	return placeholder.ReplaceAllStringFunc(string(t), func(name string) string {
		if name == "{priority}" || name == "{at_ms}" {
			return "0"
		}
		return "a b"
	})
}

// escaped returns s as it stands between the quotes of a string in JSON.
func escaped(s string) string {
	text, err := json.Marshal(s)
	if err != nil {
		panic(fmt.Sprintf("message: %v", err)) // a string can always be written
	}
	return string(text[1 : len(text)-1])
}

// values are those that a template may name.
func (m Message) values() map[string]string {
	return map[string]string{
		"text": m.Text, "node": m.Node, "event": string(m.Kind), "urgency": string(m.Urgency), "id": m.ID,
		"priority": map[reconcile.Urgency]string{reconcile.UrgencyInfo: "3", reconcile.UrgencyWarning: "4", reconcile.UrgencyError: "5"}[m.Urgency],
		"at":       m.At.UTC().Format(time.RFC3339), "at_ms": strconv.FormatInt(m.At.UnixMilli(), 10),
		"deployment": m.Deployment, "revision": string(m.Revision), "commit": m.Revision.Short(), "from": string(m.From), "to": string(m.To),
		"reason": string(m.Reason), "gate": string(m.Gate), "why": m.Why,
	}
}
