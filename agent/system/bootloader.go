package system

import (
	"bufio"
	"os"
	"path/filepath"
	"strings"

	"github.com/infra-agent/infra-agent/reconcile"
)

// bootDefault returns the system that the boot loader starts by default, or ""
// when that cannot be read. NixOS's boot entries name it in the kernel argument
// init=TOPLEVEL/init.
func (n *Node) bootDefault() reconcile.Toplevel {
	for _, esp := range []string{"/boot", "/efi", "/boot/efi"} {
		if t := n.systemdBoot(esp); t != "" {
			return t
		}
	}
	// GRUB's first entry and extlinux's DEFAULT are the newest generation
	// (nixos/modules/system/boot/loader/{grub,generic-extlinux-compatible}).
	for _, conf := range []string{"/boot/grub/grub.cfg", "/boot/extlinux/extlinux.conf"} {
		if t := firstInit(n.Root + conf); t != "" {
			return t
		}
	}
	return ""
}

// systemdBoot reads loader.conf and the entry that it names
// (nixos/modules/system/boot/loader/systemd-boot/systemd-boot-builder.py).
func (n *Node) systemdBoot(esp string) reconcile.Toplevel {
	loader, err := os.ReadFile(n.Root + esp + "/loader/loader.conf")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(loader)) {
		entry, is := strings.CutPrefix(strings.TrimSpace(line), "default ")
		if !is {
			continue
		}
		entry = strings.TrimSpace(entry)
		name := filepath.Base(entry)
		if name != entry || strings.ContainsAny(name, "*?[") {
			return ""
		}
		stem := strings.TrimSuffix(name, ".conf")
		// With boot counting the file is named NAME+TRIES.conf.
		matches, err := filepath.Glob(n.Root + esp + "/loader/entries/" + stem + "*.conf")
		if err != nil {
			return ""
		}
		for _, m := range matches {
			base := strings.TrimSuffix(filepath.Base(m), ".conf")
			if base == stem || strings.HasPrefix(base, stem+"+") {
				return firstInit(m)
			}
		}
	}
	return ""
}

// firstInit returns the system of the first init= argument in a file.
func firstInit(path string) reconcile.Toplevel {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		for arg := range strings.FieldsSeq(lines.Text()) {
			init, is := strings.CutPrefix(arg, "init=")
			if top, ok := strings.CutSuffix(init, "/init"); is && ok && strings.HasPrefix(top, "/nix/store/") {
				return reconcile.Toplevel(top)
			}
		}
	}
	return ""
}
