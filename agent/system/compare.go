package system

import (
	"bytes"
	"encoding/json"
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
	Reboot []string // what only a reboot brings up to date: components, and for what NixOS refuses to switch
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
	for _, name := range n.inhibitors(before, after) {
		if !slices.Contains(d.Reboot, name) {
			d.Reboot = append(d.Reboot, name)
		}
	}
	if was, is, both := n.inBoth(before, after, "init-interface-version"); both && !bytes.Equal(was, is) {
		d.Reboot = append(d.Reboot, "init")
	}
	return d, nil
}

// inBoth reads a file that both systems have.
func (n *Node) inBoth(before, after reconcile.Toplevel, file string) (was, is []byte, both bool) {
	was, err1 := os.ReadFile(filepath.Join(n.Root+string(before), file))
	is, err2 := os.ReadFile(filepath.Join(n.Root+string(after), file))
	return was, is, err1 == nil && err2 == nil
}

// inhibitors names what NixOS does not change while a system runs: it compares by name what both
// have there, switchable-system.nix of nixpkgs. Before that had names it compared the whole.
func (n *Node) inhibitors(before, after reconcile.Toplevel) (differ []string) {
	const file = "switch-inhibitors"
	was, is, both := n.inBoth(before, after, file)
	if !both { // a system from before there were any
		return nil
	}
	var old, names map[string]json.RawMessage
	if json.Unmarshal(was, &old) != nil || json.Unmarshal(is, &names) != nil {
		if !bytes.Equal(was, is) {
			return []string{file}
		}
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if before, there := old[name]; there && !bytes.Equal(before, names[name]) {
			differ = append(differ, name)
		}
	}
	return differ
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
