package system

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/infra-agent/infra-agent/reconcile"
)

// A Difference is what a change from one system to another does, as far as their files say.
type Difference struct {
	Reboot []string // components that only a reboot brings up to date
	Units  []string // names of units that are new, gone or another text
}

// Compare looks at two systems, of which both have to be in the store.
func (n *Node) Compare(before, after reconcile.Toplevel) (d Difference, err error) {
	old, err := n.unitsOf(before)
	if err != nil {
		return d, err
	}
	units, err := n.unitsOf(after)
	if err != nil {
		return d, err
	}
	changed := maps.Clone(old)
	maps.Copy(changed, units)
	maps.DeleteFunc(changed, func(name, text string) bool {
		was, there := old[name]
		_, is := units[name]
		return there && is && was == text
	})
	d.Units = slices.Sorted(maps.Keys(changed))
	d.Reboot = n.differ(string(before), string(after))
	return d, nil
}

// differ lists the components that two systems, or links to them, have in two versions.
func (n *Node) differ(one, other string) []string {
	var differ []string
	for _, c := range components {
		a, err1 := filepath.EvalSymlinks(filepath.Join(n.Root+one, c))
		b, err2 := filepath.EvalSymlinks(filepath.Join(n.Root+other, c))
		if err1 == nil && err2 == nil && a != b {
			differ = append(differ, strings.TrimPrefix(c, "kernel-"))
		}
	}
	return differ
}

// unitsOf returns the texts of a system's units by name, each with its drop-ins.
func (n *Node) unitsOf(t reconcile.Toplevel) (map[string]string, error) {
	dir := filepath.Join(n.Root+string(t), "etc/systemd/system")
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	units := map[string]string{}
	for _, e := range entries {
		name, isDropIns := strings.CutSuffix(e.Name(), ".d")
		path := filepath.Join(dir, e.Name())
		switch {
		case filepath.Ext(name) == ".wants" || filepath.Ext(name) == ".requires" || filepath.Ext(name) == "":
		case isDropIns:
			files, err := os.ReadDir(path)
			if err != nil {
				return nil, err
			}
			for _, f := range files {
				text, err := os.ReadFile(filepath.Join(path, f.Name()))
				if err != nil {
					return nil, err
				}
				units[name] += f.Name() + "\n" + string(text)
			}
		default:
			text, err := os.ReadFile(path)
			if errors.Is(err, fs.ErrNotExist) || e.Type()&fs.ModeSymlink != 0 && err != nil { // masked, or a link out of the store
				continue
			}
			if err != nil {
				return nil, err
			}
			units[name] = string(text) + units[name]
		}
	}
	return units, nil
}
