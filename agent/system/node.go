// Package system looks at the node and changes it: systemd over the system bus,
// the links that say which system runs, profiles, GC roots. It does not judge.
package system

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/infra-agent/infra-agent/reconcile"
)

// AgentUnit is the unit of the agent itself.
const AgentUnit = "infra-agent.service"

// A Node is the machine the agent runs on.
type Node struct {
	Root   string // "" but in tests
	Bus    *Bus
	System string // Nix's name for this kind of machine; "" = not known
	Apart  bool   // programs run in units of their own, see [Node.Run]
	// LookAtSecrets is the program, and its arguments, that reads secrets as JSON and
	// prints what [Node.Amiss] says of them; it is only used where programs run apart.
	LookAtSecrets []string

	lastBoot bootReading
}

// Well-known places of NixOS, nixos/modules/system/boot/stage-2-init.sh and
// nixos/modules/system/activation.
const (
	currentSystem = "/run/current-system"
	bootedSystem  = "/run/booted-system"
	systemProfile = "/nix/var/nix/profiles/system"
)

// Watched lists the directories whose changes tell of a switch by hand.
func (n *Node) Watched() []string {
	return []string{n.Root + "/run", n.Root + filepath.Dir(systemProfile)}
}

// Slots reads which system runs, and which will run after a reboot. What cannot
// be read is empty.
func (n *Node) Slots() reconcile.Slots {
	running, profile := n.toplevel(currentSystem), n.toplevel(systemProfile)
	return reconcile.Slots{Running: running, Profile: profile, Default: n.defaultOf(running, profile)}
}

// Booted returns the system that the node booted.
func (n *Node) Booted() reconcile.Toplevel { return n.toplevel(bootedSystem) }

// toplevel follows link to the store path it stands for, at most through the
// profile's own links.
func (n *Node) toplevel(link string) reconcile.Toplevel {
	for range 8 {
		to, err := os.Readlink(n.Root + link)
		if err != nil {
			return ""
		}
		if !filepath.IsAbs(to) {
			to = filepath.Join(filepath.Dir(link), to)
		}
		if strings.HasPrefix(to, "/nix/store/") {
			return reconcile.Toplevel(to)
		}
		link = to
	}
	return ""
}

// Boot returns the kernel's name of this boot.
func (n *Node) Boot() (reconcile.BootID, error) {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("read boot id: %w", err)
	}
	return reconcile.BootID(strings.TrimSpace(string(id))), nil
}

// Uptime returns the boot-time clock: it counts while the machine is suspended,
// and setting the wall clock does not move it.
func Uptime() time.Duration { return clock(unix.CLOCK_BOOTTIME) }

// Asleep returns for how long the machine was suspended since it booted: the other clock
// stands still meanwhile, clock_gettime(2).
func Asleep() time.Duration {
	awake := monotonic()
	return max(0, clock(unix.CLOCK_BOOTTIME)-awake).Truncate(time.Second)
}

// monotonic returns the clock of systemd's monotonic time stamps.
func monotonic() time.Duration { return clock(unix.CLOCK_MONOTONIC) }

func clock(id int32) time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(id, &ts); err != nil {
		panic("no such clock: " + err.Error()) // Linux has had both since 2.6.39
	}
	return time.Duration(ts.Nano())
}

// Self returns the running program's own file, links resolved.
func Self() (string, error) {
	exe, err := os.Executable()
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(exe)
}

// AgentOf returns the program that the system t starts as its agent, or "" when
// it starts none.
func (n *Node) AgentOf(t reconcile.Toplevel) string {
	unit, err := os.ReadFile(filepath.Join(n.Root, string(t), "etc/systemd/system", AgentUnit))
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(unit)) {
		exec, is := strings.CutPrefix(strings.TrimSpace(line), "ExecStart=")
		if !is {
			continue
		}
		program, _, _ := strings.Cut(strings.TrimLeft(exec, "-@:+!|"), " ")
		if resolved, err := filepath.EvalSymlinks(n.Root + program); err == nil {
			return strings.TrimPrefix(resolved, n.Root)
		}
		return program
	}
	return ""
}

// components are the parts of a system that only a reboot changes.
var components = []string{"kernel", "initrd", "kernel-modules", "systemd"}

// RebootRequired lists the components that differ between the booted and the
// running system.
func (n *Node) RebootRequired() []string { return n.differ(bootedSystem, currentSystem) }

// Generations returns the newest generation of the system profile for each
// system that has one.
func (n *Node) Generations() map[reconcile.Toplevel]int {
	links, _ := filepath.Glob(n.Root + systemProfile + "-*-link") // the pattern is well-formed
	numbers := make(map[reconcile.Toplevel]int, len(links))
	for _, link := range links {
		number, err := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(link, n.Root+systemProfile+"-"), "-link"))
		if err != nil {
			continue
		}
		if t := n.toplevel(strings.TrimPrefix(link, n.Root)); t != "" {
			numbers[t] = max(numbers[t], number)
		}
	}
	return numbers
}

// SyncBoot writes the boot partitions' file systems to the disk.
func (n *Node) SyncBoot() error {
	for _, dir := range n.bootMounts() {
		f, err := os.Open(n.Root + dir)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("sync %s: %w", dir, err)
		}
		err = unix.Syncfs(int(f.Fd()))
		_ = f.Close()
		if err != nil {
			return fmt.Errorf("sync %s: %w", dir, err)
		}
	}
	return nil
}
