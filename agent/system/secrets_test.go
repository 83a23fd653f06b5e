package system

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/infra-agent/infra-agent/reconcile"
)

func TestSecrets(t *testing.T) {
	n := &Node{Root: t.TempDir()}
	file := func(name, text string, mode os.FileMode, owner int) {
		t.Helper()
		path := filepath.Join(n.Root, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if os.Getuid() == 0 {
			if err := os.Chown(path, owner, owner); err != nil {
				t.Fatal(err)
			}
		}
	}
	file("key", "k", 0o400, 0)
	file("shared", "k", 0o440, 4242)
	file("open", "k", 0o444, 0)
	file("empty", "", 0o400, 0)
	if err := os.Mkdir(n.Root+"/dir", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("key", n.Root+"/link"); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		secret reconcile.Secret
		want   string // "" = fine
		root   bool   // only root can make the file
	}{
		{secret: reconcile.Secret{Path: "/key"}},
		{secret: reconcile.Secret{Path: "/link", Mode: "0400"}},
		{secret: reconcile.Secret{Path: "/open", Mode: "0444"}},
		{secret: reconcile.Secret{Path: "/none"}, want: "/none is missing"},
		{secret: reconcile.Secret{Path: "/empty"}, want: "/empty is empty"},
		{secret: reconcile.Secret{Path: "/dir"}, want: "/dir is not a file"},
		{secret: reconcile.Secret{Path: "/open"}, want: "/open has mode 0444, which lets everybody in (hint: chmod o= it, or give its mode in the registry)"},
		{secret: reconcile.Secret{Path: "/key", Mode: "0440"}, want: "/key has mode 0400, want 0440"},
		{secret: reconcile.Secret{Path: "/key", Owner: "root", Group: "root"}, root: true},
		{secret: reconcile.Secret{Path: "/key", Owner: "nginx"}, want: "/key belongs to user root, want nginx", root: true},
		{secret: reconcile.Secret{Path: "/shared", Owner: "4242", Group: "nginx"}, want: "/shared belongs to group 4242, want nginx", root: true},
	} {
		if c.root && os.Getuid() != 0 {
			t.Logf("SKIP %+v: only root gives files away", c.secret)
			continue
		}
		err := n.Secrets(t.Context(), []reconcile.Secret{c.secret})
		if c.want == "" && err == nil {
			continue
		}
		if gate, _ := reconcile.RejectedBy(err); gate != reconcile.GateSecrets || err.Error() != "secrets: "+c.want {
			t.Errorf("%+v: %v (gate %q), want %q", c.secret, err, gate, c.want)
		}
	}
	err := n.Secrets(t.Context(), []reconcile.Secret{{Path: "/none"}, {Path: "/key"}, {Path: "/empty"}})
	if err == nil || err.Error() != "secrets: /none is missing; /empty is empty" {
		t.Errorf("several: %v, want each that is amiss", err)
	}
}

func TestExecSaysWhatFailed(t *testing.T) {
	n := &Node{}
	if err := n.Exec(t.Context(), []string{"/bin/sh", "-c", "exit 0"}); err != nil {
		t.Errorf("Exec: %v", err)
	}
	err := n.Exec(t.Context(), []string{"/bin/sh", "-c", "echo no such node >&2; exit 3"})
	if err == nil || !strings.Contains(err.Error(), "exit status 3: no such node") {
		t.Errorf("Exec: %v, want status and last line", err)
	}
}
