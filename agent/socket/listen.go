// Package socket opens unix sockets for one group of users. It knows nothing of what is said on them.
package socket

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// Listen opens the socket at path, in the place of one that nobody listens at any more. The
// members of group may connect, and root; with "", only root may. The error of a group that
// there is not is an [user.UnknownGroupError].
func Listen(path, group string) (net.Listener, error) {
	gid := -1
	if group != "" {
		g, err := user.LookupGroup(group)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if gid, err = strconv.Atoi(g.Gid); err != nil {
			return nil, fmt.Errorf("%s: group %s: %w", path, group, err)
		}
	}
	if err := onlySocket(path); err != nil {
		return nil, err
	}
	// It gets its mode where nobody else comes, and then its name. The umask would do that too, but
	// it is the whole process's: a directory that is made meanwhile could not be entered.
	dir, err := os.MkdirTemp(filepath.Dir(path), ".socket-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	hidden := filepath.Join(dir, "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: hidden, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false) // by then it has another name
	mode := os.FileMode(0o600)
	if gid >= 0 {
		mode, err = 0o660, giveTo(hidden, gid)
	}
	if err := errors.Join(err, os.Chmod(hidden, mode), os.Rename(hidden, path)); err != nil {
		_ = l.Close()
		return nil, err
	}
	return l, nil
}

// onlySocket refuses to replace what is no socket.
func onlySocket(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err == nil && info.Mode().Type() != os.ModeSocket {
		err = fmt.Errorf("%s is there already, and no socket (hint: remove it, or name another path)", path)
	}
	return err
}

// giveTo makes the group the file's, where it is not: in the agent's unit root may give a file
// only to the groups of the unit.
func giveTo(path string, gid int) error {
	var stat unix.Stat_t
	if err := unix.Stat(path, &stat); err != nil {
		return err
	}
	if int(stat.Gid) == gid {
		return nil
	}
	return os.Chown(path, -1, gid)
}
