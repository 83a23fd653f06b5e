package source

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A child reads what strangers send. It takes from itself what that does not need
// before it connects, so that a mistake in it, or in the git library, stays here.

const (
	maxMemory = 1 << 30  // bytes beyond what the process starts with: honest fetches take 30 MB
	maxFiles  = 1024     // a store has at most some dozens of packs, and each submodule one
	margin    = 64 << 20 // bytes of a file beyond the largest that a fetch writes: the pack
)

// confine sets the process's limits. unconfined says why the kernel does not keep
// the process to its own files; "" = it does.
func (j job) confine() (unconfined string, err error) {
	debug.SetGCPercent(25)         // objects come and go: collecting them often costs little
	signal.Ignore(syscall.SIGXFSZ) // a file that is too large is a failed write
	used, err := dataBytes()
	if err != nil {
		return "", err
	}
	cpu := uint64((j.Limits.Fetch + time.Minute) / time.Second) // the parent kills earlier, if it lives
	for _, l := range []struct {
		name  string
		what  int
		value uint64
	}{
		{"core", unix.RLIMIT_CORE, 0},
		{"files", unix.RLIMIT_NOFILE, maxFiles},
		{"file size", unix.RLIMIT_FSIZE, uint64(max(j.Limits.FetchBytes, maxObject) + margin)},
		{"memory", unix.RLIMIT_DATA, used + maxMemory},
		{"CPU time", unix.RLIMIT_CPU, cpu},
	} {
		if err := lower(l.what, l.value); err != nil {
			return "", fmt.Errorf("limit the fetch's %s: %w", l.name, err)
		}
	}
	err = j.landlock()
	if _, missing := errors.AsType[*noLandlockError](err); missing {
		return err.Error(), nil
	}
	return "", err
}

// lower sets a limit, unless a lower one holds.
func lower(what int, value uint64) error {
	var now unix.Rlimit
	if err := unix.Getrlimit(what, &now); err != nil {
		return err
	}
	value = min(value, now.Max)
	return unix.Setrlimit(what, &unix.Rlimit{Cur: value, Max: value})
}

// dataBytes returns what RLIMIT_DATA counts, proc(5).
func dataBytes() (uint64, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		var kib uint64
		if _, err := fmt.Sscanf(line, "VmData: %d kB", &kib); err == nil {
			return kib << 10, nil
		}
	}
	return 0, errors.New("/proc/self/status has no VmData")
}
