//go:build integration

package system_test

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/infra-agent/infra-agent/agent/system"
	"github.com/infra-agent/infra-agent/reconcile"
)

func init() {
	runners["unit"] = (&system.Node{Bus: &system.Bus{}, Apart: true}).Run
}

func TestALookChangesNothing(t *testing.T) {
	n := &system.Node{Bus: &system.Bus{}, Apart: true}
	secret := t.TempDir() + "/secret"
	if err := os.WriteFile(secret, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(secret, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	if out, err := n.Look(t.Context(), "test", sh("cat "+secret)); err != nil || string(out) != "x" {
		t.Errorf("another user's file: got %q, %v", out, err)
	}
	for _, path := range []string{secret, "/etc/made", "/root/made", "/var/lib/made"} {
		if _, err := n.Look(t.Context(), "test", sh("echo y > "+path)); err == nil {
			t.Errorf("it could write %s", path)
		}
	}
	if _, err := os.Stat("/etc/made"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if out, err := n.Look(t.Context(), "test", sh("sed 1,2d /proc/net/dev")); err != nil || strings.Count(string(out), ":") != 1 || !strings.Contains(string(out), "lo:") {
		t.Errorf("its network is %q, %v, want the loopback alone", out, err)
	}
}

// A switch that systemd cannot start was not begun: that is a hold, and not the commit's fault.
func TestALookAtASwitchThatWasNotBegun(t *testing.T) {
	n := &system.Node{Bus: &system.Bus{}, Apart: true}
	top := t.TempDir()
	if err := os.MkdirAll(top+"/bin", 0o755); err != nil {
		t.Fatal(err)
	}
	program := top + "/bin/switch-to-configuration"
	if err := os.WriteFile(program, []byte("#!/bin/sh\nexit 2\n"), 0o600); err != nil { // which nobody may run
		t.Fatal(err)
	}
	d := reconcile.Deployment{ID: "unbegun", New: reconcile.System{Toplevel: reconcile.Toplevel(top)}}
	begin := func(start func() error) error { return start() }
	a, err := n.Trial(t.Context(), d, 1, begin)
	if err != nil || a.Hold != reconcile.GatePreflight || a.Exit != -1 || !strings.Contains(a.Why, "could not start "+program) {
		t.Errorf("got %+v, %v", a, err)
	}
	if err := os.Chmod(program, 0o700); err != nil {
		t.Fatal(err)
	}
	d.ID = "begun"
	a, err = n.Trial(t.Context(), d, 1, begin)
	if err != nil || a.Hold != "" || a.Exit != 2 {
		t.Errorf("a switch that was begun, and exits 2: got %+v, %v", a, err)
	}
}
