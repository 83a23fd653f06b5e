package control

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// dialAs connects as another user: the kernel tells the server who it was.
func dialAs(uid int) func(string) (net.Conn, error) {
	return func(path string) (conn net.Conn, err error) {
		done := make(chan struct{})
		go func() {
			defer close(done)
			runtime.LockOSThread() // for good: the thread ends with the goroutine
			if _, _, e := unix.RawSyscall(unix.SYS_SETRESUID, ^uintptr(0), uintptr(uid), ^uintptr(0)); e != 0 {
				err = e
				return
			}
			conn, err = dial(path)
		}()
		<-done
		return conn, err
	}
}

func TestOnlyRootMayChangeSomething(t *testing.T) {
	asRoot(t)
	c, verbs := serve(t, Status{State: "idle"}, nil)
	for dir := filepath.Dir(c.RunDir); dir != "/"; dir = filepath.Dir(dir) {
		if info, err := os.Stat(dir); err != nil || info.Mode()&1 != 0 { // others may pass
			continue
		}
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	const nobody = 65534
	if _, err := dialAs(nobody)(filepath.Join(c.RunDir, SocketName)); !errors.Is(err, syscall.EACCES) {
		t.Fatalf("nobody connects to a socket of mode 0600: %v", err)
	}
	if err := os.Chmod(filepath.Join(c.RunDir, SocketName), 0o666); err != nil { // as a member of the group might
		t.Fatal(err)
	}
	code, answer := post(t, c, "POST", "/command", `{"verb":"sync"}`, dialAs(nobody))
	if want := `{"error":"only root may change something","hint":"run it with sudo"}`; code != 403 || answer != want {
		t.Errorf("nobody's sync: got %d %s, want 403 %s", code, answer, want)
	}
	if len(*verbs) != 0 {
		t.Errorf("nobody's verb arrived: %v", *verbs)
	}
	if code, answer := post(t, c, "GET", "/status", "", dialAs(nobody)); code != 200 || !strings.Contains(answer, `"state":"idle"`) {
		t.Errorf("nobody's status: got %d %s, want it", code, answer)
	}
	if code, answer := post(t, c, "POST", "/command", `{"verb":"sync"}`, dialAs(0)); code != 200 || answer != "{}" {
		t.Errorf("root's sync: got %d %s, want 200 {}", code, answer)
	}
}

// Modes and groups are those of package socket; a group that is not there leaves the
// socket to root, and the directory is one that the group may enter.
func TestTheSocketOfAGroupThatIsNotThere(t *testing.T) {
	asRoot(t)
	dir := filepath.Join(t.TempDir(), "run")
	l, err := Listen(dir, "no-such-group")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if info, err := os.Stat(filepath.Join(dir, SocketName)); err != nil || info.Mode() != os.ModeSocket|0o600 {
		t.Errorf("the socket is %v, %v, want root's alone", info.Mode(), err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("the directory is %v, %v", info.Mode(), err)
	}
}

func TestASocketThatWasLeftBehindIsReplaced(t *testing.T) {
	dir := t.TempDir()
	for range 2 {
		l, err := Listen(dir, "")
		if err != nil {
			t.Fatal(err)
		}
		l.(*net.UnixListener).SetUnlinkOnClose(false)
		_ = l.Close()
	}
	if err := os.MkdirAll(filepath.Join(dir, "taken", SocketName, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(filepath.Join(dir, "taken"), ""); err == nil || !strings.HasPrefix(err.Error(), "control socket: ") {
		t.Errorf("a directory in the way: got %v, want an error", err)
	}
}

func TestNobodyAnswers(t *testing.T) {
	dir := t.TempDir()
	l, err := Listen(filepath.Join(dir, "dead"), "")
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	_ = l.Close()
	for _, run := range []string{filepath.Join(dir, "dead"), filepath.Join(dir, "missing")} {
		c := Client{RunDir: run}
		want := fmt.Sprintf("infra-agent is not running (%s/control.sock)", run)
		if _, err := c.Status(t.Context()); !errors.Is(err, ErrDown) || err.Error() != want {
			t.Errorf("Status() = %v, want %s", err, want)
		}
		if err := c.Do(t.Context(), Request{Verb: "sync"}); !errors.Is(err, ErrDown) {
			t.Errorf("Do() = %v, want %v", err, ErrDown)
		}
	}
}
