package system

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/infra-agent/infra-agent/reconcile"
)

// A bootLoader is what the configuration of one says, on one file system.
type bootLoader struct {
	conf     string // its configuration
	grub     bool
	toplevel reconcile.Toplevel // that it starts by default; "": it cannot be read
	kernels  []string           // the directory that it copies kernels to; none: it starts them from the store
}

// What boot loaders read, below a file system of theirs.
const loaderConf, grubConf, extlinuxConf = "/loader/loader.conf", "/grub/grub.cfg", "/extlinux/extlinux.conf"

// bootDefault returns the system that the boot loader starts by default, or ""
// when that cannot be read. NixOS's boot entries name it in the kernel argument
// init=TOPLEVEL/init.
func (n *Node) bootDefault() reconcile.Toplevel {
	return newestLoader(n.bootLoaders()).toplevel
}

// bootLoaders reads the configuration of each boot loader where it may be. GRUB's first entry
// and extlinux's DEFAULT are the newest generation
// (nixos/modules/system/boot/loader/{grub,generic-extlinux-compatible}).
func (n *Node) bootLoaders() []bootLoader {
	var all []bootLoader
	if n.unreadLoader() {
		return nil
	}
	mounts := n.bootMounts()
	for _, esp := range mounts {
		on, entry := n.systemdBoot(esp, mounts)
		all = append(all, bootLoader{n.Root + esp + loaderConf, false, firstInit(entry), []string{n.Root + on}})
	}
	for _, mount := range mounts {
		kernel, top := firstEntry(n.Root + mount + grubConf)
		l := bootLoader{n.Root + mount + grubConf, true, top, nil}
		if strings.Contains(kernel, "/kernels/") { // install-grub.pl, copyKernels
			l.kernels = []string{n.Root + mount}
		}
		all = append(all, l)
	}
	for _, mount := range mounts {
		all = append(all, bootLoader{n.Root + mount + extlinuxConf, false, firstInit(n.Root + mount + extlinuxConf), []string{n.Root + mount}})
	}
	return all
}

// installer is the program that switch-to-configuration installs the boot loader with, which
// its wrapper has in the environment (nixos/modules/system/activation/switchable-system.nix).
var installer = regexp.MustCompile(`INSTALL_BOOTLOADER='?(/\S+?)['\s]`)

// unread are boot loaders whose configuration is not read. Where one of them is in use, what
// another left behind says nothing. The last one installs nothing: a container, or WSL.
var unread = regexp.MustCompile(`(?i)limine|lanzaboote|refind|/bin/true$`)

func (n *Node) unreadLoader() bool {
	program, _ := os.ReadFile(n.Root + switchProgram(n.toplevel(currentSystem)))
	found := installer.FindSubmatch(program)
	return found != nil && unread.Match(found[1])
}

// newestLoader returns the one whose configuration was written last: each activation for the
// next boot writes it, and a boot loader that was given up leaves its own behind.
func newestLoader(all []bootLoader) (newest bootLoader) {
	var at time.Time
	for _, l := range all {
		info, err := os.Stat(l.conf)
		if err == nil && (newest.conf == "" || info.ModTime().After(at)) {
			newest, at = l, info.ModTime()
		}
	}
	return newest
}

// systemdBoot returns the file of the entry that systemd-boot starts by default, and the file
// system that it is on; "" where there is none. It reads loader.conf and the entry that it names
// (nixos/modules/system/boot/loader/systemd-boot/systemd-boot-builder.py). With
// boot counting that one is "preferred", and "default" is a pattern for the rest.
func (n *Node) systemdBoot(esp string, mounts []string) (on, file string) {
	loader, err := os.ReadFile(n.Root + esp + loaderConf)
	if err != nil {
		return "", ""
	}
	named := map[string]string{}
	for line := range strings.Lines(string(loader)) {
		if f := strings.Fields(line); len(f) > 1 {
			named[f[0]] = f[1]
		}
	}
	entry := cmp.Or(named["preferred"], named["default"])
	if entry == "" || filepath.Base(entry) != entry || strings.ContainsAny(entry, `*?[\`) {
		return "", ""
	}
	stem := strings.TrimSuffix(entry, ".conf")
	for _, mount := range mounts {
		matches, _ := filepath.Glob(n.Root + mount + "/loader/entries/" + stem + "*.conf") // the pattern is well-formed
		for _, m := range matches {
			// With boot counting the file is named NAME+LEFT.conf or
			// NAME+LEFT-DONE.conf, and passed over when no try is left.
			name, left, counted := strings.Cut(strings.TrimSuffix(filepath.Base(m), ".conf"), "+")
			left, _, _ = strings.Cut(left, "-")
			if name == stem && (!counted || left != "0") {
				return mount, m
			}
		}
	}
	return "", ""
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

// kernels returns the directories of the file systems that the boot loader copies kernels to:
// where those of its default entry are, each of GRUB's mirrors, and none where GRUB starts
// kernels from the store itself. Of an unknown boot loader nothing is known but where NixOS mounts
// its file systems: the first of them that is there.
func (n *Node) kernels() []string {
	all := n.bootLoaders()
	newest := newestLoader(all)
	if newest.toplevel == "" {
		for _, mount := range n.bootMounts() {
			if _, err := os.Stat(n.Root + mount); err == nil {
				return []string{n.Root + mount}
			}
		}
		return nil
	}
	if !newest.grub {
		return newest.kernels
	}
	var copied []string
	for _, l := range all {
		if l.grub {
			copied = append(copied, l.kernels...)
		}
	}
	return copied
}

// firstInit returns the system of the first init= argument in a file.
func firstInit(path string) reconcile.Toplevel {
	_, t := firstEntry(path)
	return t
}

// firstEntry returns the system of the first init= argument in a file, and the first argument
// of its line: the kernel, in a GRUB configuration.
func firstEntry(path string) (kernel string, t reconcile.Toplevel) {
	f, err := os.Open(path)
	if err != nil {
		return "", ""
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		args := strings.Fields(lines.Text())
		for _, arg := range args {
			init, is := strings.CutPrefix(arg, "init=")
			if top, ok := strings.CutSuffix(init, "/init"); is && ok && strings.HasPrefix(top, "/nix/store/") {
				return args[min(1, len(args)-1)], reconcile.Toplevel(top)
			}
		}
	}
	return "", ""
}
