package system

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/infra-agent/infra-agent/agent/command"
	"github.com/infra-agent/infra-agent/reconcile"
)

// TrialUnits is the pattern of all units of a deployment that activate a system:
// its trials, and the agent's ways back. The guard stops them before it goes back.
func TrialUnits(id string) string { return "infra-agent-[tb]*-" + id + "-*.service" }

func trialUnit(id string, attempt int) string {
	return fmt.Sprintf("infra-agent-trial-%s-%d.service", id, attempt)
}

func backUnit(id string, attempt int) string {
	return fmt.Sprintf("infra-agent-back-%s-%d.service", id, attempt)
}

// Trial activates the new system without making it permanent, or attaches to
// the unit that does so already, and waits for its end.
func (n *Node) Trial(ctx context.Context, d reconcile.Deployment, attempt int, begin func(start func() error) error) (reconcile.Activation, error) {
	if err := n.stopTrials(ctx, d, attempt-1); err != nil { // never two activations at once
		return reconcile.Activation{}, err
	}
	for back := 1; back <= 2; back++ {
		state, err := n.Unit(ctx, backUnit(d.ID, back))
		if err != nil {
			return reconcile.Activation{}, err
		}
		if state.Exists { // by an agent that could not write it down: the disk is full
			return reconcile.Activation{Attempt: attempt, Exit: 1, Why: "it is being rolled back already"}, nil
		}
	}
	return n.activate(ctx, d, attempt, TransientUnit{
		Name: trialUnit(d.ID, attempt), Description: "infra-agent: try " + string(d.New.Toplevel),
		Args: []string{switchProgram(d.New.Toplevel), "test"},
		Env:  switchEnv(),
	}, begin)
}

// GoBack stops the trial and its promotion, whatever they are doing, activates the old
// system again, and says how that ended. A boot loader that hangs has the switch lock.
func (n *Node) GoBack(ctx context.Context, d reconcile.Deployment, attempt int, begin func(start func() error) error) (reconcile.Activation, error) {
	if err := n.stopTrials(ctx, d, 2); err != nil {
		return reconcile.Activation{}, err
	}
	if err := n.stopDefaults(ctx, ""); err != nil {
		return reconcile.Activation{}, err
	}
	for other := 1; other <= 2; other++ { // an earlier one may hang, a later one was not written down
		if other == attempt {
			continue
		}
		if err := n.Stop(ctx, backUnit(d.ID, other)); err != nil {
			return reconcile.Activation{}, err
		}
	}
	if state, err := n.Unit(ctx, backUnit(d.ID, attempt)); err == nil && !state.Exists {
		n.awaitLock(ctx)
	}
	return n.activate(ctx, d, attempt, TransientUnit{
		Name: backUnit(d.ID, attempt), Description: "infra-agent: go back to " + string(d.Old.Toplevel),
		Args: []string{switchProgram(d.Old.Toplevel), "test"},
		Env:  append(switchEnv(), "NIXOS_NO_CHECK=1"),
	}, begin)
}

// activate runs a switch to its end, or attaches to it, and says how it ended. After
// exit 4 the units are asked too: the output may have been cut.
func (n *Node) activate(ctx context.Context, d reconcile.Deployment, attempt int, u TransientUnit, begin func(start func() error) error) (reconcile.Activation, error) {
	state, err := n.attach(ctx, u, begin)
	if err != nil {
		return reconcile.Activation{}, err
	}
	if state.Known && !state.Started { // no fault of the commit: nothing of it was run
		why := fmt.Sprintf("systemd could not start %s: %s (hint: journalctl -u %s)", u.Args[0], state.Result, u.Name)
		return reconcile.Activation{Attempt: attempt, Exit: -1, Hold: reconcile.GatePreflight, Why: why}, nil
	}
	if state.Exit == 0 {
		return reconcile.Activation{Attempt: attempt}, nil
	}
	out := n.output(ctx, u.Name)
	exit, why := ending(state.Exit, out)
	a := reconcile.Activation{Attempt: attempt, Exit: exit, Failed: failedUnits(out), Why: why, Node: slices.ContainsFunc(out, reconcile.OfDisk)}
	a.Hold = obstacle(state.Exit, out)
	if a.Exit != unitsFailed {
		return a, nil
	}
	units, err := n.Units(ctx, d, nil)
	if err != nil {
		return reconcile.Activation{}, err
	}
	a.Failed, a.Outside, a.Aliases = once(a.Failed, units.Failed), units.Outside, units.Aliases
	return a, nil
}

