// Filegraph shows which files of a package need which, and which need each other: a file
// needs another one when it names what that one declares, methods and fields included.
//
//	go run ./.ci/filegraph ./reconcile
//
// It exits 1 when two files need each other.
package main

import (
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: filegraph DIRECTORY")
		os.Exit(2)
	}
	needs, err := graph(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "filegraph:", err)
		os.Exit(2)
	}
	mutual := 0
	for _, file := range slices.Sorted(maps.Keys(needs)) {
		others := slices.Sorted(maps.Keys(needs[file]))
		for i, other := range others {
			if needs[other][file] {
				others[i] += "*"
				mutual++
			}
		}
		fmt.Printf("%-22s %s\n", file, strings.Join(others, " "))
	}
	fmt.Printf("%d files, %d pairs that need each other (*)\n", len(needs), mutual/2)
	if mutual > 0 {
		os.Exit(1)
	}
}

// graph returns for each file of the package the files that it needs.
func graph(dir string) (map[string]map[string]bool, error) {
	fset := token.NewFileSet()
	packages, err := parser.ParseDir(fset, dir, func(f fs.FileInfo) bool { return !strings.HasSuffix(f.Name(), "_test.go") }, 0)
	if err != nil {
		return nil, err
	}
	var files []*ast.File
	for _, p := range packages {
		for _, f := range p.Files {
			files = append(files, f)
		}
	}
	info := &types.Info{Uses: map[*ast.Ident]types.Object{}}
	config := types.Config{Importer: importer.ForCompiler(fset, "source", nil)}
	pkg, err := config.Check(dir, fset, files, info)
	if err != nil {
		return nil, err
	}
	name := func(p token.Pos) string { return filepath.Base(fset.Position(p).Filename) }
	needs := map[string]map[string]bool{}
	for _, f := range files {
		needs[name(f.Pos())] = map[string]bool{}
	}
	for ident, object := range info.Uses {
		if object.Pkg() != pkg {
			continue
		}
		if from, to := name(ident.Pos()), name(object.Pos()); from != to {
			needs[from][to] = true
		}
	}
	return needs, nil
}
