package source

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Rights of landlock(7), by the version of the interface that brought them.
const (
	landlockRead  = unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR | unix.LANDLOCK_ACCESS_FS_EXECUTE
	landlockWrite = unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_REMOVE_DIR | unix.LANDLOCK_ACCESS_FS_REMOVE_FILE |
		unix.LANDLOCK_ACCESS_FS_MAKE_DIR | unix.LANDLOCK_ACCESS_FS_MAKE_REG | unix.LANDLOCK_ACCESS_FS_MAKE_SYM
	landlockSpecial = unix.LANDLOCK_ACCESS_FS_MAKE_CHAR | unix.LANDLOCK_ACCESS_FS_MAKE_BLOCK |
		unix.LANDLOCK_ACCESS_FS_MAKE_SOCK | unix.LANDLOCK_ACCESS_FS_MAKE_FIFO
)

// A noLandlockError says that this kernel, or this build, cannot do it.
type noLandlockError struct{ err error }

func (e *noLandlockError) Error() string { return "no landlock: " + e.err.Error() }
func (e *noLandlockError) Unwrap() error { return e.err }

// landlock lets this process write only below its own directory, and read, beside
// it, only the files that a fetch needs. A remote on this machine is read by git
// itself, which reads what it likes.
func (j job) landlock() error {
	version, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return &noLandlockError{errno}
	}
	endpoint, err := j.Remote.endpoint()
	if err != nil {
		return err
	}
	handled := landlockHandled(int(version))
	if endpoint.Protocol == "file" {
		handled &^= landlockRead
	}
	attr := unix.LandlockRulesetAttr{Handled_access_fs: handled}
	if version >= 6 {
		attr.Scoped = unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | unix.LANDLOCK_SCOPE_SIGNAL
	}
	fd, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr), 0)
	if errno != 0 {
		return fmt.Errorf("landlock: %w", errno)
	}
	ruleset := os.NewFile(fd, "landlock")
	defer ruleset.Close()
	own := handled &^ (landlockSpecial | unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_IOCTL_DEV)
	if !j.Ask { // a question leaves nothing, and must not touch what another remote's fetch has verified
		if err := landlockAllow(ruleset, j.Dir, own); err != nil {
			return err
		}
	}
	const file = unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_WRITE_FILE
	if err := landlockAllow(ruleset, os.DevNull, handled&file); err != nil {
		return err
	}
	for _, path := range j.needs() {
		err := landlockAllow(ruleset, path, handled&unix.LANDLOCK_ACCESS_FS_READ_FILE)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return landlockRestrict(ruleset)
}

// landlockHandled returns the rights that a version of the interface knows.
func landlockHandled(version int) uint64 {
	var handled uint64 = landlockRead | landlockWrite | landlockSpecial
	for _, since := range []struct {
		version int
		right   uint64
	}{
		{2, unix.LANDLOCK_ACCESS_FS_REFER}, {3, unix.LANDLOCK_ACCESS_FS_TRUNCATE}, {5, unix.LANDLOCK_ACCESS_FS_IOCTL_DEV},
	} {
		if version >= since.version {
			handled |= since.right
		}
	}
	return handled
}

// needs returns the files that a fetch reads: its keys, and what finds and trusts
// a host.
func (j job) needs() []string {
	paths := []string{
		"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", // crypto/x509
		"/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", // net
		"/etc/localtime", // times in allowed signers
	}
	if path := os.Getenv("SSL_CERT_FILE"); path != "" {
		paths = append(paths, path)
	}
	for _, f := range j.files() {
		paths = append(paths, copyOf(f.path))
	}
	return paths
}

func landlockAllow(ruleset *os.File, path string, access uint64) error {
	if access == 0 {
		return nil
	}
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0) // where a link leads
	if err != nil {
		return fmt.Errorf("landlock: open %s: %w", path, err)
	}
	defer func() { _ = unix.Close(fd) }()
	rule := unix.LandlockPathBeneathAttr{Allowed_access: access, Parent_fd: int32(fd)}
	_, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, ruleset.Fd(), unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&rule)), 0, 0, 0)
	if errno != 0 {
		return fmt.Errorf("landlock: allow %s: %w", path, errno)
	}
	return nil
}

// landlockRestrict puts every thread under the rules. Where the program is linked
// with C code, Go does not know all threads.
func landlockRestrict(ruleset *os.File) error {
	if _, _, errno := syscall.AllThreadsSyscall6(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0); errno == unix.ENOTSUP {
		return &noLandlockError{errors.New("this program is linked with C code")}
	} else if errno != 0 {
		return fmt.Errorf("landlock: no new privileges: %w", errno)
	}
	if _, _, errno := syscall.AllThreadsSyscall(unix.SYS_LANDLOCK_RESTRICT_SELF, ruleset.Fd(), 0, 0); errno != 0 {
		return fmt.Errorf("landlock: restrict: %w", errno)
	}
	return nil
}
