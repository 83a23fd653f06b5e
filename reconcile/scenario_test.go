package reconcile

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

// TestScenarios plays the stories in testdata/*.txtar. Each one is a small
// script: lines with a command say what happened, the lines with ">" below it
// what the agent decides and remembers. What is expected is written by hand.
// The commands are described in script_test.go.
//
// What the stories went through is compared with testdata/reachable.txt, which
// is written by hand too: a cell of it that no story reaches is an error, and so
// is a cell that is reached and not in it.
func TestScenarios(t *testing.T) {
	seen := coverage{}
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no stories in testdata: %v", err)
	}
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		line := 1 + strings.Count(string(archive.Comment), "\n")
		for _, story := range archive.Files {
			line++ // the line with the story's name
			first := line
			line += strings.Count(string(story.Data), "\n")
			t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar")+"/"+story.Name, func(t *testing.T) {
				w := newScript(t, seen)
				for _, s := range steps(string(story.Data)) {
					got := w.do(s.command)
					if diff := cmp.Diff(s.want, got); diff != "" {
						t.Fatalf("%s:%d: after %q (-want +got):\n%s", file, first+s.line, s.command, diff)
					}
				}
			})
		}
	}
	if t.Failed() {
		return // what was not played was not reached
	}
	want, err := os.ReadFile("testdata/reachable.txt")
	if err != nil {
		t.Fatal(err)
	}
	for cell := range seen {
		if !slices.Contains(cells(string(want)), cell) {
			t.Errorf("reached, and not in testdata/reachable.txt: %s", cell)
		}
	}
	for _, cell := range cells(string(want)) {
		if !seen[cell] {
			t.Errorf("in testdata/reachable.txt, and no story reaches it: %s", cell)
		}
	}
}

// TestReachableNamesAll makes sure that the table of reachable cells speaks of
// every event, job and phase that the package has.
func TestReachableNamesAll(t *testing.T) {
	table, err := os.ReadFile("testdata/reachable.txt")
	if err != nil {
		t.Fatal(err)
	}
	words := map[string]bool{}
	for _, cell := range cells(string(table)) {
		for _, word := range strings.Fields(cell) {
			words[word] = true
		}
	}
	for _, method := range []string{"event", "entry", "phase"} {
		types := typesWith(t, method)
		if len(types) == 0 {
			t.Errorf("no type has the method %s", method)
		}
		for _, name := range types {
			if !words[name] {
				t.Errorf("testdata/reachable.txt does not speak of the %s %s", method, name)
			}
		}
	}
}

// typesWith returns the types of the package that have the method.
func typesWith(t *testing.T, method string) []string {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var types []string
	for _, file := range files {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv != nil && fn.Name.Name == method {
				types = append(types, fn.Recv.List[0].Type.(*ast.Ident).Name)
			}
		}
	}
	return types
}

// coverage is what stories went through: "PHASE takes EVENT", "PHASE runs JOB",
// "PHASE notes EVENT", "PHASE waits", "PHASE cancels", "PHASE to PHASE".
type coverage map[string]bool

func (c coverage) takes(p Phase, e Event) { c[typeName(p)+" takes "+typeName(e)] = true }

func (c coverage) turns(from, to Phase) {
	if typeName(from) != typeName(to) {
		c[typeName(from)+" to "+typeName(to)] = true
	}
}

func (c coverage) decides(p Phase, act Action) {
	switch act := act.(type) {
	case Run:
		c[typeName(p)+" runs "+typeName(act.Job)] = true
	case Note:
		c[typeName(p)+" notes "+typeName(act.Event)] = true
	case Wait:
		c[typeName(p)+" waits"] = true
	case Cancel:
		c[typeName(p)+" cancels"] = true
	}
}

func typeName(v any) string {
	_, name, _ := strings.Cut(fmt.Sprintf("%T", v), ".")
	return name
}

// cells reads the table: each line is a phase, a word, and what follows it.
func cells(table string) []string {
	found := map[string]bool{}
	for line := range strings.Lines(table) {
		line, _, _ = strings.Cut(line, "#")
		words := strings.Fields(line)
		switch {
		case len(words) == 2: // waits, cancels
			found[words[0]+" "+words[1]] = true
		case len(words) > 2:
			for _, w := range words[2:] {
				found[words[0]+" "+words[1]+" "+w] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// A step is one command of a story with what is expected after it.
type step struct {
	line    int
	command string
	want    []string
}

func steps(script string) []step {
	var all []step
	n := 0
	for text := range strings.Lines(script) {
		n++
		text = strings.TrimSpace(text)
		if expected, is := strings.CutPrefix(text, ">"); is {
			last := &all[len(all)-1]
			last.want = append(last.want, strings.TrimSpace(expected))
		} else if text != "" && text[0] != '#' {
			all = append(all, step{line: n - 1, command: text})
		}
	}
	return all
}
