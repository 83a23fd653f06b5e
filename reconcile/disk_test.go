package reconcile

import "testing"

func TestFaultsOfADisk(t *testing.T) {
	for line, want := range map[string]bool{
		"cp: error writing '/boot/EFI/nixos/x.efi': No space left on device": true,
		"mkdir: cannot create directory '/etc/x': Read-only file system":     true,
		"cat: /dev/sda1: Input/output error":                                 true,
		"ln: failed to create symbolic link: Disk quota exceeded":            true,
		"error: the group 'web' does not exist":                              false,
		"write /var/lib/x: no space left on device":                          true,
	} {
		if got := OfDisk(line); got != want {
			t.Errorf("%q: %v, want %v", line, got, want)
		}
	}
}
