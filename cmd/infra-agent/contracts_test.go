package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/infra-agent/infra-agent/"

// pkg is what the sources of a package say, without its tests.
type pkg struct {
	path    string // in the module
	doc     bool
	imports []string
}

// packages reads the sources themselves, so that the test's cached result is
// dropped when they change.
func packages(t *testing.T) []pkg {
	t.Helper()
	const root = "../.."
	byDir := map[string]*pkg{}
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && strings.HasPrefix(d.Name(), ".") && file != root:
			return filepath.SkipDir
		case !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go"):
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly|parser.ParseComments)
		if err != nil {
			return err
		}
		dir, err := filepath.Rel(root, filepath.Dir(file))
		if err != nil {
			return err
		}
		p := byDir[dir]
		if p == nil {
			p = &pkg{path: dir}
			byDir[dir] = p
		}
		p.doc = p.doc || f.Doc != nil
		for _, imp := range f.Imports {
			p.imports = append(p.imports, strings.Trim(imp.Path.Value, `"`))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var all []pkg
	for _, dir := range slices.Sorted(maps.Keys(byDir)) {
		all = append(all, *byDir[dir])
	}
	return all
}

// leaves are small packages that adapters share; they know nothing of the rest.
var leaves = []string{"agent/command", "agent/durable", "agent/handover", "agent/message", "agent/signature", "agent/socket", "agent/strict"}

// allowed says which packages of ours one of ours may import, and why not others.
func allowed(importer string) (may []string, why string) {
	switch {
	case strings.HasPrefix(importer, "cmd/"), strings.HasPrefix(importer, "integration"), strings.HasPrefix(importer, "agent/agenttest"),
		strings.HasPrefix(importer, "nixos-module"), strings.HasPrefix(importer, "packaging"):
		return []string{"*"}, ""
	case importer == "reconcile":
		return nil, "the core decides; it knows nothing of who asks"
	case importer == "agent", importer == "metrics":
		return []string{"reconcile"}, "it talks to the outside through the interfaces it declares; cmd wires them"
	case slices.Contains(leaves, importer):
		return []string{"reconcile"}, "a leaf is shared by adapters, so it must not know them"
	case strings.HasPrefix(importer, "agent/"):
		may = append([]string{"reconcile"}, leaves...)
		if adapter := path.Dir(importer); adapter != "agent" {
			may = append(may, adapter)
		}
		return may, "an adapter knows one outside thing; what two of them need belongs in reconcile; a folder below an adapter may know that one, for it is a part of it"
	}
	return nil, "a new package: say in this test what it may import"
}

func TestImportsGoOneWay(t *testing.T) {
	for _, p := range packages(t) {
		may, why := allowed(p.path)
		for _, imp := range p.imports {
			ours, is := strings.CutPrefix(imp, module)
			if is && !slices.Contains(may, ours) && !slices.Contains(may, "*") {
				t.Errorf("%s imports %s, and may import of ours only %v: %s", p.path, ours, may, why)
			}
		}
	}
}

func TestCoreIsPure(t *testing.T) {
	impure := []string{"os", "io", "io/fs", "net", "net/http", "log", "log/slog", "sync", "sync/atomic", "context", "math/rand", "math/rand/v2", "unsafe", "syscall", "os/exec"}
	for _, p := range packages(t) {
		if p.path != "reconcile" {
			continue
		}
		for _, imp := range p.imports {
			if slices.Contains(impure, imp) || strings.Contains(strings.Split(imp, "/")[0], ".") {
				t.Errorf("reconcile imports %s: the core does no I/O, has no clock of its own and no goroutines, and uses the standard library only", imp)
			}
		}
		return
	}
	t.Error("there is no package reconcile")
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	for _, p := range packages(t) {
		if !p.doc {
			t.Errorf("package %s has no comment that says what it knows and what it does not", p.path)
		}
	}
}
