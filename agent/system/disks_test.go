package system

import (
	"cmp"
	"strings"
	"testing"
)

// What boots is on the disks that are there now, whatever they are called.
func TestDisks(t *testing.T) {
	const now = "# made by NixOS\n/dev/disk/by-uuid/aaaa / ext4 defaults 0 1\n/dev/disk/by-label/ESP /boot vfat umask=0077 0 2\nrpool/nix /nix zfs defaults 0 0\ntmpfs /tmp tmpfs size=50% 0 0\n"
	for name, c := range map[string]struct{ old, by, want string }{
		"the same":                   {"", "", ""},
		"another name of the disk":   {"/dev/disk/by-uuid/aaaa /", "LABEL=root /", ""},
		"the same by its partition":  {"/dev/disk/by-uuid/aaaa /", "PARTUUID=\"cc\" /", ""},
		"another disk":               {"/dev/disk/by-uuid/aaaa /", "/dev/disk/by-uuid/bbbb /", "has /dev/disk/by-uuid/bbbb (ext4) at /, where this one has /dev/disk/by-uuid/aaaa (ext4)"},
		"a disk that is not there":   {"/dev/disk/by-label/ESP", "/dev/disk/by-label/disk-main-boot", "at /boot, where"},
		"another file system":        {"/dev/disk/by-uuid/aaaa / ext4", "/dev/disk/by-uuid/aaaa / btrfs", "(btrfs) at /"},
		"a kind that is found out":   {"/dev/disk/by-uuid/aaaa / ext4", "/dev/disk/by-uuid/aaaa / auto", ""},
		"a memory by another name":   {"rpool/nix /nix zfs", "none /nix tmpfs", "has none (tmpfs) at /nix"},
		"another dataset":            {"rpool/nix", "tank/nix", "has tank/nix (zfs) at /nix"},
		"something that is no boot":  {"tmpfs /tmp tmpfs", "/dev/disk/by-uuid/bbbb /tmp ext4", ""},
		"no word about the boot now": {"/dev/disk/by-label/ESP /boot vfat umask=0077 0 2\n", "", ""},
	} {
		n := root(t, map[string]string{
			currentSystem:               "-> " + string(topA),
			string(topA) + "/etc/fstab": now,
			string(topB) + "/etc/fstab": strings.Replace(now, c.old, c.by, 1),
			"/dev/sda1":                 "", "/dev/sda2": "", "/dev/sdb1": "",
			"/dev/disk/by-label/ESP": "-> /dev/sda1", "/dev/disk/by-uuid/aaaa": "-> /dev/sda2", "/dev/disk/by-label/root": "-> /dev/sda2",
			"/dev/disk/by-partuuid/cc": "-> /dev/sda2", "/dev/disk/by-uuid/bbbb": "-> /dev/sdb1",
		})
		if err := n.sameDisks(t.Context(), topB, "/var/lib/infra-agent"); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
	if err := root(t, nil).sameDisks(t.Context(), topB, "/var/lib/infra-agent"); err != nil {
		t.Errorf("systems without fstab: %v", err)
	}
}

// What is mounted over the agent's record, or over the store, hides it from the next start on.
func TestMountsThatHide(t *testing.T) {
	const now = "/dev/sda2 / ext4 defaults 0 1\n"
	for name, c := range map[string]struct {
		fstab, unit string
		mounted     string // already; "": /
		want        string // place
	}{
		"nothing new":                     {"", "", "", ""},
		"over the record":                 {"tmpfs /var/lib/infra-agent tmpfs defaults 0 0\n", "", "", "/var/lib/infra-agent"},
		"above the record":                {"/dev/sdb1 /var/lib ext4 defaults 0 2\n", "", "", "/var/lib"},
		"over the store":                  {"/dev/sdb1 /nix ext4 defaults 0 2\n", "", "", "/nix"},
		"over Nix's database":             {"/dev/sdb1 /nix/var/nix ext4 defaults 0 2\n", "", "", "/nix/var/nix"},
		"beside the record":               {"/dev/sdb1 /var/lib/infra ext4 defaults 0 2\n", "", "", ""},
		"what is mounted without a word":  {"/dev/sdb1 /nix ext4 defaults 0 2\n", "", "8:17 /nix ext4", ""},
		"by a unit":                       {"", "[Mount]\nWhat=/dev/sdb1\nType=ext4\nWhere=/var\n", "", "/var"},
		"by a unit, of what is elsewhere": {"", "[Mount]\nWhat=/dev/sdb1\nWhere=/srv\n", "", ""},
	} {
		n := root(t, map[string]string{
			currentSystem: "-> " + string(topA), string(topA) + "/etc/fstab": now, string(topB) + "/etc/fstab": now + c.fstab,
			string(topB) + "/etc/systemd/system/a.mount": c.unit, "/proc/self/mountinfo": mountinfo(cmp.Or(c.mounted, "8:2 / ext4")),
		})
		err := n.sameDisks(t.Context(), topB, "/var/lib/infra-agent")
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), " at "+c.want+", where nothing is mounted now") {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}
