package reconcile

import (
	"slices"
	"strings"
)

// diskFaults are how errno(3) names what is wrong with a disk.
var diskFaults = []string{"no space left on device", "read-only file system", "input/output error", "disk quota exceeded"}

// OfDisk reports whether an error, or a line that a program printed, says that a disk is full,
// broken or read-only: that is a fault of the machine, and not of what it was given.
func OfDisk(text string) bool {
	text = strings.ToLower(text) // programs begin a sentence with it
	return slices.ContainsFunc(diskFaults, func(fault string) bool { return strings.Contains(text, fault) })
}
