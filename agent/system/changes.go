package system

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/infra-agent/infra-agent/reconcile"
)

// changed returns the units that are new, gone, or others in next than in the running system, sorted. Whether a switch
// restarts one depends on its settings, and on whether it runs.
func (n *Node) changed(next reconcile.Toplevel) []string {
	now := n.toplevel(currentSystem)
	var units []string
	for _, unit := range slices.Concat(n.unitNames(now), n.unitNames(next)) {
		if n.textOf(now, unit) != n.textOf(next, unit) {
			units = append(units, unit)
		}
	}
	slices.Sort(units)
	return slices.Compact(units)
}

// unitNames returns the units that a system brings.
func (n *Node) unitNames(t reconcile.Toplevel) []string {
	entries, _ := os.ReadDir(filepath.Join(n.Root, string(t), "etc/systemd/system")) // a system without any has none
	var names []string
	for _, e := range entries {
		if kind := filepath.Ext(e.Name()); !slices.Contains([]string{"", ".wants", ".requires", ".upholds", ".d"}, kind) && !strings.HasPrefix(e.Name(), ".") {
			names = append(names, e.Name())
		}
	}
	return names
}

// textOf is what systemd reads of a unit of system t, drop-ins included; "" where it brings none.
func (n *Node) textOf(t reconcile.Toplevel, unit string) string {
	text := ""
	for _, file := range n.unitFiles(t, unit) {
		content, _ := os.ReadFile(file) // it was there a moment ago
		text += "# " + filepath.Base(file) + "\n" + string(content)
	}
	return text
}
