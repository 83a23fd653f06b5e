package system

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/infra-agent/infra-agent/reconcile"
)

func TestFreeSpace(t *testing.T) {
	dir := t.TempDir()
	if err := free(dir, 1); err != nil {
		t.Errorf("one byte: %v", err)
	}
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		t.Fatal(err)
	}
	err := free(dir, 1<<60)
	if want := regexp.MustCompile("^" + regexp.QuoteMeta(dir) + " has [0-9]+ MiB free, 1099511627777 MiB are needed$"); err == nil || !want.MatchString(err.Error()) {
		t.Errorf("2^60 bytes: got %v, want %s", err, want)
	}
	if err := free(dir+"/missing", 1); err == nil || !strings.HasPrefix(err.Error(), "free space of ") {
		t.Errorf("a missing directory: got %v, want an error", err)
	}
}

func TestASystemForAnotherMachine(t *testing.T) {
	n := root(t, map[string]string{"/nix/store/pi/system": "aarch64-linux", "/nix/store/web/system": "x86_64-linux\n", "/nix/store/old/init": ""})
	n.System = "x86_64-linux"
	for _, top := range []reconcile.Toplevel{"/nix/store/web", "/nix/store/old"} {
		if err := n.fits(top); err != nil {
			t.Errorf("%s: %v", top, err)
		}
	}
	const want = "the new system is for aarch64-linux, and this machine is x86_64-linux (hint: is this the right node?)"
	_, err := n.Preflight(t.Context(), "/nix/store/pi", false, "/state.json")
	if gate, _ := reconcile.RejectedBy(err); gate != reconcile.GateIdentity || err.Error() != want {
		t.Errorf("got %v (gate %q), want %s", err, gate, want)
	}
	n.System = ""
	if err := n.fits("/nix/store/pi"); err != nil {
		t.Errorf("on a machine that is not known: %v", err)
	}
}

// The boot partition must hold kernel and initrd where they are new.
func TestSpaceOnTheBootPartition(t *testing.T) {
	const huge = 1 << 43 // more than any test's disk has; the file is sparse
	files := map[string]string{
		"/run/current-system": "-> ../nix/store/aaa", "/nix/store/aaa/kernel": "-> ../k1", "/nix/store/aaa/initrd": "-> ../i1",
		"/nix/store/bbb/kernel": "-> ../k1", "/nix/store/bbb/initrd": "-> ../i1", // as in aaa
		"/nix/store/ccc/kernel": "-> ../k1", "/nix/store/ccc/initrd": "-> ../i2", // a new initrd
		"/nix/store/ddd/kernel": "-> ../k2", "/nix/store/ddd/initrd": "-> ../i1", // a new, small kernel
		"/nix/store/eee/init": "", // a container
		"/nix/store/k1":       "", "/nix/store/i1": "", "/nix/store/k2": "", "/nix/store/i2": "", "/boot/x": "",
	}
	n := root(t, files)
	for _, name := range []string{"k1", "i2"} {
		if err := os.Truncate(filepath.Join(n.Root, "nix/store", name), huge); err != nil {
			t.Fatal(err)
		}
	}
	for top, want := range map[string]string{"bbb": "", "ddd": "", "eee": "", "ccc": "MiB free, 8388610 MiB are needed"} {
		err := n.space(reconcile.Toplevel("/nix/store/" + top))
		if want == "" && err != nil || want != "" && (err == nil || !strings.HasSuffix(err.Error(), want) || !strings.HasPrefix(err.Error(), n.Root+"/boot has ")) {
			t.Errorf("%s: got %v, want %q", top, err, want)
		}
	}
	if err := os.RemoveAll(n.Root + "/nix/store"); err != nil {
		t.Fatal(err)
	}
	if err := n.space("/nix/store/bbb"); err == nil {
		t.Error("without a store there is space in it")
	}
}

