package nixosmodule

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"

	"github.com/infra-agent/infra-agent/agent/config"
)

var update = flag.Bool("update", false, "write settings.nix and the golden files anew")

// settings.nix and file-keys.nix are made from the agent's keys, so that a setting stands in one place.
func TestSettingsAreTheKeys(t *testing.T) {
	for path, want := range map[string]string{"settings.nix": settingsNix(t, config.Keys()), "file-keys.nix": fileKeysNix(config.Keys())} {
		if *update {
			if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != want {
			t.Errorf("%s is not what agent/config says: run go test ./nixos-module -update", path)
		}
	}
}

const made = "# Made from the tags in agent/config by \"go test ./nixos-module -update\": change them there.\n"

// fileKeysNix writes the keys that name files, by table, and those of secrets.
func fileKeysNix(keys []config.Key) string {
	tables, secrets := map[string][]string{}, map[string]bool{}
	for _, key := range keys {
		if key.Type != "file" {
			continue
		}
		at := strings.LastIndexByte(key.Name, '.')
		table, name := strings.TrimSuffix(key.Name[:at], "[]"), strconv.Quote(key.Name[at+1:])
		tables[table] = append(tables[table], name)
		secrets[name] = secrets[name] || key.Secret
	}
	maps.DeleteFunc(secrets, func(_ string, is bool) bool { return !is })
	text := made + "{\n  tables = {\n"
	for _, table := range slices.Sorted(maps.Keys(tables)) {
		text += "    " + strconv.Quote(table) + " = [ " + strings.Join(tables[table], " ") + " ];\n"
	}
	return text + "  };\n  secrets = [ " + strings.Join(slices.Sorted(maps.Keys(secrets)), " ") + " ];\n}\n"
}

// lists are described here: they are no keys, but what they have in them is.
var lists = map[string]struct{ make, example, doc string }{
	"source.remotes": {"lists", `[ { url = "https://git.example.org/fleet.git"; } ]`, "Where the repository is served, in order of preference."},
	"source.hosts": {
		"lists", `[ { host = "modules.example.org"; token_file = "/run/secrets/modules"; } ]`,
		"Credentials for what a commit has from other hosts than the remotes'.",
	},
	"notify.webhooks": {
		"lists", `[ { name = "chat"; url = "https://chat.example.org/hooks/{secret}"; secret_file = "/run/secrets/chat"; } ]`,
		"Addresses that are told by POST.",
	},
	"checks": {
		"tables", `{ web = { kind = "http"; target = "http://localhost/health"; }; }`,
		"Health checks of this node, by name, beside those of the registry.",
	},
}

// settingsNix writes the keys, which come table by table, as nested options.
func settingsNix(t *testing.T, keys []config.Key) string {
	var b strings.Builder
	b.WriteString(made +
		"{ lib, toml }:\nwith import ./types.nix { inherit lib toml; };\nopen {\n")
	var in []string // the tables that are open
	line := func(text string) { b.WriteString(strings.Repeat("  ", len(in)+1) + text + "\n") }
	leave := func() {
		table := strings.Join(in, ".")
		in = in[:len(in)-1]
		if l, is := lists[table]; is {
			empty := map[string]string{"lists": "[ ]", "tables": "{ }"}[l.make]
			line(fmt.Sprintf("}) %s %s %s;", empty, l.example, strconv.Quote(l.doc)))
		} else {
			line("};")
		}
	}
	for _, key := range keys {
		path := strings.Split(strings.NewReplacer("[]", "", ".NAME", "").Replace(key.Name), ".")
		name, tables := path[len(path)-1], path[:len(path)-1]
		for !under(tables, in) {
			leave()
		}
		for len(in) < len(tables) {
			table := tables[len(in)]
			if l, is := lists[strings.Join(tables[:len(in)+1], ".")]; is {
				line(table + " = option (" + l.make + " {")
			} else {
				line(table + " = {")
			}
			in = append(in, table)
		}
		line(name + " = " + optionNix(t, key) + ";")
	}
	for len(in) > 0 {
		leave()
	}
	return b.String() + "}\n"
}

func under(path, in []string) bool {
	return len(in) <= len(path) && strings.Join(path[:len(in)], ".") == strings.Join(in, ".")
}

// optionNix is the option for a key.
func optionNix(t *testing.T, key config.Key) string {
	types := map[string]string{"path": "string", "file": "string", "http status": "status"}
	typ, known := types[key.Type]
	switch {
	case known:
	case key.Type == "group" && key.Default == `""`:
		typ = "maybeGroup"
	case strings.Contains(key.Type, ", "):
		typ = `(word [ "` + strings.ReplaceAll(key.Type, ", ", `" "`) + `" ])`
		typ = strings.ReplaceAll(typ, `"true" "false"`, "true false")
	default:
		typ = key.Type
	}
	example, doc := nixOf(t, key.Example), strconv.Quote(key.Doc)
	switch {
	case key.Required:
		return fmt.Sprintf("required %s %s %s", typ, example, doc)
	case key.Default == "":
		return fmt.Sprintf("optional %s %s %s", typ, example, doc)
	}
	return fmt.Sprintf("option %s %s %s %s", typ, nixOf(t, key.Default), example, doc)
}

// nixOf writes a value of the settings file in Nix.
func nixOf(t *testing.T, value string) string {
	var file struct{ V any }
	if _, err := toml.Decode("V = "+value, &file); err != nil {
		t.Fatalf("%s is no value of a settings file: %v", value, err)
	}
	switch v := file.V.(type) {
	case []any:
		text := "["
		for _, element := range v {
			text += " " + quoteNix(t, element)
		}
		return text + " ]"
	case map[string]any:
		text := "{ "
		for name, element := range v {
			text += name + " = " + quoteNix(t, element) + "; "
		}
		return text + "}"
	default:
		return quoteNix(t, v)
	}
}

func quoteNix(t *testing.T, v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(text), "${", `\${`)
}

// The files of each table are handed to the agent's unit.
func TestFilesAreHandedOver(t *testing.T) {
	text, err := Files.ReadFile("files.nix")
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range config.Keys() {
		table := strings.TrimSuffix(key.Name[:max(0, strings.LastIndexByte(key.Name, '.'))], "[]")
		if key.Type == "file" && strings.Count(string(text), "cfg.settings."+table) < 2 {
			t.Errorf("files.nix does not take %s of cfg.settings.%s both as a file and with its copy", key.Name, table)
		}
	}
}
