// Filegraph shows which files of a package need which: a file needs another one when it
// names what that one declares, methods and fields included. It exits 1 when a file needs
// itself by way of others, which it marks with a star.
//
//	go run ./.ci/filegraph ./reconcile
package main

import (
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
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
	cyclic := 0
	for _, file := range slices.Sorted(maps.Keys(needs)) {
		mark := " "
		if reaches(needs, file, file, map[string]bool{}) {
			mark = "*"
			cyclic++
		}
		fmt.Printf("%s %-22s %s\n", mark, file, strings.Join(slices.Sorted(maps.Keys(needs[file])), " "))
	}
	if fmt.Printf("%d files, %d of them in cycles\n", len(needs), cyclic); cyclic > 0 {
		os.Exit(1)
	}
}

// reaches reports whether from needs to, directly or by way of files that were not seen.
func reaches(needs map[string]map[string]bool, from, to string, seen map[string]bool) bool {
	for next := range needs[from] {
		if next == to {
			return true
		}
		if !seen[next] {
			seen[next] = true
			if reaches(needs, next, to, seen) {
				return true
			}
		}
	}
	return false
}

// graph returns for each file of the package the files that it needs.
func graph(dir string) (map[string]map[string]bool, error) {
	fset := token.NewFileSet()
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	var files []*ast.File
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(fset, path, nil, 0)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
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
