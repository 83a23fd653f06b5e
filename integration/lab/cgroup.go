package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	cgroupRoot   = "/sys/fs/cgroup"
	cgroupPrefix = "infra-agent-lab-"
)

// hierarchies are the roots of the control group hierarchies in which systemd keeps its units: cgroup2 alone, or on
// machines that still have cgroup v1, the named hierarchy and (hybrid) cgroup2 beside it.
func hierarchies() ([]string, error) {
	var stat unix.Statfs_t
	if err := unix.Statfs(cgroupRoot, &stat); err != nil {
		return nil, fmt.Errorf("find control groups: %w", err)
	}
	if stat.Type == unix.CGROUP2_SUPER_MAGIC {
		return []string{cgroupRoot}, nil
	}
	var roots []string
	for _, name := range []string{"systemd", "unified"} {
		root := filepath.Join(cgroupRoot, name)
		if _, err := os.Stat(filepath.Join(root, "cgroup.procs")); err == nil {
			roots = append(roots, root)
		}
	}
	if len(roots) == 0 {
		return nil, fmt.Errorf("find control groups: neither cgroup2 nor systemd's hierarchy in %s", cgroupRoot)
	}
	return roots, nil
}

// makeControlGroup makes a group in each hierarchy and returns their directories.
func makeControlGroup(name string) ([]string, error) {
	roots, err := hierarchies()
	if err != nil {
		return nil, err
	}
	groups := make([]string, len(roots))
	for i, root := range roots {
		groups[i] = filepath.Join(root, name)
		if err := os.MkdirAll(groups[i], 0o755); err != nil {
			return nil, fmt.Errorf("make control group: %w", err)
		}
	}
	return groups, nil
}

// groupsOf are the directories of the control groups that a process is in.
func groupsOf(pid int) ([]string, error) {
	roots, err := hierarchies()
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		return nil, err
	}
	var groups []string
	for line := range strings.Lines(string(text)) {
		_, rest, _ := strings.Cut(strings.TrimSpace(line), ":") // "hierarchy-ID:controllers:path"
		controllers, path, _ := strings.Cut(rest, ":")
		switch {
		case controllers == "name=systemd":
			groups = append(groups, filepath.Join(cgroupRoot, "systemd", path))
		case controllers == "" && len(roots) == 1:
			groups = append(groups, filepath.Join(roots[0], path))
		case controllers == "":
			groups = append(groups, filepath.Join(cgroupRoot, "unified", path))
		}
	}
	return groups, nil
}

// CPU returns the processor time that everything on the node has taken since it was turned on, what was run there included.
func (n *Node) CPU() (time.Duration, error) {
	init, err := n.pid1()
	if err != nil {
		return 0, err
	}
	groups, err := groupsOf(init)
	if err != nil {
		return 0, err
	}
	for _, group := range groups { // of the machine's own init, somewhere below the machine's
		for strings.Contains(filepath.Dir(group), cgroupPrefix) {
			group = filepath.Dir(group)
		}
		text, err := os.ReadFile(filepath.Join(group, "cpu.stat"))
		var used int64
		if _, scan := fmt.Sscanf(string(text), "usage_usec %d", &used); err == nil && scan == nil {
			return time.Duration(used) * time.Microsecond, nil
		}
	}
	return 0, fmt.Errorf("%s: no control group counts processor time", n.name)
}

// commandIn is a command that enters the control groups before it becomes argv: Go's own way, a file descriptor, is for
// cgroup2 alone.
func commandIn(ctx context.Context, groups []string, argv ...string) *exec.Cmd {
	const enter = `while [ "$1" != -- ]; do echo $$ >"$1/cgroup.procs" || exit 125; shift; done; shift; exec "$@"`
	args := slices.Concat([]string{"-c", enter, "sh"}, groups, []string{"--"}, argv)
	return exec.CommandContext(ctx, "/bin/sh", args...)
}

// removeControlGroups ends what runs in the groups whose name begins with prefix, and removes them.
func removeControlGroups(prefix string) error {
	roots, err := hierarchies()
	if err != nil {
		return err
	}
	var all []string
	for _, root := range roots {
		groups, err := filepath.Glob(filepath.Join(root, prefix+"*"))
		if err != nil {
			return err
		}
		all = append(all, groups...)
	}
	if err := killControlGroups(all); err != nil {
		return err
	}
	for _, top := range all {
		groups, _, err := contents(top)
		if err != nil {
			return err
		}
		for _, group := range slices.Backward(groups) {
			if err := unix.Rmdir(group); err != nil && !errors.Is(err, unix.ENOENT) {
				return fmt.Errorf("remove control group %s: %w", group, err)
			}
		}
	}
	return nil
}

// killControlGroups ends what runs in the groups and below them, and waits until nothing does.
func killControlGroups(groups []string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for _, group := range groups {
		for {
			_, pids, err := contents(group)
			if err != nil {
				return err
			}
			if len(pids) == 0 {
				break
			}
			for _, pid := range pids {
				_ = unix.Kill(pid, unix.SIGKILL) // it may have ended
			}
			if err := sleep(ctx, poll); err != nil {
				return fmt.Errorf("end processes %v of control group %s: %w", pids, group, err)
			}
		}
	}
	return nil
}

// contents are the groups at and below group, parents first, and the processes in them.
func contents(group string) (groups []string, pids []int, err error) {
	err = filepath.WalkDir(group, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || !entry.IsDir() {
			return err
		}
		groups = append(groups, path)
		text, err := os.ReadFile(filepath.Join(path, "cgroup.procs"))
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) {
			return nil
		}
		for line := range strings.Lines(string(text)) {
			pid, err := strconv.Atoi(strings.TrimSpace(line))
			if err != nil {
				return err
			}
			pids = append(pids, pid)
		}
		return err
	})
	return groups, pids, err
}
