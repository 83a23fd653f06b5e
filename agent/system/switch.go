package system

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

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

func promoteUnit(id string, try int) string {
	return fmt.Sprintf("infra-agent-promote-%s-%d.service", id, try)
}

func guardUnit(id string) string { return "infra-agent-guard-" + id + ".service" }

// Trial activates the new system without making it permanent, or attaches to
// the unit that does so already, and waits for its end.
func (n *Node) Trial(ctx context.Context, d reconcile.Deployment, attempt int, begin func(start func() error) error) (reconcile.Activation, error) {
	for earlier := 1; earlier < attempt; earlier++ { // never two activations at once
		if err := n.Stop(ctx, trialUnit(d.ID, earlier)); err != nil {
			return reconcile.Activation{}, err
		}
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
	name := trialUnit(d.ID, attempt)
	state, err := n.attach(ctx, TransientUnit{
		Name: name, Description: "infra-agent: try " + string(d.New.Toplevel),
		Exec: [][]string{{switchProgram(d.New.Toplevel), "test"}},
		Env:  switchEnv(),
	}, begin)
	if err != nil {
		return reconcile.Activation{}, err
	}
	out := n.output(ctx, name)
	a := reconcile.Activation{Attempt: attempt, Exit: state.Exit, Failed: failedUnits(out), Why: lastLine(out)}
	a.Hold = obstacle(state.Exit, out)
	return a, nil
}

// GoBack stops the trial, whatever it is doing, and activates the old system
// again; with restore also in the profile and the boot loader.
func (n *Node) GoBack(ctx context.Context, d reconcile.Deployment, attempt int, restore bool, begin func(start func() error) error) error {
	for trial := 1; trial <= 2; trial++ {
		if err := n.Stop(ctx, trialUnit(d.ID, trial)); err != nil {
			return err
		}
	}
	for other := 1; other <= 2; other++ { // an earlier one may hang, a later one was not written down
		if other == attempt {
			continue
		}
		if err := n.Stop(ctx, backUnit(d.ID, other)); err != nil {
			return err
		}
	}
	execs := [][]string{{switchProgram(d.Old.Toplevel), "test"}}
	if restore {
		if err := n.stopPromotions(ctx, d, reconcile.PromoteTries+1); err != nil {
			return err
		}
		set, err := setProfile(d.Old.Toplevel)
		if err != nil {
			return err
		}
		execs = append(execs, set, []string{switchProgram(d.Old.Toplevel), "boot"})
	}
	name := backUnit(d.ID, attempt)
	state, err := n.attach(ctx, TransientUnit{
		Name: name, Description: "infra-agent: go back to " + string(d.Old.Toplevel),
		Exec: execs, Env: append(switchEnv(), "NIXOS_NO_CHECK=1"),
	}, begin)
	if err != nil {
		return err
	}
	if restore {
		if err := n.SyncBoot(); err != nil {
			return err
		}
	}
	if state.Exit != 0 {
		return fmt.Errorf("%s exited %d: %s", name, state.Exit, lastLine(n.output(ctx, name)))
	}
	return nil
}

// Promote makes the new system permanent: first the profile, then the boot
// default, since "boot" for a system in no generation of the profile leaves the
// default of systemd-boot as it was, and exits 0. It reads both back.
func (n *Node) Promote(ctx context.Context, d reconcile.Deployment, try int) error {
	if err := n.stopPromotions(ctx, d, try); err != nil {
		return err
	}
	set, err := setProfile(d.New.Toplevel)
	if err != nil {
		return err
	}
	name := promoteUnit(d.ID, try)
	state, err := n.attach(ctx, TransientUnit{
		Name: name, Description: "infra-agent: promote " + string(d.New.Toplevel),
		Exec: [][]string{set, {switchProgram(d.New.Toplevel), "boot"}},
		Env:  switchEnv(),
	}, func(start func() error) error { return start() })
	if err != nil {
		return err
	}
	if state.Exit != 0 {
		return fmt.Errorf("%s exited %d: %s", name, state.Exit, lastLine(n.output(ctx, name)))
	}
	slots := n.Slots()
	if slots.Profile != d.New.Toplevel {
		return fmt.Errorf("the system profile is %s after it was set to %s", slots.Profile, d.New.Toplevel)
	}
	if slots.Default != "" && slots.Default != d.New.Toplevel {
		return fmt.Errorf("the boot default is %s after %s was installed", slots.Default, d.New.Toplevel)
	}
	return n.SyncBoot()
}

// stopPromotions ends the tries before the given one: a boot loader that hung may
// wake up, and change what was set after it.
func (n *Node) stopPromotions(ctx context.Context, d reconcile.Deployment, before int) error {
	for try := 1; try < before; try++ {
		if err := n.Stop(ctx, promoteUnit(d.ID, try)); err != nil {
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

// StartGuard starts the deployment's guard from this agent's own program, which
// belongs to the old system, and waits until it has read its file.
func (n *Node) StartGuard(ctx context.Context, d reconcile.Deployment, stateDir string) error {
	self, err := Self()
	if err != nil {
		return fmt.Errorf("start guard: %w", err)
	}
	name := guardUnit(d.ID)
	if state, err := n.Unit(ctx, name); err == nil && state.Exists && !state.Running {
		if err := n.Stop(ctx, name); err != nil {
			return err
		}
	}
	err = n.Start(ctx, TransientUnit{
		Name: name, Description: "infra-agent: guard of " + string(d.Old.Toplevel), Guard: true,
		Exec: [][]string{{self, "guard", "--state-dir", stateDir, d.ID}},
		Env:  []string{"PATH=" + os.Getenv("PATH")},
	})
	if err != nil {
		return err
	}
	for {
		state, err := n.Unit(ctx, name)
		if err != nil {
			return err
		}
		if state.Active {
			return nil
		}
		if !state.Running {
			return fmt.Errorf("start %s: it ended with result %s", name, state.Result)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// GuardAlive reports whether the deployment's guard runs.
func (n *Node) GuardAlive(ctx context.Context, id string) (bool, error) {
	s, err := n.Unit(ctx, guardUnit(id))
	return s.Running, err
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

func setProfile(t reconcile.Toplevel) ([]string, error) {
	nixEnv, err := command.Path("nix-env")
	if err != nil {
		return nil, fmt.Errorf("set the system profile: %w", err)
	}
	return []string{nixEnv, "--profile", systemProfile, "--set", string(t)}, nil
}

// output returns what the unit's current run printed.
func (n *Node) output(ctx context.Context, name string) []string {
	const lines = 400
	out, err := command.Run(ctx, command.Command{Args: []string{
		"journalctl", "--no-pager", "--output=cat", "--lines=" + strconv.Itoa(lines), "--boot", "_SYSTEMD_UNIT=" + name,
	}})
	if err != nil {
		return nil
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n")
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

// obstacle recognizes a switch that refused to begin.
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
			case strings.Contains(line, "'switchInhibitors' failed"):
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
