package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/infra-agent/infra-agent/agent/registry/convention"
)

func registryCheckCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "check [PATH]", Short: "Check a registry by the conventions", Args: cobra.MaximumNArgs(1),
		Long: `Check a registry by the conventions, which docs/conventions.md explains.

PATH is a checkout or the registry's file, "." without it; "infra-agent registry
--help" says which registries there are. The exit code is 1 when
there is an error, or with --strict also when there is a warning; 2 when there is
nothing to check: no such file, commit or table.`,
		RunE: func(c *cobra.Command, args []string) error {
			path := "."
			if len(args) == 1 {
				path = args[0]
			}
			debug.SetGCPercent(400) // the program ends at once: it may take memory to save time
			r, err := checkRegistry(c, path)
			if err != nil { // CI must not take it for findings
				return &exitError{exitUsage, err}
			}
			format, _ := c.Flags().GetString("format")
			if err := r.print(c.OutOrStdout(), format); err != nil {
				return err
			}
			strictly, _ := c.Flags().GetBool("strict")
			return r.verdict(strictly)
		},
	}
	c.Flags().String("format", "text", "text, json, or github for annotations of GitHub Actions")
	c.Flags().Bool("strict", false, "warnings fail too")
	c.Flags().String("since", "", "commit to compare VM ids with")
	c.Flags().String("outputs", "", `file with the names of nixosConfigurations as JSON, "-" for standard input:
nix eval --json .#nixosConfigurations --apply builtins.attrNames | infra-agent registry check --outputs -`)
	tableFlags(c)
	return c
}

// A report is what a check found.
type report struct {
	Schema   int                  `json:"schema"` // 1; grows only by new keys
	File     string               `json:"file"`
	Nodes    int                  `json:"nodes"`
	Roles    int                  `json:"roles"`
	Errors   int                  `json:"errors"`
	Warnings int                  `json:"warnings"`
	Infos    int                  `json:"infos"`
	Hints    int                  `json:"hints"`
	Findings []convention.Finding `json:"findings"`
}

func checkRegistry(c *cobra.Command, path string) (report, error) {
	if format, _ := c.Flags().GetString("format"); formats[format] == nil {
		return report{}, usageError(c, fmt.Errorf("there is no format %q: want text, json or github", format))
	}
	place, err := locate(c, path)
	if err != nil {
		return report{}, err
	}
	in := convention.Input{Name: filepath.ToSlash(place.file), Discovered: convention.Discover(os.DirFS(filepath.Dir(place.file)))}
	if place.mapping != nil { // whose roles are the other tool's
		in.Discovered = func(string) bool { return true }
	}
	if in.Tables, err = tables(c); err != nil {
		return report{}, err
	}
	if in.File, in.Problems, err = place.read(c.Context()); err != nil {
		return report{}, err
	}
	if in.Outputs, err = outputs(c); err != nil {
		return report{}, err
	}
	if rev, _ := c.Flags().GetString("since"); rev != "" {
		if in.Previous, err = place.before(c, rev); err != nil {
			return report{}, err
		}
	}
	return reportOf(in), nil
}

// outputs reads the list that Nix made; nil when none was given.
func outputs(c *cobra.Command) ([]string, error) {
	file, _ := c.Flags().GetString("outputs")
	if file == "" {
		return nil, nil
	}
	from := c.InOrStdin()
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, fmt.Errorf("read the outputs: %w", err)
		}
		defer f.Close()
		from = f
	}
	names := []string{}
	if err := json.NewDecoder(from).Decode(&names); err != nil {
		return nil, fmt.Errorf("read the outputs: %w (hint: want a JSON list of names)", err)
	}
	return names, nil
}

func reportOf(in convention.Input) report {
	r := report{Schema: 1, File: in.Name, Findings: append([]convention.Finding{}, convention.Check(in)...)}
	if in.File != nil {
		r.Nodes, r.Roles = len(in.File.Nodes), len(in.File.Roles)
	}
	for _, f := range r.Findings {
		switch f.Severity {
		case convention.Error:
			r.Errors++
		case convention.Warn:
			r.Warnings++
		case convention.Info:
			r.Infos++
		case convention.Hint:
			r.Hints++
		}
	}
	return r
}

// verdict is why the program exits with 1; nil when it does not.
func (r report) verdict(strictly bool) error {
	switch {
	case r.Errors > 0:
		return errors.New(r.File + " has " + counted(r.Errors, "error"))
	case strictly && r.Warnings > 0:
		return errors.New(r.File + " has " + counted(r.Warnings, "warning") + ", and --strict is given")
	}
	return nil
}

var formats = map[string]func(report, io.Writer) error{"text": report.text, "json": report.json, "github": report.github}

func (r report) print(w io.Writer, format string) error { return formats[format](r, w) }

func (r report) json(w io.Writer) error { return writeJSON(w, r) }
