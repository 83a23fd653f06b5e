package system

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/infra-agent/infra-agent/reconcile"
)

// What switch-to-configuration says, the one in Perl (until NixOS 24.11) and the one
// in Rust, in their own words.
const (
	perlUnitsFailed = `stopping the following units: nginx.service
activating the configuration...
setting up /etc...
setting up tmpfiles
starting the following units: nginx.service
Job for nginx.service failed because the control process exited with error code.
See "systemctl status nginx.service" and "journalctl -xe" for details.
the following new units were started: podman.socket
warning: the following units failed: nginx.service, postgresql.service

× nginx.service - Nginx Web Server
     Loaded: loaded (/etc/systemd/system/nginx.service; enabled; preset: enabled)
     Active: failed (Result: exit-code) since Mon 2025-06-02 10:12:00 UTC; 60ms ago`
	rustUnitsFailed = `activating the configuration...
reloading the following units: dbus.service, firewall.service
restarting the following units: polkit.service, systemd-udevd.service
starting the following units: accounts-daemon.service
the following new units were started: NetworkManager-dispatcher.service, sysinit-reactivation.target
warning: the following units failed: home-manager-lili.service
× home-manager-lili.service - Home Manager environment for lili
warning: the following user units failed for alice: wallutils-static.service`
	initInterface = "Warning: the new NixOS configuration has an ‘init’ that is\nincompatible with the current configuration.  The new configuration\nwon't take effect until you reboot the system.\n"
	inhibitors    = `Checking switch inhibitors...
There are changes to critical components of the system:

dbus-implementation : dbus -> broker

Switching into this system is not recommended.
You probably want to run 'nixos-rebuild boot' and reboot your system instead.

Pre-switch check 'switchInhibitors' failed
Pre-switch checks failed`
	ownCheck = "curl: (7) Failed to connect to 127.0.0.1 port 2222 after 0 ms: Could not connect to server\nPre-switch check 'blog' failed\nPre-switch checks failed"
)

// The switch and systemd name the same units, where the output was not cut.
func TestAUnitThatFailedIsNamedOnce(t *testing.T) {
	got := once([]string{"web.service", "db.service"}, []string{"web.service", "a.service"})
	if want := []string{"a.service", "db.service", "web.service"}; !slices.Equal(got, want) {
		t.Errorf("units are %q, want %q", got, want)
	}
}

func TestFailedUnits(t *testing.T) {
	tests := []struct {
		output string
		want   []string
	}{
		{perlUnitsFailed, []string{"nginx.service", "postgresql.service"}},
		{rustUnitsFailed, []string{"home-manager-lili.service"}},
		{"activating the configuration...", nil},
		{"echo: warning: the following units failed: quoted.service", nil},
		{"", nil},
	}
	for _, tt := range tests {
		if got := failedUnits(strings.Split(tt.output, "\n")); !slices.Equal(got, tt.want) {
			t.Errorf("got %q, want %q in\n%s", got, tt.want, tt.output)
		}
	}
}

// What the program for inhibitors said before nixpkgs made it a pre-switch check (nixos/modules/system/activation, text of
// check-switch-inhibitors). No release of NixOS is known to have it.
const oldInhibitors = `checking switch inhibitors...
there are changes to critical components of the system:

dbus-implementation : dbus -> broker

switching into this system is not recommended
you probably want to run 'nixos-rebuild boot' and reboot your system instead

if you really want to switch into this configuration directly, then
you can set NIXOS_NO_CHECK=1 to ignore switch inhibitors

WARNING: doing so might cause the switch to fail or your system to become unstable
`

