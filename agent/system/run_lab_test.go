//go:build integration

package system_test

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/infra-agent/infra-agent/agent/system"
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
