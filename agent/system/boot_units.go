package system

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/infra-agent/infra-agent/reconcile"
)

// daemonSocket is where Nix asks its daemon, nix.conf(5).
const daemonSocket = "/nix/var/nix/daemon-socket/socket"

// bootUnits are the units of a system, as systemd finds them when it boots.
type bootUnits struct{ dirs []string } // the first that has a unit counts

func (n *Node) bootUnits(next reconcile.Toplevel) bootUnits {
	return bootUnits{[]string{n.Root + string(next) + "/etc/systemd/system", n.Root + "/usr/lib/systemd/system"}}
}

// text returns a unit's file with its drop-ins; "": there is none, or it is masked.
func (b bootUnits) text(unit string) string {
	var text []byte
	for _, dir := range b.dirs {
		main, err := os.ReadFile(filepath.Join(dir, unit))
		if err == nil {
			text = main
			break
		}
	}
	if len(text) == 0 {
		return ""
	}
	for _, dir := range b.dirs {
		dropIns, _ := filepath.Glob(filepath.Join(dir, unit+".d", "*.conf")) // the pattern is well-formed
		for _, file := range dropIns {
			more, _ := os.ReadFile(file)
			text = append(append(text, '\n'), more...)
		}
	}
	return string(text)
}

// starts lists the units that a unit has started with it, systemd.unit(5).
func (b bootUnits) starts(unit string) []string {
	var all []string
	for _, dir := range b.dirs {
		for _, by := range []string{".wants", ".requires", ".upholds"} {
			entries, _ := os.ReadDir(filepath.Join(dir, unit+by)) // most have none
			for _, e := range entries {
				all = append(all, e.Name())
			}
		}
	}
	for line := range strings.Lines(b.text(unit)) {
		directive, names, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch directive {
		case "Wants", "Requires", "BindsTo", "Upholds":
			all = append(all, strings.Fields(names)...)
		}
	}
	return all
}

// boot returns the units that are started at boot; false: the system does not say what is.
func (b bootUnits) boot() (map[string]bool, bool) {
	const first = "default.target"
	target, err := os.Readlink(filepath.Join(b.dirs[0], first))
	if err != nil {
		return nil, false
	}
	next, started := []string{filepath.Base(target)}, map[string]bool{}
	for len(next) > 0 {
		unit := next[0]
		next = next[1:]
		if !started[unit] {
			started[unit] = true
			next = append(next, b.starts(unit)...)
		}
	}
	return started, true
}

// bootsAgent refuses a system that would not start its agent when it boots, or not the
// daemon that the agent has Nix build by.
func (n *Node) bootsAgent(next reconcile.Toplevel) error {
	units := n.bootUnits(next)
	started, known := units.boot()
	if !known { // for the trial to find out
		return nil
	}
	if !started[AgentUnit] {
		return fmt.Errorf("nothing of the new system starts %s at boot, so no later commit would reach this node (hint: it needs wantedBy, such as multi-user.target)", AgentUnit)
	}
	if !strings.Contains(units.text(AgentUnit), "NIX_REMOTE=daemon") {
		return nil
	}
	listens := func(unit string) bool {
		return strings.HasSuffix(unit, ".socket") && strings.Contains(units.text(unit), daemonSocket) || unit == "nix-daemon.service" && units.text(unit) != ""
	}
	if slices.ContainsFunc(slices.Collect(maps.Keys(started)), listens) {
		return nil
	}
	return fmt.Errorf("nothing of the new system listens on %s from the boot on, so its agent could build nothing (hint: is nix.enable off, or nix-daemon.socket masked?)", daemonSocket)
}
