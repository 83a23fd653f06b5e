// Package lab runs a fleet on one machine: nodes with systemd as PID 1 and real Nix, a git server and a network that can be cut.
//
// A node is a systemd-nspawn container over a shared Debian tree (see integration/setup.sh). It boots what its boot loader
// points at, so a power cut at any moment shows the truth. Only NixOS's own parts are doubles: switch-to-configuration,
// nixos-rebuild and the boot loader.
//
// The package needs Linux and root. It knows nothing of testing: a test registers Close and, where it failed, prints Report.
package lab

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// stateDir holds a directory and a lock file for each lab of this machine.
const stateDir = "/run/infra-agent-lab"

// Options say what a lab consists of.
type Options struct {
	// Agents maps a version, as the fleet's agent-version file or a role's agentVersion names it, to an executable on this
	// machine. Every node has all of them at hand; a version that is not listed does not build.
	Agents map[string]string

	// GitToken, where not empty, is what the git server demands, as a bearer token or as the password of any user.
	GitToken string
}

// Lab is a fleet's surroundings: a network, a git server with the fleet's configuration, a second host, and nodes.
type Lab struct {
	id     string
	dir    string // a tmpfs of its own
	lock   *os.File
	base   string // the Debian tree that all nodes share
	layer  string // what the lab adds to it
	repo   *Repo
	git    *gitServer
	second *secondHost

	mu    sync.Mutex // guards nodes and ends
	nodes []*Node
	ends  []func() error // of servers
}

// New sets a lab up: about 100 ms. It first removes what labs of dead processes left behind. Close the lab after use.
func New(options Options) (*Lab, error) {
	base, err := baseTree()
	if err != nil {
		return nil, err
	}
	l, err := claim()
	if err != nil {
		return nil, fmt.Errorf("set up lab: %w", err)
	}
	l.base = base
	if err := l.setUp(options); err != nil {
		return nil, errors.Join(fmt.Errorf("set up lab: %w", err), l.Close())
	}
	return l, nil
}

func (l *Lab) setUp(options Options) (err error) {
	if err := unix.Mount("infra-agent-lab", l.dir, "tmpfs", 0, "mode=755"); err != nil {
		return fmt.Errorf("mount tmpfs on %s: %w", l.dir, err)
	}
	l.layer = filepath.Join(l.dir, "layer")
	if err := writeLayer(l.layer, options.Agents); err != nil {
		return err
	}
	if err := l.addSwitch(); err != nil {
		return err
	}
	if l.repo, err = newRepo(filepath.Join(l.dir, "git")); err != nil {
		return err
	}
	l.git = &gitServer{root: l.repo.served(), token: options.GitToken, namespace: l.namespace(switchName)}
	if err := l.git.start(); err != nil {
		return err
	}
	l.second, err = l.addSecondHost()
	return err
}

// Repo is the fleet's configuration. It starts with one commit, the fleet in the folder of that name beside this file.
func (l *Lab) Repo() *Repo { return l.repo }

// StopGit takes the git server down for everybody: connections are refused until StartGit.
func (l *Lab) StopGit() error { return l.git.stop() }

// StartGit brings the git server back.
func (l *Lab) StartGit() error { return l.git.start() }

// Tamper has something else answer in place of the git server, which it may ask; nil: nothing does any more.
func (l *Lab) Tamper(with func(honest http.Handler) http.Handler) error {
	if err := l.git.stop(); err != nil {
		return err
	}
	l.git.mu.Lock()
	l.git.tamper = with
	l.git.mu.Unlock()
	return l.git.start()
}

// Report tells, for a failed test, what each node did: its boot log, its failed units and its agent's journal.
func (l *Lab) Report() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var report strings.Builder
	for _, n := range l.nodes {
		report.WriteString(n.report())
	}
	return report.String()
}

// atEnd has Close call f. The last comes first.
func (l *Lab) atEnd(f func() error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ends = append(l.ends, f)
}

// Close ends the nodes at once and removes everything.
func (l *Lab) Close() error {
	var errs []error
	if l.git != nil {
		errs = append(errs, l.git.stop())
	}
	if l.second != nil {
		errs = append(errs, l.second.stop())
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, n := range l.nodes {
		errs = append(errs, n.Kill())
	}
	for _, end := range slices.Backward(l.ends) {
		errs = append(errs, end())
	}
	errs = append(errs, remove(l.id), os.Remove(l.lock.Name()), l.lock.Close())
	return errors.Join(errs...)
}

// claim removes dead labs and makes a new one's directory, whose lock is held as long as this process lives.
func claim() (*Lab, error) {
	if err := os.MkdirAll(stateDir, 0o755); err != nil {
		return nil, err
	}
	all, err := lockFile(filepath.Join(stateDir, "lock"), unix.LOCK_EX)
	if err != nil {
		return nil, err
	}
	defer all.Close()
	if err := removeDead(); err != nil {
		return nil, fmt.Errorf("remove dead labs: %w", err)
	}
	random := make([]byte, 3)
	rand.Read(random)
	id := hex.EncodeToString(random)
	lock, err := lockFile(filepath.Join(stateDir, id+".lock"), unix.LOCK_EX)
	if err != nil {
		return nil, err
	}
	l := &Lab{id: id, dir: filepath.Join(stateDir, id), lock: lock}
	return l, os.Mkdir(l.dir, 0o755)
}

// removeDead removes the labs whose lock nobody holds.
func removeDead() error {
	locks, err := filepath.Glob(filepath.Join(stateDir, "*.lock"))
	if err != nil {
		return err
	}
	for _, path := range locks {
		lock, err := lockFile(path, unix.LOCK_EX|unix.LOCK_NB)
		if errors.Is(err, syscall.EWOULDBLOCK) {
			continue
		}
		if err != nil {
			return err
		}
		id := strings.TrimSuffix(filepath.Base(path), ".lock")
		err = remove(id)
		if removed := os.Remove(path); !errors.Is(removed, fs.ErrNotExist) { // its own Close may have been faster
			err = errors.Join(err, removed)
		}
		if err := errors.Join(err, lock.Close()); err != nil {
			return err
		}
	}
	return nil
}

// remove ends the lab's processes and removes its namespaces, control groups, mounts and files.
func remove(id string) error {
	dir := filepath.Join(stateDir, id)
	return errors.Join(
		removeControlGroups(cgroupPrefix+id+"-"),
		removeNamespaces(namespacePrefix+id+"-"),
		unmountBelow(dir),
		os.RemoveAll(dir),
	)
}

// lockFile opens path and locks it. The lock ends with the file.
func lockFile(path string, how int) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(file.Fd()), how); err != nil {
		file.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return file, nil
}
