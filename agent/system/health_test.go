package system

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/infra-agent/infra-agent/reconcile"
)

// A unit is the same in both systems when its files and drop-ins are.
func TestSameUnit(t *testing.T) {
	root := t.TempDir()
	link := func(system, name, to string) {
		t.Helper()
		path := filepath.Join(root, system, "etc/systemd/system", name)
		target := filepath.Join(root, "nix/store", to)
		for _, file := range []string{path, target} {
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(target, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, path); err != nil {
			t.Fatal(err)
		}
	}
	for _, u := range []struct{ name, old, next string }{
		{"same.service", "s1/same.service", "s1/same.service"},
		{"changed.service", "c1/changed.service", "c2/changed.service"},
		{"new.service", "", "n1/new.service"},
		{"dropin.service", "d1/dropin.service", "d1/dropin.service"},
		{"dropin.service.d/overrides.conf", "d1/a.conf", "d2/a.conf"},
		{"added.service", "a1/added.service", "a1/added.service"},
		{"added.service.d/overrides.conf", "", "a2/a.conf"},
		{"scrub@.service", "t1/scrub@.service", "t1/scrub@.service"},
		{"scrub@data.service.d/overrides.conf", "t1/data.conf", "t2/data.conf"},
		{"backup@.service", "b1/backup@.service", "b2/backup@.service"},
		{"trim@.service", "b1/trim@.service", "b1/trim@.service"},
		{"trim@.service.d/overrides.conf", "", "b2/trim.conf"},
		{"mail-relay.service", "m1/mail-relay.service", "m1/mail-relay.service"},
		{"mail-.service.d/all.conf", "m1/all.conf", "m2/all.conf"},
	} {
		for system, file := range map[string]string{"old": u.old, "next": u.next} {
			if file != "" {
				link(system, u.name, file)
			}
		}
	}
	n := &Node{Root: root}
	d := reconcile.Deployment{Old: reconcile.System{Toplevel: "old"}, New: reconcile.System{Toplevel: "next"}}
	for unit, want := range map[string]bool{
		"same.service": true, "changed.service": false, "new.service": false, "dropin.service": false, "added.service": false, "none.service": false,
		"scrub@home.service": true, "scrub@data.service": false, "backup@a.service": false, "trim@a.service": false, "mail-relay.service": false,
	} {
		if got := n.same(d, unit); got != want {
			t.Errorf("%s is the same: %v, want %v", unit, got, want)
		}
	}
}
