package system

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/infra-agent/infra-agent/agent/command"
	"github.com/infra-agent/infra-agent/agent/handover"
	"github.com/infra-agent/infra-agent/reconcile"
)

// minStoreFree is what activation and promotion need: links, logs, generations.
const minStoreFree = 64 << 20

// switchLock is what switch-to-configuration holds while it runs.
const switchLock = "/run/nixos/switch-to-configuration.lock"

// Preflight looks for reasons not to activate next now. Each comes back as a
// [reconcile.RejectedError] with its gate. With retire, a system without an agent may
// follow: nothing is asked of it then. It returns what the new system says of itself.
func (n *Node) Preflight(ctx context.Context, next reconcile.Toplevel, retire bool, record string) (reconcile.Newcomer, error) {
	retires := retire && n.AgentOf(next) == ""
	if err := n.possible(next, retires); err != nil {
		return reconcile.Newcomer{}, err
	}
	if err := n.booted(ctx); err != nil {
		return reconcile.Newcomer{}, err
	}
	if err := n.sameDisks(ctx, next, filepath.Dir(record)); err != nil {
		return reconcile.Newcomer{}, reconcile.Rejected(reconcile.GatePreflight, err)
	}
	if err := n.switchCheck(ctx, next); err != nil {
		return reconcile.Newcomer{}, err
	}
	if retires {
		return reconcile.Newcomer{Checks: []reconcile.Check{}, Retires: true, Units: n.changed(next)}, nil
	}
	if err := n.nixWorks(ctx, next); err != nil {
		return reconcile.Newcomer{}, reconcile.Rejected(reconcile.GatePreflight, err)
	}
	answer, err := n.ask(ctx, next, record)
	if missing := n.named(next, answer.Files); err == nil && missing != nil {
		err = reconcile.Rejected(reconcile.GatePreflight, missing)
	}
	return reconcile.Newcomer{Checks: answer.Checks, HostName: n.hostName(next), Identity: answer.Identity, Observes: answer.Observes, Units: n.changed(next)}, err
}

// booted holds while systemd still starts what the boot asked for: a switch of before
// NixOS 25.05 waits in the middle of its activation for that, and the way back would too.
func (n *Node) booted(ctx context.Context) error {
	if !n.Apart {
		return nil
	}
	state, begun := "", uint64(0) // microseconds since the kernel started
	err := n.Bus.call(ctx, func(ctx context.Context, c connection) error {
		p, err := c.SystemStateContext(ctx)
		if err != nil {
			return err
		}
		state, _ = p.Value.Value().(string)
		since, err := c.manager(ctx, "UserspaceTimestampMonotonic")
		begun, _ = since.Value().(uint64)
		return err
	})
	if err != nil {
		return fmt.Errorf("state of the boot: %w", err)
	}
	lasts := monotonic() - time.Duration(begun)*time.Microsecond
	if (state == "initializing" || state == "starting") && lasts < reconcile.BootWithin {
		return reconcile.Rejected(reconcile.GatePreflight, errors.New(`the node is still booting (hint: "systemctl list-jobs" shows what it waits for)`))
	}
	return nil
}

// possible looks at what needs no program to be seen.
func (n *Node) possible(next reconcile.Toplevel, retires bool) error {
	if err := n.fits(next); err != nil {
		return reconcile.Rejected(reconcile.GateIdentity, err)
	}
	if _, err := os.Stat(n.Root + switchProgram(next)); errors.Is(err, os.ErrNotExist) {
		return reconcile.Rejected(reconcile.GatePreflight, errors.New("the new system has no switch-to-configuration, so it could never be left again (hint: system.switch.enable must be true)"))
	}
	if entry := n.entryDefault(); entry != "" {
		return reconcile.Rejected(reconcile.GatePreflight, fmt.Errorf("a person chose the boot entry %s, which would beat every promotion (hint: bootctl set-default '')", entry))
	}
	if err := n.followed(next); err != nil && !retires {
		return reconcile.Rejected(reconcile.GatePreflight, err)
	}
	if err := n.space(next); err != nil {
		return reconcile.Rejected(reconcile.GatePreflight, err)
	}
	if err := n.lockFree(); err != nil {
		return reconcile.Rejected(reconcile.GateLock, err)
	}
	return nil
}

