package system

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// unitDir is where NixOS has the units of a system, below its root or its store path.
const unitDir = "/etc/systemd/system"

// UnitFiles returns the files of the running system that say how systemd runs a unit: the
// unit's own, its drop-ins, and systemd's settings, systemd.unit(5), systemd-system.conf(5).
func UnitFiles(unit string) []string {
	files := append([]string{filepath.Join(unitDir, unit)}, dropIns(unitDir, unit)...)
	more, _ := filepath.Glob("/etc/systemd/system.conf.d/*.conf") // the pattern is well-formed
	return append(append(files, "/etc/systemd/system.conf"), more...)
}

// dropIns returns those of a unit in a directory of units, the more special after the more
// common: of all units of its type, of those whose name begins alike up to a dash, its own.
func dropIns(dir, unit string) (files []string) {
	name, kind := strings.TrimSuffix(unit, filepath.Ext(unit)), filepath.Ext(unit)
	alike := []string{strings.TrimPrefix(kind, ".")}
	for i, c := range name {
		if c == '-' && i+1 < len(name) {
			alike = append(alike, name[:i+1]+kind)
		}
	}
	for _, of := range append(alike, unit) {
		some, _ := filepath.Glob(filepath.Join(dir, of+".d", "*.conf")) // the pattern is well-formed
		files = append(files, some...)
	}
	return files
}

// directive returns what the last line of a unit's text sets; "": none does, systemd.syntax(7).
func directive(text, name string) (value string) {
	for line := range strings.Lines(text) {
		key, v, _ := strings.Cut(strings.TrimSpace(line), "=")
		if strings.TrimSpace(key) == name {
			value = strings.TrimSpace(v)
		}
	}
	return value
}

// AgentRuns returns what the running system says of how systemd runs the agent: its unit's
// lines and those of systemd's settings, without what systemd does not read; "": it has no
// such unit, or none that can be read. What orders units, or is for a switch alone, is left out.
func AgentRuns() string {
	if _, err := os.Stat(filepath.Join(unitDir, AgentUnit)); err != nil {
		return ""
	}
	var all strings.Builder
	for _, file := range UnitFiles(AgentUnit) {
		text, _ := os.ReadFile(file) // most are not there
		all.WriteString(execution(string(text)))
	}
	return all.String()
}

// ordering are keys of [Unit] that keep no process from being started, and give it nothing.
var ordering = []string{"Description", "Documentation", "After", "Before", "Wants", "OnFailure", "OnSuccess"}

// execution returns the lines of a unit that are about its processes, and whether they are started.
func execution(unit string) string {
	var all strings.Builder
	section := ""
	for line := range strings.Lines(unit) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "["):
			section = line
		case section == "" || section == "[Install]" || line == "" || strings.ContainsAny(line[:1], "#;"):
		case slices.Contains(ordering, line[:max(0, strings.Index(line, "="))]) || strings.HasPrefix(line, "X-"):
		default:
			all.WriteString(line + "\n")
		}
	}
	return all.String()
}
