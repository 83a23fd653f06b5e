package lab

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Links on a node that lead to a toplevel.
const (
	CurrentSystem = "/run/current-system"
	BootedSystem  = "/run/booted-system"
	Profile       = "/nix/var/nix/profiles/system"
	BootDefault   = "/boot/default"
)

// Toplevel is the store path to which a link on the node leads, over other links; "" where there is none.
func (n *Node) Toplevel(link string) (string, error) {
	path := link
	for range 8 {
		target, err := n.readlink(path)
		if errors.Is(err, fs.ErrNotExist) {
			return "", nil
		}
		if err != nil {
			return "", err
		}
		if strings.HasPrefix(target, "/nix/store/") {
			return target, nil
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(path), target)
		}
		path = target
	}
	return "", fmt.Errorf("%s: %s leads to no store path", n.name, link)
}

// Read is the text of a file on the node, which may be off; /run and /tmp are there only while it is on.
func (n *Node) Read(path string) (string, error) {
	file, err := n.open(path, unix.O_RDONLY, 0)
	if err != nil {
		return "", err
	}
	defer file.Close()
	text, err := io.ReadAll(file)
	return string(text), err
}

// Write writes a file on the node, with its folders, as root would there.
func (n *Node) Write(path, text string, mode fs.FileMode) error {
	if err := n.makeDirs(filepath.Dir(path)); err != nil {
		return err
	}
	file, err := n.open(path, unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC, mode)
	if err != nil {
		return err
	}
	_, err = io.WriteString(file, text)
	return errors.Join(err, file.Chmod(mode), file.Close())
}

// Path is where programs of this machine find a path of the node, while it is on: for a socket, which can only be named.
func (n *Node) Path(path string) (string, error) {
	init, err := n.pid1()
	return fmt.Sprintf("/proc/%d/root%s", init, path), err
}

// Remove deletes a file on the node.
func (n *Node) Remove(path string) error {
	dir, err := n.open(filepath.Dir(path), unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := unix.Unlinkat(int(dir.Fd()), filepath.Base(path), 0); err != nil {
		return fmt.Errorf("%s: remove %s: %w", n.name, path, err)
	}
	return nil
}

func (n *Node) readlink(path string) (string, error) {
	dir, err := n.open(filepath.Dir(path), unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return "", err
	}
	defer dir.Close()
	buffer := make([]byte, unix.PathMax)
	size, err := unix.Readlinkat(int(dir.Fd()), filepath.Base(path), buffer)
	if err != nil {
		return "", fmt.Errorf("%s: read link %s: %w", n.name, path, err)
	}
	return string(buffer[:size]), nil
}

func (n *Node) makeDirs(path string) error {
	if path == "/" {
		return nil
	}
	if dir, err := n.open(path, unix.O_PATH|unix.O_DIRECTORY, 0); err == nil {
		return dir.Close()
	}
	if err := n.makeDirs(filepath.Dir(path)); err != nil {
		return err
	}
	parent, err := n.open(filepath.Dir(path), unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer parent.Close()
	if err := unix.Mkdirat(int(parent.Fd()), filepath.Base(path), 0o755); err != nil {
		return fmt.Errorf("%s: make folder %s: %w", n.name, path, err)
	}
	return nil
}

// open opens a path as the node sees it: absolute links are the node's own, not this machine's.
func (n *Node) open(path string, flags int, mode fs.FileMode) (*os.File, error) {
	root := n.root
	if init, err := n.pid1(); err == nil {
		root = fmt.Sprintf("/proc/%d/root", init)
	}
	dir, err := os.OpenFile(root, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	how := &unix.OpenHow{Flags: uint64(flags | unix.O_CLOEXEC), Resolve: unix.RESOLVE_IN_ROOT}
	if flags&unix.O_CREAT != 0 {
		how.Mode = uint64(mode.Perm())
	}
	fd, err := unix.Openat2(int(dir.Fd()), path, how)
	if err != nil {
		return nil, fmt.Errorf("%s: open %s: %w", n.name, path, err)
	}
	return os.NewFile(uintptr(fd), path), nil
}
