package system

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/infra-agent/infra-agent/reconcile"
)

// root makes a file system of paths: "-> TARGET" is a link, anything else a file.
// Links are relative, so that nobody leaves it.
func root(t *testing.T, files map[string]string) *Node {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		if target, is := strings.CutPrefix(content, "-> "); is {
			if absolute, is := strings.CutPrefix(target, "/"); is && !strings.HasPrefix(target, "/nix/store/") {
				target = strings.Repeat("../", strings.Count(name, "/")-1) + absolute
			}
			err = errors.Join(err, os.Symlink(target, path))
		} else {
			err = errors.Join(err, os.WriteFile(path, []byte(content), 0o755))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return &Node{Root: dir}
}

const (
	topA = reconcile.Toplevel("/nix/store/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-nixos-system-web-25.05")
	topB = reconcile.Toplevel("/nix/store/bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb-nixos-system-web-25.11")
)

func TestSlots(t *testing.T) {
	n := root(t, map[string]string{
		"/run/current-system":                           "-> " + string(topB),
		"/run/booted-system":                            "-> " + string(topA),
		"/nix/var/nix/profiles/system":                  "-> system-42-link",
		"/nix/var/nix/profiles/system-42-link":          "-> " + string(topA),
		"/boot/loader/loader.conf":                      "default nixos-generation-42.conf\n",
		"/boot/loader/entries/nixos-generation-42.conf": "options init=" + string(topA) + "/init\n",
	})
	if got, want := n.Slots(), (reconcile.Slots{Running: topB, Profile: topA, Default: topA}); got != want {
		t.Errorf("Slots() = %+v, want %+v", got, want)
	}
	if got := n.Booted(); got != topA {
		t.Errorf("Booted() = %s, want %s", got, topA)
	}
	if got := new(Node).Watched(); !slices.Equal(got, []string{"/run", "/nix/var/nix/profiles"}) {
		t.Errorf("Watched() = %q", got)
	}
	if got := root(t, nil).Slots(); got != (reconcile.Slots{}) {
		t.Errorf("Slots() of nothing = %+v, want nothing", got)
	}
}

func TestToplevel(t *testing.T) {
	n := root(t, map[string]string{
		"/store":    "-> " + string(topA),
		"/one":      "-> two",
		"/two":      "-> store",
		"/loop":     "-> pool",
		"/pool":     "-> loop",
		"/dangling": "-> nowhere",
		"/file":     "no link",
		"/home":     "-> /home/root/system",
		"/special":  "-> " + string(topA) + "/specialisation/kiosk",
	})
	for link, want := range map[string]reconcile.Toplevel{
		"/store": topA, "/one": topA, "/loop": "", "/dangling": "", "/file": "", "/home": "", "/missing": "",
		"/special": topA + "/specialisation/kiosk",
	} {
		if got := n.toplevel(link); got != want {
			t.Errorf("toplevel(%s) = %q, want %q", link, got, want)
		}
	}
}

func TestBootAndUptime(t *testing.T) {
	boot, err := new(Node).Boot()
	if len(boot) != 36 || err != nil {
		t.Errorf("Boot() = %q, %v, want a UUID", boot, err)
	}
	first := Uptime()
	if second := Uptime(); first <= 0 || second < first {
		t.Errorf("the boot-time clock went from %v to %v", first, second)
	}
	self, err := Self()
	if err != nil || !strings.HasSuffix(self, ".test") {
		t.Errorf("Self() = %q, %v, want the test's own program", self, err)
	}
}

func TestAgentOf(t *testing.T) {
	unit := func(exec string) string { return "[Unit]\nDescription=x\n\n[Service]\n" + exec + "Type=notify\n" }
	const file, program = "/etc/systemd/system/infra-agent.service", "/nix/store/ggg-infra-agent-1.2.0/bin/infra-agent"
	tests := []struct{ name, unit, want string }{
		{"plain", unit("ExecStart=" + program + " run --config /etc/infra-agent/config.toml\n"), program},
		{"prefixed", unit("ExecStart=-@!" + program + " infra-agent run\n"), program},
		{"without arguments", unit("ExecStart=" + program + "\n"), program},
		{"through a link", unit("ExecStart=/bin/agent run\n"), program},
		{"not in the store any more", unit("ExecStart=/nix/store/gone/bin/infra-agent run\n"), "/nix/store/gone/bin/infra-agent"},
		{"starts nothing", unit(""), ""},
	}
	for _, tt := range tests {
		n := root(t, map[string]string{string(topB) + file: tt.unit, program: "", "/bin/agent": "-> ..." + program})
		link := filepath.Join(n.Root, "bin/agent")
		if err := errors.Join(os.Remove(link), os.Symlink(".."+program, link)); err != nil {
			t.Fatal(err)
		}
		if got := n.AgentOf(topB); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
		if got := n.AgentOf(topA); got != "" {
			t.Errorf("a system without the unit has the agent %q", got)
		}
	}
}

func TestRebootRequired(t *testing.T) {
	files := map[string]string{"/run/booted-system": "-> ../nix/store/aaa", "/run/current-system": "-> ../nix/store/bbb"}
	for _, c := range []string{"kernel", "initrd", "kernel-modules", "systemd"} {
		files["/nix/store/aaa/"+c] = "-> ../old-" + c
		files["/nix/store/bbb/"+c] = "-> ../old-" + c
		files["/nix/store/old-"+c], files["/nix/store/new-"+c] = "", ""
	}
	if got := root(t, files).RebootRequired(); got != nil {
		t.Errorf("the same components: got %q, want none", got)
	}
	changed := maps.Clone(files)
	for _, c := range []string{"kernel", "kernel-modules", "systemd"} {
		changed["/nix/store/bbb/"+c] = "-> ../new-" + c
	}
	if got := root(t, changed).RebootRequired(); !slices.Equal(got, []string{"kernel", "modules", "systemd"}) {
		t.Errorf("got %q, want kernel, modules and systemd", got)
	}
	container := maps.Clone(files) // has no kernel of its own
	delete(container, "/nix/store/aaa/kernel")
	delete(container, "/nix/store/bbb/kernel")
	if got := root(t, container).RebootRequired(); got != nil {
		t.Errorf("without a kernel: got %q, want none", got)
	}
}

func TestGenerations(t *testing.T) {
	n := root(t, map[string]string{
		"/nix/var/nix/profiles/system-7-link":      "-> " + string(topA),
		"/nix/var/nix/profiles/system-12-link":     "-> " + string(topB),
		"/nix/var/nix/profiles/system-9-link":      "-> " + string(topA), // rolled back to it
		"/nix/var/nix/profiles/system-test-link":   "-> " + string(topA),
		"/nix/var/nix/profiles/system-13-link":     "-> gone",
		"/nix/var/nix/profiles/system-14-link.tmp": "-> " + string(topA),
	})
	want := map[reconcile.Toplevel]int{topA: 9, topB: 12}
	if got := n.Generations(); !maps.Equal(got, want) {
		t.Errorf("Generations() = %v, want %v", got, want)
	}
}

func TestSyncBoot(t *testing.T) {
	if err := root(t, nil).SyncBoot(); err != nil {
		t.Errorf("without boot partitions: %v", err)
	}
	if err := root(t, map[string]string{"/boot/efi/x": "", "/efi/x": ""}).SyncBoot(); err != nil {
		t.Error(err)
	}
	n := root(t, map[string]string{"/boot/efi": "-> efi"}) // a loop: cannot be opened
	if err := n.SyncBoot(); err == nil || !strings.HasPrefix(err.Error(), "sync /boot/efi: ") {
		t.Errorf("got %v, want that /boot/efi cannot be synced", err)
	}
}