// fits refuses a system for another kind of machine, by the file that NixOS writes,
// nixos/modules/system/activation/top-level.nix. Its derivation only says where it is
// built.
func (n *Node) fits(next reconcile.Toplevel) error {
	made, err := os.ReadFile(n.Root + string(next) + "/system")
	if errors.Is(err, os.ErrNotExist) || n.System == "" {
		return nil
	}
	if err != nil {
		return fmt.Errorf("the new system: %w", err)
	}
	if system := strings.TrimSpace(string(made)); system != n.System {
		return fmt.Errorf("the new system is for %s, and this machine is %s (hint: is this the right node?)", system, n.System)
	}
	return nil
}

func (n *Node) space(next reconcile.Toplevel) error {
	if err := free(n.Root+"/nix/store", minStoreFree); err != nil {
		return err
	}
	if n.toplevel(currentSystem) == "" {
		return nil
	}
	var need uint64
	for _, file := range []string{"kernel", "initrd"} {
		now, err1 := filepath.EvalSymlinks(filepath.Join(n.Root+currentSystem, file))
		then, err2 := filepath.EvalSymlinks(filepath.Join(n.Root+string(next), file))
		if err1 == nil && now == then || err2 != nil {
			continue // in the boot partition already, or a system that brings none
		}
		info, err := os.Stat(then)
		if err != nil {
			return fmt.Errorf("boot partition: %w", err)
		}
		need += uint64(info.Size())
	}
	if need == 0 {
		return nil
	}
	for _, dir := range n.kernels() {
		if err := free(dir, need+1<<20); err != nil {
			return err
		}
	}
	return nil
}

func free(path string, need uint64) error {
	var s unix.Statfs_t
	if err := unix.Statfs(path, &s); err != nil {
		return fmt.Errorf("free space of %s: %w", path, err)
	}
	if have := s.Bavail * uint64(s.Bsize); have < need {
		return fmt.Errorf("%s has %d MiB free, %d MiB are needed", path, have>>20, need>>20+1)
	}
	return nil
}

// lockFree reports an error while another switch runs.
func (n *Node) lockFree() error {
	f, err := os.OpenFile(n.Root+switchLock, os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("switch lock: %w", err)
	}
	defer f.Close()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return errors.New("another switch-to-configuration is running")
	}
	return nil
}

// switchCheck runs the new system's own pre-switch checks. Systems before NixOS
// 25.05 have no such action and say so by their usage text.
func (n *Node) switchCheck(ctx context.Context, next reconcile.Toplevel) error {
	var said []string
	_, err := n.Run(ctx, "preflight", command.Command{
		Args: []string{switchProgram(next), "check"}, Dir: "/",
		Stderr: func(line string) { said = append(said, line) },
	})
	if err == nil {
		return nil
	}
	exit, ran := errors.AsType[*command.ExitError](err)
	if !ran {
		return err
	}
	if slices.ContainsFunc(said, func(line string) bool { return strings.Contains(line, " [switch|") }) {
		return nil
	}
	gate := obstacle(exit.Code, said)
	if gate == "" {
		gate = reconcile.GatePreflight
	}
	const most = 6 // lines that a person is shown
	return reconcile.Rejected(gate, fmt.Errorf("pre-switch check of the new system: %s", strings.Join(said[max(0, len(said)-most):], "\n")))
}

// SettingsFile is where the module puts the agent's settings, in every system.
const SettingsFile = "etc/infra-agent/config.toml"

// ask asks the new system's agent whether it can take over, and by which checks of its
// own settings it wants to be judged. An agent that gives no answer is for the trial to
// find out.
func (n *Node) ask(ctx context.Context, next reconcile.Toplevel, record string) (handover.Answer, error) {
	agent, settings := n.AgentOf(next), filepath.Join(string(next), SettingsFile)
	if agent == "" {
		return handover.Answer{}, nil
	}
	out, err := n.Look(ctx, "handover", command.Command{Args: handover.Args(agent, record, settings), Dir: "/"})
	if _, ran := errors.AsType[*command.ExitError](err); err != nil && !ran {
		return handover.Answer{}, err
	}
	answer, err := handover.Parse(out)
	if err == nil && answer.Refusal != "" {
		return handover.Answer{}, reconcile.Rejected(reconcile.GatePreflight, fmt.Errorf("the new system's infra-agent cannot take over: %s", answer.Refusal))
	}
	return answer, nil
}

// followed refuses a system that would not follow its branch: one without an agent, or
// whose agent nothing starts at boot.
func (n *Node) followed(next reconcile.Toplevel) error {
	if n.AgentOf(next) == "" {
		return errors.New("the new system has no infra-agent, so no later commit would reach this node " +
			`(hint: to take the agent off this node, set retire = true in its table of the registry, or run "infra-agent confirm --retire" on it)`)
	}
	return n.bootsAgent(next)
}
