package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/infra-agent/infra-agent/agent/config"
	"github.com/infra-agent/infra-agent/agent/journal"
	"github.com/infra-agent/infra-agent/agent/message"
	"github.com/infra-agent/infra-agent/metrics"
	"github.com/infra-agent/infra-agent/reconcile"
)

var update = flag.Bool("update", false, "write the tables into docs/")

// inDocs compares the table between the two markers of a page with the program.
func inDocs(t *testing.T, page, table string) {
	t.Helper()
	const begin, end = "<!-- table: go test ./cmd/infra-agent -update -->\n", "<!-- end -->"
	path := "../../docs/" + page
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok1 := strings.Cut(string(text), begin)
	old, tail, ok2 := strings.Cut(rest, end)
	if !ok1 || !ok2 {
		t.Fatalf("%s has no markers %q and %q", page, begin, end)
	}
	if *update {
		if err := os.WriteFile(path, []byte(head+begin+table+end+tail), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if old != table {
		t.Errorf("docs/%s is not what the program says: run go test ./cmd/infra-agent -update\ngot:\n%s\nwant:\n%s", page, old, table)
	}
}

func TestSettingsAreDocumented(t *testing.T) {
	var b strings.Builder
	b.WriteString("| key | type | default | meaning |\n| --- | --- | --- | --- |\n")
	for _, k := range config.Keys() {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", k.Name, k.Type, code(k.Default), k.Doc)
	}
	inDocs(t, "settings.md", b.String())
}

func code(s string) string {
	if s == "" {
		return ""
	}
	return "`" + s + "`"
}

func TestMetricsAreDocumented(t *testing.T) {
	snapshot := reconcile.Snapshot{Record: reconcile.New()}
	snapshot.Deliveries = map[string]reconcile.Delivery{"chat": {}}
	snapshot.Counters.Checks = map[string]reconcile.CheckCount{"sshd": {}}
	snapshot.Record.Work.Steps = map[reconcile.Purpose]reconcile.Step{
		reconcile.PurposeBranch: reconcile.Resolved{Target: reconcile.Target{Roles: []reconcile.Role{"dns"}}},
	}
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(metrics.New("1.0.0", func() reconcile.Snapshot { return snapshot }).Native())
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("| metric | kind | labels | meaning |\n| --- | --- | --- | --- |\n")
	for _, f := range families {
		var labels []string
		values := map[string][]string{}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if !slices.Contains(labels, l.GetName()) {
					labels = append(labels, l.GetName())
				}
				if !slices.Contains(values[l.GetName()], l.GetValue()) {
					values[l.GetName()] = append(values[l.GetName()], l.GetValue())
				}
			}
		}
		for i, l := range labels {
			if len(values[l]) > 1 {
				labels[i] = l + " (" + strings.Join(values[l], ", ") + ")"
			}
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", f.GetName(), strings.ToLower(f.GetType().String()), strings.Join(labels, "; "), f.GetHelp())
	}
	inDocs(t, "metrics.md", b.String())
}

func TestNoticesAreDocumented(t *testing.T) {
	var b strings.Builder
	b.WriteString("| event | told by default | urgency | in words | `MESSAGE_ID` |\n| --- | --- | --- | --- | --- |\n")
	for _, k := range reconcile.NoticeKinds {
		byDefault := ""
		if slices.Contains(reconcile.NoticesByDefault, k) {
			byDefault = "yes"
		}
		words := reconcile.Notice{Kind: k, At: time.Unix(0, 0).Add(6 * time.Hour), Since: time.Unix(0, 0)}.Text()
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | `%s` |\n", k, byDefault, k.Urgency(), words, journal.MessageIDs[k])
	}
	inDocs(t, "notifications.md", b.String())
}

// What people copy from the page must be settings, and what a chat gets then must be what it takes.
func TestExamplesOfNotificationsWork(t *testing.T) {
	text, err := os.ReadFile("../../docs/notifications.md")
	if err != nil {
		t.Fatal(err)
	}
	notice := reconcile.Notice{Kind: reconcile.NoticeRolledBack, ID: "rolled_back/d1", At: time.UnixMilli(1777896000250), Why: "web says \"no\"\nand more"}
	// By the name of the web hook: what its server gets, as its documentation wants it.
	want := map[string]string{
		"chat": `{"version":1,"node":"web1","urgency":"warning","text":"web1: rolled back: web says \"no\"","id":"rolled_back/d1","event":"rolled_back",` +
			`"at":"2026-05-04T12:00:00.25Z","why":"web says \"no\"\nand more"}` + "\n",
		"ntfy":       `{"topic": "fleet", "title": "web1: rolled_back", "message": "web1: rolled back: web says \"no\"", "priority": 4, "tags": ["warning"]}`,
		"matrix":     `{"text": "web1: rolled back: web says \"no\"", "username": "web1"}`,
		"slack":      `{"text": "web1: rolled back: web says \"no\""}`,
		"mattermost": `{"username": "infra-agent", "text": "**rolled_back** web1: rolled back: web says \"no\""}`,
		"grafana":    `{"time": 1777896000250, "tags": ["infra-agent", "rolled_back", "web1"], "text": "web1: rolled back: web says \"no\""}`,
	}
	for _, example := range regexp.MustCompile("(?s)```toml\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		s, err := config.Parse("example", []byte(webRemote("")+example[1]))
		if err != nil {
			t.Errorf("%v\n%s", err, example[1])
			continue
		}
		for _, w := range s.Notify.Webhooks {
			notice.At = notice.At.UTC()
			body, _ := message.Of("web1", notice).Body(message.Template(w.Template))
			if string(body) != want[w.Name] {
				t.Errorf("%s gets\n%s, want\n%s", w.Name, body, want[w.Name])
			}
			delete(want, w.Name)
		}
	}
	if len(want) > 0 {
		t.Errorf("the page lacks %v", want)
	}
}

// A line about an attack is worth as much as its test.
func TestAttacksHaveTests(t *testing.T) {
	text, err := os.ReadFile("../../docs/trust.md")
	if err != nil {
		t.Fatal(err)
	}
	for row := range strings.Lines(string(text)) {
		cells := strings.Split(row, " | ")
		if len(cells) != 3 || !strings.Contains(cells[2], "`") {
			continue
		}
		for named := range strings.SplitSeq(strings.Trim(cells[2], " |\n"), "; ") {
			dir, tests, _ := strings.Cut(named, " ")
			files, err := filepath.Glob("../../" + dir + "/*_test.go")
			if err != nil || len(files) == 0 {
				t.Errorf("%q: no tests in %s", cells[0], dir)
			}
			var all []byte
			for _, file := range files {
				source, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, source...)
			}
			for test := range strings.SplitSeq(tests, ", ") {
				if name := strings.Trim(test, "`"); !strings.Contains(string(all), "\nfunc "+name+"(t *testing.T)") {
					t.Errorf("%q: no test %s in %s", cells[0], name, dir)
				}
			}
		}
	}
}