// once returns the names in either list, each once.
func once(first, second []string) []string {
	all := slices.Concat(first, second)
	slices.Sort(all)
	return slices.Compact(all)
}

// How switch-to-configuration exits when the activation script failed, and when the new system
// runs and a unit failed.
const (
	activationFailed = 2
	unitsFailed      = 4
)

// unactivated is how switch-to-configuration-ng (nixpkgs 0145c6da2896) says that the activation script failed, and how
// the script itself does (nixpkgs, nixos/modules/system/activation/activation-script.nix): the switch in Perl says nothing.
var unactivated = regexp.MustCompile(`^(Failed to run activate script|Activation script snippet '.*' failed \(\d+\))`)

// ending returns how a switch ended, and the line that says why. Both switches lose the
// exit status of a failed activation script when a unit has failed as well, one that has
// been broken for long included.
func ending(exit int, output []string) (int, string) {
	if exit == unitsFailed || exit == activationFailed {
		for _, line := range output {
			if line = strings.TrimSpace(line); unactivated.MatchString(line) {
				return activationFailed, line
			}
		}
	}
	return exit, lastLine(output)
}

// stopTrials stops the first so many trials.
func (n *Node) stopTrials(ctx context.Context, d reconcile.Deployment, attempts int) error {
	for attempt := 1; attempt <= attempts; attempt++ {
		if err := n.Stop(ctx, trialUnit(d.ID, attempt)); err != nil {
			return err
		}
	}
	return nil
}

// attach starts the unit unless it exists, and waits for its end.
func (n *Node) attach(ctx context.Context, u TransientUnit, begin func(start func() error) error) (UnitState, error) {
	state, err := n.Unit(ctx, u.Name)
	if err != nil {
		return state, err
	}
	if !state.Exists {
		if err := begin(func() error { return n.Start(ctx, u) }); err != nil {
			return state, err
		}
	}
	return n.Wait(ctx, u.Name)
}

func switchProgram(t reconcile.Toplevel) string {
	return filepath.Join(string(t), "bin/switch-to-configuration")
}

// switchEnv is what nixos-rebuild hands to switch-to-configuration.
func switchEnv() []string {
	env := []string{"NIXOS_INSTALL_BOOTLOADER=0", "PATH=" + os.Getenv("PATH")}
	if locale, ok := os.LookupEnv("LOCALE_ARCHIVE"); ok {
		env = append(env, "LOCALE_ARCHIVE="+locale)
	}
	return env
}

// output returns what the unit's current run printed. The journal is told to take in
// what was written first, journalctl(1): the last line often says why.
func (n *Node) output(ctx context.Context, name string) []string {
	const lines = 400
	_, _ = journalctl(ctx, "--sync") // without it most of the output is there
	out, err := journalctl(ctx, "--no-pager", "--output=cat", "--lines="+strconv.Itoa(lines), "--boot", "_SYSTEMD_UNIT="+name)
	if err != nil {
		return nil
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}

// journalctl gives each question a time of its own: a journal that hangs keeps no system from
// its end, and one that is slow to sync is read all the same.
func journalctl(ctx context.Context, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, reconcile.JournalWithin)
	defer cancel()
	return command.Run(ctx, command.Command{Args: append([]string{"journalctl"}, args...)})
}

// failed is how switch-to-configuration names the units that failed.
var failed = regexp.MustCompile(`^warning: the following units failed: (.*)$`)

func failedUnits(output []string) []string {
	var units []string
	for _, line := range output {
		if m := failed.FindStringSubmatch(strings.TrimSpace(line)); m != nil {
			units = append(units, strings.Split(m[1], ", ")...)
		}
	}
	return units
}

// obstacle recognizes a switch that refused to begin, by what switch-to-configuration-ng says (nixpkgs 00401fd7e581 and
// 0145c6da2896). Inhibitors are a pre-switch check by that name, and were a program of their own before, which spoke in
// lower case; since nixpkgs#477800 they are compared by name.
func obstacle(exit int, output []string) reconcile.Gate {
	switch exit {
	case 11:
		return reconcile.GateLock
	case 100:
		return reconcile.GateReboot
	case 1:
		for _, line := range output {
			switch {
			case strings.Contains(line, "Could not acquire lock"):
				return reconcile.GateLock
			case strings.Contains(line, "'switchInhibitors' failed"), strings.Contains(line, "here are changes to critical components of the system"):
				return reconcile.GateReboot
			}
		}
	}
	return ""
}

func lastLine(lines []string) string {
	for i := len(lines) - 1; i >= 0; i-- {
		if l := strings.TrimSpace(lines[i]); l != "" {
			return l
		}
	}
	return "it printed nothing"
}
