package command

import (
	"errors"
	"slices"
	"strings"
	"syscall"
)

// diskFaults are how programs name what is wrong with a disk, errno(3).
var diskFaults = []string{"No space left on device", "Read-only file system", "Input/output error", "Disk quota exceeded"}

// OfDisk reports whether a line that a program printed says that a disk is full, broken or
// read-only: that is a fault of the machine, and not of what the program was given.
func OfDisk(line string) bool {
	return slices.ContainsFunc(diskFaults, func(fault string) bool { return strings.Contains(line, fault) })
}

// diskErrors are the same as errors of the system.
var diskErrors = []error{syscall.ENOSPC, syscall.EROFS, syscall.EIO, syscall.EDQUOT}

// IsOfDisk reports whether an error is of a disk that is full, broken or read-only, or has what
// a program printed of one.
func IsOfDisk(err error) bool {
	return OfDisk(err.Error()) || slices.ContainsFunc(diskErrors, func(fault error) bool { return errors.Is(err, fault) })
}
