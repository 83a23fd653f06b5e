package system

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf16"

	"github.com/infra-agent/infra-agent/reconcile"
)

// bootMounts are where NixOS mounts the EFI system partition; a second one beside
// it holds the entries and kernels when the first is small (XBOOTLDR).
var bootMounts = []string{"/boot", "/efi", "/boot/efi"}

// bootDefault returns the system that the boot loader starts by default, or ""
// when that cannot be read. NixOS's boot entries name it in the kernel argument
// init=TOPLEVEL/init.
func (n *Node) bootDefault() reconcile.Toplevel {
	for _, esp := range bootMounts {
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
// (nixos/modules/system/boot/loader/systemd-boot/systemd-boot-builder.py). With
// boot counting that one is "preferred", and "default" is a pattern for the rest.
func (n *Node) systemdBoot(esp string) reconcile.Toplevel {
	loader, err := os.ReadFile(n.Root + esp + "/loader/loader.conf")
	if err != nil {
		return ""
	}
	named := map[string]string{}
	for line := range strings.Lines(string(loader)) {
		if f := strings.Fields(line); len(f) > 1 {
			named[f[0]] = f[1]
		}
	}
	entry := cmp.Or(named["preferred"], named["default"])
	if entry == "" || filepath.Base(entry) != entry || strings.ContainsAny(entry, `*?[\`) {
		return ""
	}
	stem := strings.TrimSuffix(entry, ".conf")
	for _, mount := range bootMounts {
		matches, _ := filepath.Glob(n.Root + mount + "/loader/entries/" + stem + "*.conf") // the pattern is well-formed
		for _, m := range matches {
			// With boot counting the file is named NAME+LEFT.conf or
			// NAME+LEFT-DONE.conf, and passed over when no try is left.
			name, left, counted := strings.Cut(strings.TrimSuffix(filepath.Base(m), ".conf"), "+")
			left, _, _ = strings.Cut(left, "-")
			if name == stem && (!counted || left != "0") {
				return firstInit(m)
			}
		}
	}
	return ""
}

// entryDefault returns the entry that a person chose with "bootctl set-default", which
// beats loader.conf and what a promotion sets, systemd-boot(7); "": none. The variable is four bytes of attributes,
// and a string in UTF-16 that ends with a zero.
func (n *Node) entryDefault() string {
	const variable = "/sys/firmware/efi/efivars/LoaderEntryDefault-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"
	data, err := os.ReadFile(n.Root + variable)
	if err != nil || len(data) < 6 {
		return ""
	}
	var units []uint16
	for text := data[4:]; len(text) >= 2 && (text[0] != 0 || text[1] != 0); text = text[2:] {
		units = append(units, binary.LittleEndian.Uint16(text))
	}
	return string(utf16.Decode(units))
}

// kernels returns the directory of the file system that the boot loader keeps kernels
// on: systemd-boot puts them into EFI/nixos where its entries are.
func (n *Node) kernels() string {
	for _, mount := range bootMounts {
		if _, err := os.Stat(n.Root + mount + "/EFI/nixos"); err == nil {
			return n.Root + mount
		}
	}
	return n.Root + "/boot"
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