func TestSwitchLock(t *testing.T) {
	n := root(t, nil)
	if err := n.lockFree(); err != nil {
		t.Errorf("no lock file: %v", err)
	}
	n = root(t, map[string]string{switchLock: ""})
	held, err := os.OpenFile(n.Root+switchLock, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	for range 2 { // looking must not take it
		if err := n.lockFree(); err != nil {
			t.Errorf("a free lock: %v", err)
		}
	}
	if err := unix.Flock(int(held.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		t.Fatal(err)
	}
	if err := n.lockFree(); err == nil || err.Error() != "another switch-to-configuration is running" {
		t.Errorf("a held lock: got %v", err)
	}
}

// script writes a program.
func script(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
}

func says(text string, exit int) string {
	return fmt.Sprintf("[ \"$*\" = check ] || exit 99\ncat >&2 <<'END'\n%s\nEND\nexit %d", text, exit)
}

func TestSwitchCheck(t *testing.T) {
	// The usage of systems before NixOS 25.05, on a host with an unlucky name.
	const usage = `Usage: /nix/store/vvv-nixos-system-healthcheck-24.11/bin/switch-to-configuration [switch|boot|test|dry-activate]

switch:       make the configuration the boot default and activate now
boot:         make the configuration the boot default
test:         activate the configuration, but don't make it the boot default
dry-activate: show what would be done if this configuration were activated`
	tests := []struct {
		name, script string
		gate         reconcile.Gate
		says         string
	}{
		{"passes", says("", 0), "", ""},
		{"has no such action", says(usage, 1), "", ""},
		{"the oldest usage", says("Usage: /x/bin/switch-to-configuration [switch|boot|test]", 1), "", ""},
		{"inhibitors", says(inhibitors, 1), reconcile.GateReboot, "dbus-implementation : dbus -> broker"},
		{"a check of its own", says(ownCheck, 1), reconcile.GatePreflight, "Pre-switch check 'blog' failed"},
		{"a check that is misused", says("Usage: curl [options...] <url>\n"+ownCheck, 1), reconcile.GatePreflight, "Pre-switch check 'blog' failed"},
		{"the lock is held", says("Could not acquire lock", 1), reconcile.GateLock, "Could not acquire lock"},
		{"another init", says(initInterface, 100), reconcile.GateReboot, "incompatible with the current configuration"},
	}
	for _, tt := range tests {
		top := reconcile.Toplevel(t.TempDir())
		script(t, switchProgram(top), tt.script)
		err := new(Node).switchCheck(t.Context(), top)
		if gate, _ := reconcile.RejectedBy(err); gate != tt.gate || (err == nil) != (tt.gate == "") {
			t.Errorf("%s: got %v, gate %q, want gate %q", tt.name, err, gate, tt.gate)
		}
		if err != nil && (!strings.HasPrefix(err.Error(), "pre-switch check of the new system: ") || !strings.Contains(err.Error(), tt.says)) {
			t.Errorf("%s: got %v, want it to say %q", tt.name, err, tt.says)
		}
	}
	err := new(Node).switchCheck(t.Context(), "/no/such/system")
	if _, rejected := reconcile.RejectedBy(err); err == nil || rejected {
		t.Errorf("a missing program: got %v (rejected: %v), want that it could not be started", err, rejected)
	}
}

// withAgent makes a system in a directory of its own, whose agent is a script.
func withAgent(t *testing.T, agentScript string) reconcile.Toplevel {
	t.Helper()
	top := t.TempDir()
	agent := filepath.Join(top, "agent")
	script(t, agent, agentScript)
	for name, text := range map[string]string{
		"etc/systemd/system/" + AgentUnit:                         "[Service]\nExecStart=" + agent + " run\n",
		"etc/systemd/system/multi-user.target.wants/" + AgentUnit: "",
		SettingsFile: "",
	} {
		path := filepath.Join(top, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return reconcile.Toplevel(top)
}

func TestTheNewAgentIsAsked(t *testing.T) {
	asked := `[ "$1 $2 $3 $4" = "check --handover --record /var/lib/infra-agent/state.json" ] && [ "${5##*/}" = config.toml ] || exit 9; `
	tests := []struct {
		name, script string
		checks       int
		want         string // "": it goes on
	}{
		{"takes over", asked + `echo '{"schema":1,"checks":[{"name":"web","kind":"grpc","timeout":1}]}'`, 1, ""},
		{"refuses", asked + `echo '{"schema":1,"refusal":"needs schema 1"}'`, 0, "the new system's infra-agent cannot take over: needs schema 1"},
		{"does not know the question", "echo unknown flag >&2; exit 2", 0, ""}, // for the trial to find out
		{"crashes", "kill -9 $$", 0, ""},
		{"prints something else", "echo hello", 0, ""},
	}
	for _, tt := range tests {
		answer, err := new(Node).ask(t.Context(), withAgent(t, tt.script), "/var/lib/infra-agent/state.json")
		gate, rejected := reconcile.RejectedBy(err)
		if len(answer.Checks) != tt.checks || (err == nil) != (tt.want == "") || err != nil && (err.Error() != tt.want || !rejected || gate != reconcile.GatePreflight) {
			t.Errorf("%s: got %v, %v, gate %q, want %d checks, %q", tt.name, answer, err, gate, tt.checks, tt.want)
		}
	}
	if answer, err := new(Node).ask(t.Context(), reconcile.Toplevel(t.TempDir()), "state.json"); answer.Checks != nil || err != nil {
		t.Errorf("a system without an agent: %v, %v", answer, err)
	}
}

// A system that would not follow its branch is not activated.
func TestASystemThatWouldNotFollow(t *testing.T) {
	n := new(Node)
	top := withAgent(t, "")
	if err := n.followed(top); err != nil {
		t.Errorf("a system with an agent that boots: %v", err)
	}
	if err := n.followed(reconcile.Toplevel(t.TempDir())); err == nil || !strings.Contains(err.Error(), "has no infra-agent") {
		t.Errorf("a system without an agent: got %v", err)
	}
}

// Preflight asks in this order, and each refusal names its gate.
func TestPreflight(t *testing.T) {
	agent := "/nix/store/aaa/etc/systemd/system/"
	n := root(t, map[string]string{switchLock: "", agent + AgentUnit: "[Service]\nExecStart=/agent run\n"})
	if err := os.Symlink("multi-user.target", n.Root+agent+"default.target"); err != nil {
		t.Fatal(err)
	}
	program := n.Root + switchProgram("/nix/store/aaa")
	held, err := os.OpenFile(n.Root+switchLock, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	expect := func(step string, want reconcile.Gate, says string) {
		t.Helper()
		_, err := n.Preflight(t.Context(), "/nix/store/aaa", false, "state.json")
		if gate, _ := reconcile.RejectedBy(err); err == nil || gate != want || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: got %v, gate %q, want %q, %q", step, err, gate, says, want)
		}
	}
	expect("no switch", reconcile.GatePreflight, "has no switch-to-configuration")
	script(t, program, "exit 1")
	expect("nothing wants the agent", reconcile.GatePreflight, "starts infra-agent.service at boot")
	wants := n.Root + agent + "multi-user.target.wants"
	if err := os.MkdirAll(wants, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(wants, AgentUnit), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := unix.Flock(int(held.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		t.Fatal(err)
	}
	expect("lock held", reconcile.GateLock, "another switch")
	_ = held.Close()
	expect("a program that cannot be started", "", "switch-to-configuration")
}
