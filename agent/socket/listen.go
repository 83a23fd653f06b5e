// Package socket opens unix sockets for one group of users. It knows nothing of what is said on them.
package socket

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/user"
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
	if err := removeOld(path); err != nil {
		return nil, err
	}
	mask := unix.Umask(0o177) // nobody but the owner, until the group is set
	l, err := new(net.ListenConfig).Listen(context.Background(), "unix", path)
	unix.Umask(mask)
	if err != nil {
		return nil, err
	}
	if gid >= 0 {
		if err := errors.Join(giveTo(path, gid), os.Chmod(path, 0o660)); err != nil {
			_ = l.Close()
			return nil, err
		}
	}
	return l, nil
}

// removeOld removes the socket that an agent left, and nothing that is no socket.
func removeOld(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err == nil && info.Mode().Type() != os.ModeSocket {
		err = fmt.Errorf("%s is there already, and no socket (hint: remove it, or name another path)", path)
	}
	if err != nil {
		return err
	}
	return os.Remove(path)
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
