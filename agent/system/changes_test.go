package system

import (
	"slices"
	"testing"
)

func TestUnitsThatASwitchChanges(t *testing.T) {
	const old, next = "/nix/store/old/etc/systemd/system/", "/nix/store/new/etc/systemd/system/"
	n := root(t, map[string]string{
		"/run/current-system": "-> ../nix/store/old",
		"/nix/store/u1":       "1", "/nix/store/u2": "2", "/nix/store/d1": "1", "/nix/store/d2": "2",
		old + "same.service": "-> ../../../../u1", next + "same.service": "-> ../../../../u1",
		old + "copied.service": "[Unit]", next + "copied.service": "[Unit]",
		next + "masked.service": "-> ../../../../../../dev/null", "/dev/null": "",
		old + "other.service": "-> ../../../../u1", next + "other.service": "-> ../../../../u2",
		old + "gone.timer": "-> ../../../../u1", next + "new.socket": "-> ../../../../u1",
		old + "dropin.service": "-> ../../../../u1", next + "dropin.service": "-> ../../../../u1",
		old + "dropin.service.d/overrides.conf": "-> ../../../../../d1", next + "dropin.service.d/overrides.conf": "-> ../../../../../d2",
		old + "multi-user.target.wants/gone.timer": "-> ../../../../../u1",
	})
	if got, want := n.changed("/nix/store/new"), []string{"dropin.service", "gone.timer", "masked.service", "new.socket", "other.service"}; !slices.Equal(got, want) {
		t.Errorf("it changes %q, want %q", got, want)
	}
	if got := n.changed("/nix/store/old"); len(got) != 0 {
		t.Errorf("the same system changes %q", got)
	}
}
