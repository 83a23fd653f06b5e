package system

import (
	"bufio"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/infra-agent/infra-agent/reconcile"
)

// bootPlaces are where NixOS mounts the EFI system partition; a second one beside it
// holds the entries and kernels when the first is small (XBOOTLDR).
var bootPlaces = []string{"/boot", "/efi", "/boot/efi"}

// bootMounts lists bootPlaces, and what is mounted beside or below them under another name:
// efiSysMountPoint, xbootldrMountPoint and the paths of mirroredBoots are for a person to choose.
func (n *Node) bootMounts() []string {
	places := slices.Clone(bootPlaces)
	for _, m := range n.mounts() {
		isBoot := strings.HasPrefix(m.where, "/boot") || strings.HasPrefix(m.where, "/efi") || strings.HasPrefix(m.where, "/esp")
		if isBoot && !slices.Contains(places, m.where) {
			places = append(places, m.where)
		}
	}
	return places
}

// A mount is a line of proc_pid_mountinfo(5).
type mount struct {
	device string // MAJOR:MINOR
	where  string
	kind   string // of file system; autofs where it is mounted on demand, systemd.automount(5)
}

func (n *Node) mounts() []mount {
	f, err := os.Open(n.Root + "/proc/self/mountinfo")
	if err != nil {
		return nil
	}
	defer f.Close()
	var all []mount
	for lines := bufio.NewScanner(f); lines.Scan(); {
		before, after, _ := strings.Cut(lines.Text(), " - ")
		fields, kind := strings.Fields(before), strings.Fields(after)
		if len(fields) > 4 && len(kind) > 0 {
			all = append(all, mount{device: fields[2], where: fields[4], kind: kind[0]})
		}
	}
	return all
}

// A bootReading is what the boot loader said last, for file systems that are mounted on
// demand: whoever looks at such a one keeps it from being unmounted.
type bootReading struct {
	mu    sync.Mutex
	known bool            // guarded by mu, as what follows
	found reconcile.Slots // all three at that time
	seen  map[string]string
}

// defaultOf returns the boot default for the systems that run and are the profile's. Where the
// boot file systems are mounted on demand they are read at first, when one of those systems
// changed, and when a file system that is mounted was written to.
func (n *Node) defaultOf(running, profile reconcile.Toplevel) reconcile.Toplevel {
	r := &n.lastBoot
	r.mu.Lock()
	defer r.mu.Unlock()
	written, onDemand := n.written()
	changed := !onDemand || !r.known || r.found.Running != running || r.found.Profile != profile
	for where, count := range written {
		changed = changed || count == "" || r.seen[where] != count
	}
	if changed {
		r.found = reconcile.Slots{Running: running, Profile: profile, Default: n.bootDefault()}
		r.seen, _ = n.written() // it may be mounted only now
		r.known = true
	}
	return r.found.Default
}

// written returns how much was written to each file system that was mounted on demand, and
// is there now: "" where nobody counts. The count is that of the sectors of the block device,
// Documentation/block/stat.rst of Linux.
func (n *Node) written() (counts map[string]string, onDemand bool) {
	counts = map[string]string{}
	places := n.bootMounts()
	demanded := map[string]bool{}
	for _, m := range n.mounts() {
		switch {
		case !slices.Contains(places, m.where):
		case m.kind == "autofs":
			demanded[m.where] = true
		case demanded[m.where]: // it comes after the one that waits for it
			const sectorsWritten = 6
			stat, _ := os.ReadFile(n.Root + "/sys/dev/block/" + m.device + "/stat")
			counts[m.where] = ""
			if fields := strings.Fields(string(stat)); len(fields) > sectorsWritten {
				counts[m.where] = fields[sectorsWritten]
			}
		}
	}
	return counts, len(demanded) > 0
}
