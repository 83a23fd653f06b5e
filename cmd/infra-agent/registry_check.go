package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/infra-agent/infra-agent/agent/registry"
	"github.com/infra-agent/infra-agent/agent/registry/convention"
	"github.com/infra-agent/infra-agent/agent/strict"
)

func registryCheckCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "check [PATH]", Short: "Check a registry by the conventions", Args: cobra.MaximumNArgs(1),
		Long: `Check a registry by the conventions, which docs/conventions.md explains.

PATH is a checkout or the registry's file, "." without it. The exit code is 1 when
there is an error, or with --strict also when there is a warning; 2 when there is
nothing to judge: no such file, commit or table.`,
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
	file, err := locate(path)
	if err != nil {
		return report{}, err
	}
	in := convention.Input{Name: filepath.ToSlash(file), Discovered: convention.Discover(os.DirFS(filepath.Dir(file)))}
	if in.Tables, err = tables(c); err != nil {
		return report{}, err
	}
	data, err := read(file)
	if err != nil {
		return report{}, err
	}
	in.File, in.Problems = registry.Read(in.Name, data)
	if in.Outputs, err = outputs(c); err != nil {
		return report{}, err
	}
	if rev, _ := c.Flags().GetString("since"); rev != "" {
		if in.Previous, err = registryBefore(c, file, rev); err != nil {
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

func (r report) text(w io.Writer) error {
	groups := grouped(r.Findings)
	place := func(g group) string { return strict.Problem{File: g.File, Line: g.Line, Column: g.Column}.Place() }
	width := 0
	for _, g := range groups {
		width = max(width, len(place(g)))
	}
	var b strings.Builder
	for _, g := range groups {
		fmt.Fprintf(&b, "%-*s  %-6s %-5s %s\n", width, place(g), g.Severity, g.Rule, g.text())
		if g.Fix != "" {
			fmt.Fprintf(&b, "    %s\n", g.Fix)
		}
		if others := g.others(); others != "" {
			fmt.Fprintf(&b, "    also %s\n", others)
		}
	}
	fmt.Fprintf(&b, "%s: %s, %s: %s\n", r.File, counted(r.Nodes, "node"), counted(r.Roles, "role"), r.summary())
	_, err := io.WriteString(w, b.String())
	return err
}

func (r report) summary() string {
	var parts []string
	for _, part := range []struct {
		n    int
		word string
	}{{r.Errors, "error"}, {r.Warnings, "warning"}, {r.Infos, "info"}, {r.Hints, "hint"}} {
		if part.n > 0 {
			parts = append(parts, counted(part.n, part.word))
		}
	}
	if parts == nil {
		return "nothing to say"
	}
	return strings.Join(parts, ", ")
}

// github writes workflow commands, which GitHub shows beside the lines.
func (r report) github(w io.Writer) error {
	words := map[convention.Severity]string{convention.Error: "error", convention.Warn: "warning", convention.Info: "notice", convention.Hint: "notice"}
	for _, f := range r.Findings {
		text := group{Finding: f}.text()
		if f.Fix != "" {
			text += "\n" + f.Fix
		}
		if _, err := fmt.Fprintf(w, "::%s file=%s,line=%d,col=%d,title=%s::%s\n",
			words[f.Severity], property(f.File), max(1, f.Line), max(1, f.Column), f.Rule, escaped(text)); err != nil {
			return err
		}
	}
	return nil
}

// escaped is a text for a workflow command, property one for a part before the text.
func escaped(s string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(s)
}

func property(s string) string {
	return strings.NewReplacer(":", "%3A", ",", "%2C").Replace(escaped(s))
}

// A group is a finding and the nodes for which a rule says the same.
type group struct {
	convention.Finding
	nodes []string
	lines []int // of the nodes
}

// others are the places of all but the first.
func (g group) others() string {
	if len(g.nodes) < 2 {
		return ""
	}
	if g.Line == 0 {
		return strings.Join(g.nodes[1:], ", ")
	}
	lines := make([]string, len(g.lines))
	for i, line := range g.lines {
		lines[i] = strconv.Itoa(line)
	}
	word := "lines "
	if len(lines) == 2 {
		word = "line "
	}
	return word + strings.Join(lines[1:], ", ")
}

func (g group) text() string {
	switch {
	case len(g.nodes) > 1:
		return some(g.nodes) + ": " + g.Message
	case g.Key != "":
		return strings.TrimPrefix(string(g.Key), "nodes.") + ": " + g.Message
	}
	return g.Message
}

func grouped(findings []convention.Finding) []group {
	type same struct{ rule, severity, message, fix string }
	var groups []group
	at := map[same]int{}
	for _, f := range findings {
		key := same{f.Rule, f.Severity.String(), f.Message, f.Fix}
		if i, ok := at[key]; ok && f.Node != "" {
			groups[i].nodes, groups[i].lines = append(groups[i].nodes, f.Node), append(groups[i].lines, f.Line)
			continue
		}
		if f.Node != "" {
			at[key] = len(groups)
		}
		groups = append(groups, group{f, []string{f.Node}, []int{f.Line}})
	}
	return groups
}
