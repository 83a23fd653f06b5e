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
type bootUnits struct {
	dirs   []string // the first that has a unit counts
	kernel kernelParams
}

func (n *Node) bootUnits(next reconcile.Toplevel) bootUnits {
	params, _ := os.ReadFile(n.Root + string(next) + "/kernel-params") // without them the units alone decide
	return bootUnits{
		dirs:   []string{n.Root + string(next) + "/etc/systemd/system", n.Root + "/usr/lib/systemd/system"},
		kernel: paramsOf(string(params)),
	}
}

// kernelParams are what a kernel's command line tells systemd of the boot.
type kernelParams struct {
	unit   string          // that is started instead of default.target; "": none
	wants  []string        // units that are started as well
	masked map[string]bool // units that are not started
}

// runlevels are the words of a command line that stand for a target, kernel-command-line(7).
var runlevels = map[string]string{
	"emergency": "emergency.target", "-b": "emergency.target",
	"rescue": "rescue.target", "single": "rescue.target", "s": "rescue.target", "S": "rescue.target", "1": "rescue.target",
	"2": "multi-user.target", "3": "multi-user.target", "4": "multi-user.target", "5": "graphical.target",
}

// paramsOf reads a command line as kernel-command-line(7) and systemd-debug-generator(8) say:
// of several units to start the last one counts.
func paramsOf(line string) kernelParams {
	p := kernelParams{masked: map[string]bool{}}
	for _, word := range strings.Fields(line) {
		key, value, _ := strings.Cut(word, "=")
		switch {
		case runlevels[word] != "":
			p.unit = runlevels[word]
		case key == "systemd.unit" && value != "":
			p.unit = value
		case key == "systemd.wants":
			p.wants = append(p.wants, value)
		case key == "systemd.mask":
			p.masked[value] = true
		}
	}
	return p
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
		for _, file := range dropIns(dir, unit) {
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
	target := b.kernel.unit
	if target == "" {
		link, err := os.Readlink(filepath.Join(b.dirs[0], first))
		if err != nil {
			return nil, false
		}
		target = filepath.Base(link)
	}
	next, started := append([]string{target}, b.kernel.wants...), map[string]bool{}
	for len(next) > 0 {
		unit := next[0]
		next = next[1:]
		if !started[unit] && !b.kernel.masked[unit] {
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
		return fmt.Errorf("nothing of the new system starts %s at boot, so no later commit would reach this node (hint: it needs wantedBy, such as multi-user.target, and no word of boot.kernelParams against it)", AgentUnit)
	}
	text := units.text(AgentUnit)
	now := n.bootUnits(n.toplevel(currentSystem)).text(AgentUnit)
	for _, line := range []struct{ key, value string }{{"Restart", "always"}, {"StartLimitIntervalSec", "0"}} {
		if directive(now, line.key) == line.value && directive(text, line.key) != line.value {
			return fmt.Errorf("nothing of the new system starts %s again whenever it ends, which it does by itself for other credentials (hint: its unit needs %s=%s, as now)", AgentUnit, line.key, line.value)
		}
	}
	if !strings.Contains(text, "NIX_REMOTE=daemon") {
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
