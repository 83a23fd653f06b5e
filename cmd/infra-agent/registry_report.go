package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/infra-agent/infra-agent/agent/registry/convention"
	"github.com/infra-agent/infra-agent/agent/strict"
)

// text writes the findings for people: one that several nodes have is said once, with
// a list of where.
func (r report) text(w io.Writer) error {
	groups := grouped(r.Findings)
	place := func(g group) string {
		return strict.Problem{File: g[0].File, Line: g[0].Line, Column: g[0].Column}.Place()
	}
	width := 0
	for _, g := range groups {
		width = max(width, len(place(g)))
	}
	var b strings.Builder
	for _, g := range groups {
		fmt.Fprintf(&b, "%-*s  %-6s %-5s %s\n", width, place(g), g[0].Severity, g[0].Rule, g.text())
		if g[0].Fix != "" {
			fmt.Fprintf(&b, "    %s\n", g[0].Fix)
		}
		if len(g) > 1 {
			b.WriteString(g.places())
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

// github writes workflow commands, which GitHub shows beside the lines: one for each
// finding, because what has none is not seen in a review.
func (r report) github(w io.Writer) error {
	words := map[convention.Severity]string{convention.Error: "error", convention.Warn: "warning", convention.Info: "notice", convention.Hint: "notice"}
	for _, f := range r.Findings {
		text := about(f)
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

// about is a finding in a line.
func about(f convention.Finding) string {
	if f.Key == "" {
		return f.Message
	}
	return strings.TrimPrefix(string(f.Key), "nodes.") + ": " + f.Message
}

// A group is the findings in which a rule says the same of several nodes, or one finding.
type group []convention.Finding

func (g group) text() string {
	if len(g) > 1 {
		return counted(len(g), "node") + ": " + g[0].Message
	}
	return about(g[0])
}

// places lists the nodes of a group with their lines.
func (g group) places() string {
	const width = 100
	var b strings.Builder
	line := "    "
	for i, f := range g {
		place := f.Node
		if f.Line > 0 {
			place = fmt.Sprintf("%d %s", f.Line, f.Node)
		}
		if i < len(g)-1 {
			place += ", "
		}
		if len(line)+len(place) > width {
			b.WriteString(strings.TrimRight(line, " ") + "\n")
			line = "    "
		}
		line += place
	}
	b.WriteString(line + "\n")
	return b.String()
}

func grouped(findings []convention.Finding) []group {
	type same struct{ rule, severity, message, fix string }
	var groups []group
	at := map[same]int{}
	for _, f := range findings {
		key := same{f.Rule, f.Severity.String(), f.Message, f.Fix}
		if i, ok := at[key]; ok && f.Node != "" && groups[i][len(groups[i])-1].Node != f.Node {
			groups[i] = append(groups[i], f)
			continue
		}
		if f.Node != "" {
			at[key] = len(groups)
		}
		groups = append(groups, group{f})
	}
	return groups
}
