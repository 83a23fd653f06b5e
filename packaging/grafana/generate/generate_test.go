package main

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/infra-agent/infra-agent/packaging/catalogue"
)

func TestBoardsAreFresh(t *testing.T) {
	for name, b := range boards() {
		want, err := encode(b)
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile("../" + name + ".json")
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s.json is not what the program writes: run go generate ./packaging/grafana/generate", name)
		}
	}
}

func all(t *testing.T) (agent, recorded catalogue.Catalogue) {
	t.Helper()
	agent, err := catalogue.Agent()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("../../prometheus/infra-agent.rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	recorded = agent.With(catalogue.Rules(string(text)))
	for name := range agent {
		delete(recorded, name)
	}
	return agent, recorded
}

// The board of the fleet reads what is recorded, so that it is as fast with ten thousand nodes; that of a
// node asks for its own series, and needs no rules.
func TestBoardsAskForWhatExists(t *testing.T) {
	agent, recorded := all(t)
	for name, has := range map[string]catalogue.Catalogue{"fleet": recorded, "node": agent} {
		b := boards()[name]
		asked := b.expressions()
		for _, v := range b.Templating.List {
			if query, label, is := strings.Cut(strings.TrimSuffix(v.Definition, ")"), ", "); is && strings.HasPrefix(v.Definition, "label_values(") {
				asked = append(asked, query, "count by ("+label[strings.LastIndex(label, " ")+1:]+") (up)")
			}
		}
		for _, expr := range asked {
			for _, problem := range has.Problems(expr) {
				t.Errorf("%s: %s: %s", name, expr, problem)
			}
		}
	}
}

// A variable outside of a string would keep promtool from reading the expression.
func TestVariablesStandInStrings(t *testing.T) {
	text := regexp.MustCompile(`"[^"]*"`)
	for name, b := range boards() {
		for _, expr := range b.expressions() {
			if rest := text.ReplaceAllString(expr, ""); bytes.ContainsRune([]byte(rest), '$') {
				t.Errorf("%s: a variable outside of a string: %s", name, expr)
			}
		}
	}
}

func TestPanelsSayWhatTheyShow(t *testing.T) {
	for name, b := range boards() {
		type cell struct{ x, y int }
		taken := map[cell]string{}
		for _, p := range b.Panels {
			for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
				for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
					if other := taken[cell{x, y}]; other != "" || x >= 24 {
						t.Errorf("%s: %s lies over %q or beyond the edge", name, p.Title, other)
					}
					taken[cell{x, y}] = p.Title
				}
			}
			if p.Type == "row" {
				continue
			}
			if p.Description == "" || p.FieldConfig.Defaults.Unit == "" || len(p.Targets) == 0 {
				t.Errorf("%s: %s lacks a description, a unit or a target", name, p.Title)
			}
		}
	}
}
