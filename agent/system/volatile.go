package system

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// IsVolatile reports whether what is written into a directory is gone after a reboot:
// it, or while it does not exist the nearest one above it, is on a tmpfs or ramfs.
func IsVolatile(dir string) (bool, error) {
	var s unix.Statfs_t
	for {
		err := unix.Statfs(dir, &s)
		switch {
		case err == nil:
			return uint32(s.Type) == unix.TMPFS_MAGIC || uint32(s.Type) == unix.RAMFS_MAGIC, nil //nolint:gosec,nolintlint // its type differs by architecture
		case !errors.Is(err, fs.ErrNotExist) || dir == filepath.Dir(dir):
			return false, fmt.Errorf("file system of %s: %w", dir, err)
		}
		dir = filepath.Dir(dir)
	}
}
