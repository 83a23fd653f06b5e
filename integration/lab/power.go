package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	bootLimit = 60 * time.Second
	poll      = 10 * time.Millisecond

	rebootStatus = 133                 // of nspawn with --keep-unit, where the machine wants to start again
	powerOff     = unix.Signal(34 + 4) // SIGRTMIN+4: systemd's "power off" to PID 1
	systemBus    = "/run/dbus/system_bus_socket"
)

// firstOfNamespace matches the status of a process that is PID 1 in a namespace of its own. nspawn has another child for
// a moment, which is in this machine's.
var firstOfNamespace = regexp.MustCompile(`(?m)^NSpid:\t\d+\t1$`)

// power is a machine that is on; a reboot is a new one.
type power struct {
	nspawn *exec.Cmd
	init   int           // the process that is PID 1 in the node
	off    chan struct{} // closed when the machine is off
	reboot bool          // valid when off: it wants to start again
}

// On says whether the node is on.
func (n *Node) On() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.power != nil
}

// Boots is how often the node has booted, reboots of its own included.
func (n *Node) Boots() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.boots
}

// Boot switches the node on and returns when its system bus is there, which is before the boot has finished: see WaitRunning.
// A node that reboots comes back by itself.
func (n *Node) Boot(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, bootLimit)
	defer cancel()
	n.mu.Lock()
	if n.power != nil {
		n.mu.Unlock()
		return fmt.Errorf("boot %s: it is on", n.name)
	}
	err := n.start()
	n.mu.Unlock()
	if err != nil {
		return fmt.Errorf("boot %s: %w", n.name, err)
	}
	if err := n.waitBus(ctx); err != nil {
		log, _ := n.BootLog()
		return fmt.Errorf("boot %s: %w; its console:\n%s", n.name, err, log)
	}
	return nil
}

// start runs nspawn. The caller holds mu.
func (n *Node) start() error {
	p := &power{off: make(chan struct{})}
	console, err := os.OpenFile(n.bootLog(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer console.Close()
	p.nspawn = commandIn(context.Background(), n.groups,
		"systemd-nspawn", "--quiet", "--directory="+n.root, "--machine="+n.lab.id+"-"+n.name, "--hostname="+n.name,
		"--register=no", "--keep-unit", "--console=pipe", "--network-namespace-path="+filepath.Join(namespaceDir, n.lab.namespace(n.name)),
		"--capability=CAP_NET_ADMIN", // of its own network namespace: a system may cut it
		"--system-call-filter=landlock_create_ruleset landlock_add_rule landlock_restrict_self", // as on a machine
		"--resolv-conf=off", "--timezone=off", "--link-journal=no", "--kill-signal=SIGRTMIN+3", "/usr/local/sbin/lab-init")
	p.nspawn.Stdout, p.nspawn.Stderr = console, console
	p.nspawn.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGTERM}
	started := make(chan error)
	go n.supervise(p, started)
	if err := <-started; err != nil {
		return err
	}
	n.power = p
	n.boots++
	return nil
}

// supervise starts the machine and waits for its end. Its thread stays with it: the machine is halted when the thread that
// started it ends, so that a killed test leaves none running.
func (n *Node) supervise(p *power, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := p.nspawn.Start()
	started <- err
	if err != nil {
		return
	}
	_ = p.nspawn.Wait() // the status says it
	p.reboot = p.nspawn.ProcessState.ExitCode() == rebootStatus
	n.mu.Lock()
	defer n.mu.Unlock()
	n.power = nil
	close(p.off)
	if p.reboot {
		if err := n.start(); err != nil {
			fmt.Fprintf(os.Stderr, "lab: reboot %s: %v\n", n.name, err)
		}
	}
}

func (n *Node) waitBus(ctx context.Context) error {
	for {
		if init, err := n.pid1(); err == nil {
			if _, err := os.Lstat(fmt.Sprintf("/proc/%d/root%s", init, systemBus)); err == nil {
				return nil
			}
		}
		if !n.On() {
			return errors.New("it went off")
		}
		if err := sleep(ctx, poll); err != nil {
			return fmt.Errorf("wait for its system bus: %w", err)
		}
	}
}

// pid1 is the process that is PID 1 in the node.
func (n *Node) pid1() (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.power == nil {
		return 0, fmt.Errorf("%s is off", n.name)
	}
	if n.power.init != 0 {
		return n.power.init, nil
	}
	nspawn := n.power.nspawn.Process.Pid
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", nspawn, nspawn))
	if err != nil {
		return 0, err
	}
	for child := range strings.FieldsSeq(string(children)) {
		status, err := os.ReadFile("/proc/" + child + "/status")
		if err == nil && firstOfNamespace.Match(status) {
			n.power.init, err = strconv.Atoi(child)
			return n.power.init, err
		}
	}
	return 0, fmt.Errorf("%s has no PID 1 yet", n.name)
}

// WaitRunning waits until the boot has finished and returns systemd's verdict: "running" or "degraded".
func (n *Node) WaitRunning(ctx context.Context) (string, error) {
	state, err := n.Run(ctx, "sh", "-c", "systemctl is-system-running --wait || test $? = 1")
	return strings.TrimSpace(state), err
}

// WaitBoot waits for the node's boot with the given number, counted from 1, and for its system bus.
func (n *Node) WaitBoot(ctx context.Context, number int) error {
	for n.Boots() < number {
		if err := sleep(ctx, poll); err != nil {
			return fmt.Errorf("wait for boot %d of %s: %w", number, n.name, err)
		}
	}
	return n.waitBus(ctx)
}

// Kill is a power cut: all processes of the node end at once. Its disk stays. It is no error where the node is off.
func (n *Node) Kill() error {
	for {
		n.mu.Lock()
		p := n.power
		n.mu.Unlock()
		if p == nil {
			return nil
		}
		if init, err := n.pid1(); err == nil {
			_ = unix.Kill(init, unix.SIGKILL) // it may have ended
		} else if err := killControlGroups(n.groups); err != nil { // it has just been switched on
			return fmt.Errorf("cut the power of %s: %w", n.name, err)
		}
		<-p.off // a node that was about to reboot is on again
	}
}

// Shutdown powers the node off in order, as the button on its case does, and waits until it is off.
func (n *Node) Shutdown(ctx context.Context) error {
	init, err := n.pid1()
	if err != nil {
		return fmt.Errorf("shut down: %w", err)
	}
	if err := unix.Kill(init, powerOff); err != nil {
		return fmt.Errorf("shut down %s: %w", n.name, err)
	}
	return n.WaitOff(ctx)
}

// WaitOff waits until the node is off.
func (n *Node) WaitOff(ctx context.Context) error {
	n.mu.Lock()
	p := n.power
	n.mu.Unlock()
	if p == nil {
		return nil
	}
	select {
	case <-p.off:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait until %s is off: %w", n.name, ctx.Err())
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
