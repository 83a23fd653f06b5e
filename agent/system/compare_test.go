package system

import (
	"reflect"
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
