package system

import (
	"reflect"
	"strings"
	"testing"
)

func TestCompare(t *testing.T) {
	const a, b = "/nix/store/aaa/etc/systemd/system/", "/nix/store/bbb/etc/systemd/system/"
	files := map[string]string{
		a + "same.service": "one", b + "same.service": "one",
		a + "changed.service": "one", b + "changed.service": "two",
		a + "gone.timer": "x", b + "new.socket": "x",
		a + "linked.service": "-> ../../../../unit-1", b + "linked.service": "-> ../../../../unit-2", "/nix/store/unit-1": "text", "/nix/store/unit-2": "text",
		a + "dropped.service": "one", b + "dropped.service": "one", a + "dropped.service.d/overrides.conf": "x", b + "dropped.service.d/overrides.conf": "y",
		a + "only.service.d/overrides.conf": "x", b + "only.service.d/overrides.conf": "x",
		a + "masked.service": "-> /nowhere", b + "masked.service": "-> /nowhere",
		a + "multi-user.target.wants/same.service": "x", b + "multi-user.target.wants/same.service": "y",
		"/nix/store/aaa/kernel": "-> ../linux-1", "/nix/store/bbb/kernel": "-> ../linux-2", "/nix/store/linux-1": "", "/nix/store/linux-2": "",
	}
	n := root(t, files)
	want := Difference{Reboot: []string{"kernel"}, Units: []string{"changed.service", "dropped.service", "gone.timer", "new.socket"}}
	if got, err := n.Compare("/nix/store/aaa", "/nix/store/bbb"); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("Compare = %+v, %v, want %+v", got, err, want)
	}
	if got, err := n.Compare("/nix/store/aaa", "/nix/store/ccc"); err == nil {
		t.Errorf("a system that is not there: %+v", got)
	}
}

// NixOS compares by name what both systems have.
func TestCompareInhibitors(t *testing.T) {
	for _, c := range []struct{ name, before, after, reboot string }{
		{"none", "", "", ""},
		{"the same", `{"a": "1"}`, `{"a":"1"}`, ""},
		{"another, a new one and one that is gone", `{"fstab": "1", "old": "1", "dbus": "1"}`, `{"fstab":"2","new":"1","dbus":"2"}`, "dbus fstab"},
		{"of a system without any", "", `{"a":"1"}`, ""},
		{"by no name, as they were before", "/nix/store/a\n/nix/store/b", "/nix/store/a\n/nix/store/c", "switch-inhibitors"},
		{"by no name, and the same", "/nix/store/a", "/nix/store/a", ""},
		{"the kernel, which differs anyway", `{"kernel": "1"}`, `{"kernel": "2"}`, "kernel"},
	} {
		files := map[string]string{"/nix/store/aaa/etc/systemd/system/x": "", "/nix/store/bbb/etc/systemd/system/x": ""}
		for dir, text := range map[string]string{"/nix/store/aaa": c.before, "/nix/store/bbb": c.after} {
			if text != "" {
				files[dir+"/switch-inhibitors"] = text
			}
		}
		if c.reboot == "kernel" {
			files["/nix/store/aaa/kernel"], files["/nix/store/bbb/kernel"] = "-> ../linux-1", "-> ../linux-2"
			files["/nix/store/linux-1"], files["/nix/store/linux-2"] = "", ""
		}
		d, err := root(t, files).Compare("/nix/store/aaa", "/nix/store/bbb")
		if got := strings.Join(d.Reboot, " "); err != nil || got != c.reboot {
			t.Errorf("%s: a reboot for %q, %v, want %q", c.name, got, err, c.reboot)
		}
	}
	d, err := root(t, map[string]string{
		"/nix/store/aaa/etc/systemd/system/x": "", "/nix/store/bbb/etc/systemd/system/x": "",
		"/nix/store/aaa/init-interface-version": "systemd 2", "/nix/store/bbb/init-interface-version": "systemd 3",
	}).Compare("/nix/store/aaa", "/nix/store/bbb")
	if err != nil || strings.Join(d.Reboot, " ") != "init" {
		t.Errorf("another init: %+v, %v", d, err)
	}
}
