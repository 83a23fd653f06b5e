//go:build integration

package nixosmodule

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/infra-agent/infra-agent/agent/config"
)

// option is an entry of testdata/keys.nix.
type option struct {
	Name        string
	Type        string
	Description string
	Default     any
	Example     bool
}

// TestOptionsAreTheSettings compares the typed options with the agent's keys, both ways.
func TestOptionsAreTheSettings(t *testing.T) {
	var list []option
	check(t, evaluate(t, "import (dir + /testdata/keys.nix) { }", &list))
	options := map[string]option{}
	for _, o := range list {
		options[o.Name] = o
	}
	for _, key := range config.Keys() {
		o, ok := options[key.Name]
		delete(options, key.Name)
		if !ok {
			t.Errorf("%s: a key of the agent, but no option", key.Name)
			continue
		}
		if want := optionType(key); o.Type != want {
			t.Errorf("%s: type is %q, want %q", key.Name, o.Type, want)
		}
		if got, want := inFull(key, o.Default), defaultOf(t, key); got != want {
			t.Errorf("%s: default is %s, want %s", key.Name, got, want)
		}
		if o.Description != key.Doc {
			t.Errorf("%s: description is %q, want %q", key.Name, o.Description, key.Doc)
		}
		if !o.Example {
			t.Errorf("%s: has no example", key.Name)
		}
	}
	for name := range options {
		t.Errorf("%s: an option, but no key of the agent", name)
	}
}

// optionType is how Nix describes the type of an option for a key.
func optionType(key config.Key) string {
	words := map[string]string{
		"bool":        "boolean",
		"duration":    `duration: numbers with the units h, m, s or ms, such as "90s" or "1h30m"`,
		"http status": "integer between 100 and 599 (both inclusive)",
		"integer":     "positive integer, meaning >0",
		"list":        "list of string",
		"path":        "string",
		"file":        "string",
		"group":       "name of a group",
		"size":        `size: a whole number with the unit B, KiB, MiB, GiB or TiB, such as "256MiB"`,
		"string":      "string",
		"table":       "attribute set of string",
	}
	word, ok := words[key.Type]
	if key.Type == "group" && key.Default == `""` {
		word += ", or empty"
	}
	if !ok { // the words allowed
		quoted := strings.Split(key.Type, ", ")
		for i, word := range quoted {
			if word != "true" && word != "false" {
				quoted[i] = strconv.Quote(word)
			}
		}
		return "one of " + strings.Join(quoted, ", ")
	}
	switch {
	case key.Default != "" || key.Required:
		return word
	case key.Type == "list":
		return "null or (" + word + ")"
	}
	return "null or " + word // what is not set is not written
}

func defaultOf(t *testing.T, key config.Key) string {
	t.Helper()
	if key.Default == "" {
		return "null"
	}
	var value any
	check(t, json.Unmarshal([]byte(key.Default), &value))
	return inFull(key, value)
}

// inFull is the text of a default; of the many ways to write a duration, the longest.
func inFull(key config.Key, value any) string {
	if text, ok := value.(string); ok && key.Type == "duration" {
		if d, err := time.ParseDuration(text); err == nil {
			return d.String()
		}
	}
	text, _ := json.Marshal(value) // it came from JSON
	return string(text)
}
