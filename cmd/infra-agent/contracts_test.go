package main

import (
	"encoding/json"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/infra-agent/infra-agent/"

// pkg is what `go list -json` says of a package.
type pkg struct {
	ImportPath string
	Doc        string
	Imports    []string
	GoFiles    []string
}

func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Doc,Imports,GoFiles", "./...")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []pkg
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := d.Decode(&p); err == io.EOF {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// leaves are small packages that adapters share; they know nothing of the rest.
var leaves = []string{"agent/command", "agent/durable", "agent/strict"}

// allowed says which packages of ours one of ours may import, and why not others.
func allowed(importer string) (may []string, why string) {
	switch {
	case strings.HasPrefix(importer, "cmd/"), strings.HasPrefix(importer, "integration"), strings.HasPrefix(importer, "agent/agenttest"),
		strings.HasPrefix(importer, "nixos-module"):
		return []string{"*"}, ""
	case importer == "reconcile":
		return nil, "the core decides; it knows nothing of who asks"
	case importer == "agent", importer == "metrics":
		return []string{"reconcile"}, "it talks to the outside through the interfaces it declares; cmd wires them"
	case slices.Contains(leaves, importer):
		return []string{"reconcile"}, "a leaf is shared by adapters, so it must not know them"
	case strings.HasPrefix(importer, "agent/"):
		return append([]string{"reconcile"}, leaves...), "an adapter knows one outside thing; what two of them need belongs in reconcile"
	}
	return nil, "a new package: say in this test what it may import"
}

func TestImportsGoOneWay(t *testing.T) {
	for _, p := range packages(t) {
		importer := strings.TrimPrefix(p.ImportPath, module)
		may, why := allowed(importer)
		for _, imp := range p.Imports {
			ours, is := strings.CutPrefix(imp, module)
			if is && !slices.Contains(may, ours) && !slices.Contains(may, "*") {
				t.Errorf("%s imports %s, and may import of ours only %v: %s", importer, ours, may, why)
			}
		}
	}
}

func TestCoreIsPure(t *testing.T) {
	impure := []string{"os", "io", "io/fs", "net", "net/http", "log", "log/slog", "sync", "sync/atomic", "context", "math/rand", "math/rand/v2", "unsafe", "syscall", "os/exec"}
	for _, p := range packages(t) {
		if p.ImportPath != module+"reconcile" {
			continue
		}
		for _, imp := range p.Imports {
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
		if name := path.Base(p.ImportPath); len(p.GoFiles) > 0 && p.Doc == "" {
			t.Errorf("package %s has no comment that says what it knows and what it does not", name)
		}
	}
}