func TestObstacle(t *testing.T) {
	tests := []struct {
		name   string
		exit   int
		output string
		want   reconcile.Gate
	}{
		{"Perl's lock: the exit status is EAGAIN", 11, "Could not acquire lock - Resource temporarily unavailable at switch-to-configuration line 89.", reconcile.GateLock},
		{"Rust's lock: die() exits with errno, which is EAGAIN", 11, "Could not acquire lock", reconcile.GateLock},
		{"Rust's lock, errno lost", 1, "Could not acquire lock", reconcile.GateLock},
		{"another init", 100, initInterface, reconcile.GateReboot},
		{"inhibitors", 1, inhibitors, reconcile.GateReboot},
		{"inhibitors, before they were a pre-switch check", 1, oldInhibitors, reconcile.GateReboot},
		{"a daemon-reload that never ends, in the middle of the activation", 1, "activating the configuration...\nError: systemd daemon reload failed, timeout after 60s", ""},
		{"a user's unit failed", 4, "warning: user activation for me failed", ""},
		{"a check of one's own", 1, ownCheck, ""},
		{"units failed", 4, perlUnitsFailed, ""},
		{"the words alone", 4, inhibitors, ""},
		{"all well", 0, "", ""},
		{"killed", -1, "Could not acquire lock", ""},
	}
	for _, tt := range tests {
		if got := obstacle(tt.exit, strings.Split(tt.output, "\n")); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

// A failed activation script is told from the units that failed as well: the switch itself exits 4 then.
func TestEnding(t *testing.T) {
	const (
		rust    = "activating the configuration...\nsetting up /etc...\nFailed to run activate script\nrestarting sysinit-reactivation.target\n"
		snippet = "activating the configuration...\nActivation script snippet 'users' failed (1)\nsetting up tmpfiles\n"
		broken  = "warning: the following units failed: old.service\n× old.service - broken for long"
	)
	for _, tt := range []struct {
		name   string
		exit   int
		output string
		want   int
		why    string
	}{
		{"the script alone", 2, rust, 2, "Failed to run activate script"},
		{"the script, and a unit", 4, rust + broken, 2, "Failed to run activate script"},
		{"a snippet, and a unit, by the switch in Perl", 4, snippet + broken, 2, "Activation script snippet 'users' failed (1)"},
		{"a unit", 4, broken, 4, "× old.service - broken for long"},
		{"a unit that says so", 4, "unit: Failed to run activate script\n" + broken, 4, "× old.service - broken for long"},
		{"an end in the middle", 1, rust + "Error: systemd daemon reload failed, timeout after 60s", 1, "Error: systemd daemon reload failed, timeout after 60s"},
	} {
		if exit, why := ending(tt.exit, strings.Split(tt.output, "\n")); exit != tt.want || why != tt.why {
			t.Errorf("%s: %d, %q, want %d, %q", tt.name, exit, why, tt.want, tt.why)
		}
	}
}

func TestLastLine(t *testing.T) {
	for _, tt := range []struct {
		lines []string
		want  string
	}{
		{nil, "it printed nothing"},
		{[]string{"", "  "}, "it printed nothing"},
		{[]string{"one", " two ", "", ""}, "two"},
	} {
		if got := lastLine(tt.lines); got != tt.want {
			t.Errorf("lastLine(%q) = %q, want %q", tt.lines, got, tt.want)
		}
	}
}

// The names are part of what outlives an agent: another version must find its units.
func TestUnitNames(t *testing.T) {
	const id = "20260329T010000"
	for got, want := range map[string]string{
		trialUnit(id, 2): "infra-agent-trial-20260329T010000-2.service",
		TrialUnits(id):   "infra-agent-[tb]*-20260329T010000-*.service",
		backUnit(id, 1):  "infra-agent-back-20260329T010000-1.service",
		guardUnit(id):    "infra-agent-guard-20260329T010000.service",
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestSwitchEnvironment(t *testing.T) {
	t.Setenv("PATH", "/run/wrappers/bin:/bin")
	t.Setenv("LOCALE_ARCHIVE", "/nix/store/lll/locale-archive")
	want := []string{"NIXOS_INSTALL_BOOTLOADER=0", "PATH=/run/wrappers/bin:/bin", "LOCALE_ARCHIVE=/nix/store/lll/locale-archive"}
	if got := switchEnv(); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// What systemd is told of a unit; what it makes of it is for the lab to show.
func TestTransientUnits(t *testing.T) {
	properties := func(u TransientUnit) map[string]any {
		all := map[string]any{}
		for _, p := range u.properties() {
			all[p.Name] = p.Value.Value()
		}
		return all
	}
	trial := TransientUnit{Name: "x.service", Description: "try it", Args: []string{"/bin/a", "test"}, Env: []string{"A=b"}}
	got := properties(trial)
	want := map[string]any{
		"Description": "try it", "Environment": []string{"HOME=/root", "A=b"}, "Type": "exec", "RemainAfterExit": true,
		"TimeoutStartUSec":  ^uint64(0),
		"SuccessExitStatus": struct{ Codes, Signals []int32 }{[]int32{1, 2, 3, 4, 11, 100}, []int32{}},
	}
	for name, value := range want {
		if g := got[name]; !reflect.DeepEqual(reflect.ValueOf(g).Convert(reflect.TypeOf(value)).Interface(), value) {
			t.Errorf("%s is %v, want %v", name, g, value)
		}
	}
	if len(got) != len(want)+1 { // and ExecStart
		t.Errorf("got properties %v", got)
	}
	got = properties(TransientUnit{Guard: true, Args: []string{"/bin/a"}})
	for name, value := range map[string]any{
		"Type": "notify", "Restart": "on-failure", "RestartUSec": uint64(1_000_000), "StartLimitIntervalUSec": uint64(0), "OOMScoreAdjust": int32(-900),
	} {
		if !reflect.DeepEqual(got[name], value) {
			t.Errorf("guard: %s is %v, want %v", name, got[name], value)
		}
	}
	if _, remains := got["RemainAfterExit"]; remains {
		t.Error("a guard that has ended would seem to be alive")
	}
}
