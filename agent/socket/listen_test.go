package socket

import (
	"errors"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestASocketIsForRootAndOneGroup(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root may give a file to a group")
	}
	group, err := user.LookupGroupId("1")
	if err != nil {
		t.Fatal(err)
	}
	before := unix.Umask(0o027)
	defer unix.Umask(before)
	for name, want := range map[string]struct {
		mode os.FileMode
		gid  uint32
	}{
		"":         {0o600, 0},
		group.Name: {0o660, 1},
	} {
		path := filepath.Join(t.TempDir(), "s")
		l, err := Listen(path, name)
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if sys := info.Sys().(*syscall.Stat_t); info.Mode() != os.ModeSocket|want.mode || sys.Gid != want.gid || sys.Uid != 0 {
			t.Errorf("group %q: got %v of %d:%d, want %v of 0:%d", name, info.Mode(), sys.Uid, sys.Gid, want.mode, want.gid)
		}
		_ = l.Close()
	}
	for range 1000 { // what is made meanwhile must not get the socket's mode
		made := make(chan error)
		go func() {
			l, err := Listen(filepath.Join(t.TempDir(), "s"), "")
			if err == nil {
				_ = l.Close()
			}
			made <- err
		}()
		dir := filepath.Join(t.TempDir(), "made")
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := <-made; err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o750 {
			t.Fatalf("a directory that was made meanwhile is %v, %v, want 0750 by the umask", info.Mode(), err)
		}
	}
}

func TestAGroupThatThereIsNot(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	_, err := Listen(path, "no-such-group")
	if _, unknown := errors.AsType[user.UnknownGroupError](err); !unknown {
		t.Errorf("got %v, want that the group is not known", err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("there is a socket all the same: %v", err)
	}
}

func TestWhatIsInTheWay(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	for range 2 { // the second one finds what the first one has left
		l, err := Listen(path, "")
		if err != nil {
			t.Fatal(err)
		}
		l.(*net.UnixListener).SetUnlinkOnClose(false)
		_ = l.Close()
	}
	file := filepath.Join(t.TempDir(), "passwd")
	if err := os.WriteFile(file, []byte("root"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(file, ""); err == nil || !strings.Contains(err.Error(), "is there already, and no socket") {
		t.Errorf("a file in the way: got %v, want an error that says so", err)
	}
	if text, err := os.ReadFile(file); string(text) != "root" {
		t.Errorf("the file in the way says %q, %v afterwards", text, err)
	}
}
