package system

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/infra-agent/infra-agent/reconcile"
)

// mountinfo is the kernel's list of mounts, proc_pid_mountinfo(5), each given as "DEVICE WHERE KIND".
func mountinfo(mounts ...string) string {
	text := "29 1 8:2 / / rw,relatime shared:1 - ext4 /dev/sda2 rw\n"
	for i, m := range mounts {
		f := strings.Fields(m)
		text += fmt.Sprintf("%d 29 %s / %s rw,relatime shared:%d - %s source rw\n", 40+i, f[0], f[1], 60+i, f[2])
	}
	return text
}

// stat is a /sys/dev/block/MAJOR:MINOR/stat with that many sectors written.
func stat(written int) string {
	return fmt.Sprintf("     310     1120    15210       92        4        0        %d       12        0      108      104        0        0        0        0        0        0\n", written)
}

// TestAnESPThatIsMountedOnDemandMayBeUnmounted: a look at it would mount it, and keep it mounted, for ever.
func TestAnESPThatIsMountedOnDemandMayBeUnmounted(t *testing.T) {
	idle, mounted := mountinfo("0:44 /boot autofs"), mountinfo("0:44 /boot autofs", "8:1 /boot vfat")
	n := root(t, map[string]string{
		"/run/current-system":          "-> " + string(topA),
		"/nix/var/nix/profiles/system": "-> " + string(topA),
		"/boot/loader/loader.conf":     "default nixos-generation-41.conf\n",
		"/boot/" + entries + "41.conf": entry("41", topA),
		"/boot/" + entries + "42.conf": entry("42", topB),
		"/proc/self/mountinfo":         mounted,
		"/sys/dev/block/8:1/stat":      stat(8),
	})
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(n.Root+name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	choose := func(generation string) {
		t.Helper()
		write("/boot/loader/loader.conf", "default nixos-generation-"+generation+".conf\n")
	}
	expect := func(what string, want reconcile.Toplevel) {
		t.Helper()
		if got := n.Slots().Default; got != want {
			t.Errorf("%s: the boot default is %q, want %q", what, got, want)
		}
	}
	expect("at first it is read", topA)
	choose("42")
	expect("mounted, and nothing was written to it: not read", topA)
	write("/sys/dev/block/8:1/stat", stat(24))
	expect("it was written to", topB)
	choose("41")
	write("/proc/self/mountinfo", idle)
	write("/sys/dev/block/8:1/stat", stat(32)) // as unmounting does
	expect("not mounted: not read", topB)
	write("/proc/self/mountinfo", mounted)
	expect("mounted by somebody, after it was written to", topA)
	choose("42")
	write("/proc/self/mountinfo", idle)
	profile := n.Root + "/nix/var/nix/profiles/system"
	if err := os.Remove(profile); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(string(topB), profile); err != nil {
		t.Fatal(err)
	}
	expect("not mounted, and another profile", topB)
	choose("41")
	if err := os.Remove(filepath.Join(n.Root, "/sys/dev/block/8:1/stat")); err != nil {
		t.Fatal(err)
	}
	write("/proc/self/mountinfo", mounted)
	expect("nobody counts what is written: read", topA)
	choose("42")
	write("/proc/self/mountinfo", mountinfo("8:1 /boot vfat"))
	expect("not on demand: always read", topB)
}
