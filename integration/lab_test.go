//go:build integration

package integration

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/infra-agent/infra-agent/integration/lab"
)

func TestNodesBootWhatIsInstalled(t *testing.T) {
	t.Parallel()
	l := newIdleLab(t)
	ctx := t.Context()
	web := must[*lab.Node](t)(l.Node("web1", "10.99.0.11"))
	db := must[*lab.Node](t)(l.Node("db1", "10.99.0.13"))
	start := time.Now()
	check(t, l.Up(ctx, must[string](t)(l.Repo().Tip()), web, db))
	t.Logf("up after %v", time.Since(start))

	for _, n := range []*lab.Node{web, db} {
		if got, err := n.WaitRunning(ctx); err != nil || got != "running" {
			t.Errorf("%s: systemd is %q, %v, want running", n.Name(), got, err)
		}
		want := must[string](t)(n.Toplevel(lab.Profile))
		if !strings.Contains(want, "-nixos-system-"+n.Name()+"-") {
			t.Errorf("%s: profile is %q, want a system of that name", n.Name(), want)
		}
		for _, link := range []string{lab.CurrentSystem, lab.BootedSystem, lab.BootDefault} {
			if got := must[string](t)(n.Toplevel(link)); got != want {
				t.Errorf("%s: %s is %q, want the profile's %q", n.Name(), link, got, want)
			}
		}
		if got := strings.TrimSpace(must[string](t)(n.Run(ctx, "hostname"))); got != n.Name() {
			t.Errorf("hostname is %q, want %q", got, n.Name())
		}
		if got := must[string](t)(n.Run(ctx, "systemctl", "is-active", "infra-agent")); got != "active\n" {
			t.Errorf("%s: infra-agent is %q, want active", n.Name(), got)
		}
	}
	if got := must[string](t)(web.Run(ctx, "systemctl", "is-active", "lab-web")); got != "active\n" {
		t.Errorf("lab-web on web1 is %q, want active", got)
	}
	var failed *lab.CommandError
	if _, err := db.Run(ctx, "systemctl", "is-active", "lab-web"); !errors.As(err, &failed) || failed.Code != 4 {
		t.Errorf("lab-web on db1: %v, want exit code 4 (no such unit)", err)
	}
}

func TestSwitchChangesUnits(t *testing.T) {
	t.Parallel()
	l := newIdleLab(t)
	ctx := t.Context()
	n := must[*lab.Node](t)(l.Node("web1", "10.99.0.11"))
	repo := l.Repo()
	first := must[string](t)(repo.Tip())
	check(t, l.Up(ctx, first, n))
	old := must[string](t)(n.Toplevel(lab.CurrentSystem))

	role := must[string](t)(repo.File("roles/web.nix"))
	comment := must[string](t)(repo.Commit("comment", map[string]string{"roles/web.nix": "# a comment\n" + role}))
	if got := must[string](t)(n.Build(ctx, comment)); got != old {
		t.Errorf("a commit that changes a comment builds %s, want %s as before", got, old)
	}

	second := must[string](t)(repo.Commit("web 2", map[string]string{"roles/web.nix": strings.Replace(role, "VERSION=1", "VERSION=2", 1)}))
	top := must[string](t)(n.Build(ctx, second))
	pid := must[string](t)(n.Run(ctx, "systemctl", "show", "-P", "MainPID", "infra-agent"))
	must[string](t)(n.Run(ctx, top+"/bin/switch-to-configuration", "test"))
	if got := must[string](t)(n.Run(ctx, "systemctl", "show", "-P", "Environment", "lab-web")); got != "VERSION=2\n" {
		t.Errorf("lab-web runs with %q, want VERSION=2", got)
	}
	if got := must[string](t)(n.Run(ctx, "systemctl", "show", "-P", "MainPID", "infra-agent")); got != pid {
		t.Errorf("the unchanged agent's process is %q, want %q as before", got, pid)
	}
	if got := must[string](t)(n.Toplevel(lab.CurrentSystem)); got != top {
		t.Errorf("current system is %q, want %q", got, top)
	}
	if got := must[string](t)(n.Toplevel(lab.Profile)); got != old {
		t.Errorf("profile is %q, want %q: a trial does not touch it", got, old)
	}
}

func TestSwitchExitCodes(t *testing.T) {
	t.Parallel()
	l := newIdleLab(t)
	ctx := t.Context()
	n := must[*lab.Node](t)(l.Node("web1", "10.99.0.11"))
	check(t, l.Up(ctx, must[string](t)(l.Repo().Tip()), n))
	old := must[string](t)(n.Toplevel(lab.CurrentSystem))
	const failing = `units."lab-bad.service" = "[Service]\nType=oneshot\nExecStart=/bin/false\n[Install]\nWantedBy=multi-user.target\n";`
	for _, tc := range []struct {
		name, setting, action string
		code                  int
		active                bool
		says                  string
		before                string // done on the node, and undone
		after                 string
	}{
		{"inhibitors", `inhibitors.systemd = "258";`, "check", 1, false, "Pre-switch checks failed", "", ""},
		{"an inhibitor that only one has", `inhibitors.dbus = "broker";`, "check", 0, false, "", "", ""},
		{"init", `initInterface = "systemd 3";`, "test", 100, false, "won't take effect until you reboot", "", ""},
		{"activation", `activateExit = 7;`, "test", 2, true, "Failed to run activate script", "", ""},
		{"failing unit", failing, "test", 4, true, "warning: the following units failed: lab-bad.service", "", ""},
		{"systemd", `systemd = "258";`, "test", 0, true, "", "", ""},
		{"usage", `kernel = "6.12.2";`, "try", 1, false, "Usage: ", "", ""},
		{
			"lock", `kernel = "6.12.3";`, "test", 11, false, "Could not acquire lock",
			"systemd-run --unit=lab-lock flock /run/nixos/switch-to-configuration.lock sleep infinity; until [ \"$(systemctl show -P MainPID lab-lock)\" != 0 ] && ! flock -n /run/nixos/switch-to-configuration.lock true; do sleep 0.05; done",
			"systemctl stop lab-lock",
		},
		{
			"boot loader", `kernel = "6.12.4";`, "boot", 1, false, "Failed to install bootloader",
			"cp /usr/local/sbin/lab-bootloader /root/b; printf '#!/bin/sh\nexit 5\n' > /usr/local/sbin/lab-bootloader",
			"cp /root/b /usr/local/sbin/lab-bootloader",
		},
		{"another distribution", `kernel = "6.12.5";`, "test", 1, false, "This is not a NixOS installation!", "mv /etc/NIXOS /root/n", "mv /root/n /etc/NIXOS"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			commit := must[string](t)(l.Repo().Commit(tc.name, map[string]string{"roles/web.nix": "{ ... }: { " + tc.setting + " }\n"}))
			top := must[string](t)(n.Build(ctx, commit))
			if tc.before != "" {
				must[string](t)(n.Run(ctx, "sh", "-c", tc.before))
			}
			_, err := n.Run(ctx, top+"/bin/switch-to-configuration", tc.action)
			if tc.after != "" {
				must[string](t)(n.Run(ctx, "sh", "-c", tc.after))
			}
			var failed *lab.CommandError
			if got := errors.As(err, &failed); got != (tc.code != 0) || got && (failed.Code != tc.code || !strings.Contains(failed.Stderr, tc.says)) {
				t.Errorf("%s: %v, want exit code %d and %q", tc.action, err, tc.code, tc.says)
			}
			current := must[string](t)(n.Toplevel(lab.CurrentSystem))
			if got := current == top; got != tc.active {
				t.Errorf("new system is active: %v, want %v", got, tc.active)
			}
			must[string](t)(n.Run(ctx, old+"/bin/switch-to-configuration", "test"))
		})
	}
	broken := must[string](t)(l.Repo().Commit("broken build", map[string]string{"roles/web.nix": "{ ... }: { buildFails = true; }\n"}))
	if _, err := n.Build(ctx, broken); err == nil || !strings.Contains(err.Error(), "fails on purpose") {
		t.Errorf("broken build: %v, want an error that says so", err)
	}
	typo := must[string](t)(l.Repo().Commit("typo", map[string]string{"roles/web.nix": "{ ... }: { buildFail = true; }\n"}))
	if _, err := n.Build(ctx, typo); err == nil || !strings.Contains(err.Error(), "unknown setting buildFail") {
		t.Errorf("unknown setting: %v, want an error that names it", err)
	}
}

func TestPowerCutBootsTheBootDefault(t *testing.T) {
	t.Parallel()
	l := newIdleLab(t)
	ctx := t.Context()
	n := must[*lab.Node](t)(l.Node("web1", "10.99.0.11"))
	check(t, l.Up(ctx, must[string](t)(l.Repo().Tip()), n))
	old := must[string](t)(n.Toplevel(lab.CurrentSystem))
	kernel := must[string](t)(l.Repo().Commit("kernel", map[string]string{"roles/web.nix": "{ ... }: { kernel = \"6.12.2\"; }\n"}))
	top := must[string](t)(n.Build(ctx, kernel))
	must[string](t)(n.Run(ctx, top+"/bin/switch-to-configuration", "boot"))
	if got := must[string](t)(n.Toplevel(lab.BootDefault)); got != old {
		t.Errorf("boot default is %q, want %q: the new system is no generation", got, old)
	}

	bootID := must[string](t)(n.Read("/proc/sys/kernel/random/boot_id"))
	must[string](t)(n.Run(ctx, top+"/bin/switch-to-configuration", "test"))
	must[string](t)(n.Run(ctx, "nix-env", "--profile", lab.Profile, "--set", top))
	start := time.Now()
	check(t, n.Kill())
	check(t, n.Boot(ctx))
	t.Logf("power cut and boot: %v", time.Since(start))
	if got := must[string](t)(n.Toplevel(lab.CurrentSystem)); got != old {
		t.Errorf("after a power cut before the boot loader was written, %q runs, want %q", got, old)
	}
	if got := must[string](t)(n.Read("/proc/sys/kernel/random/boot_id")); got == bootID {
		t.Errorf("boot id is %q as before, want another one", got)
	}

	must[string](t)(n.Run(ctx, top+"/bin/switch-to-configuration", "boot"))
	if loader := must[string](t)(n.Read("/boot/loader/loader.conf")); !strings.Contains(loader, "default nixos-generation-2.conf") {
		t.Errorf("loader.conf is %q, want generation 2 as default", loader)
	}
	_, _ = n.Run(ctx, "systemctl", "reboot") // the node may be gone before the command ends
	check(t, n.WaitBoot(ctx, 3))
	for _, link := range []string{lab.CurrentSystem, lab.BootedSystem} {
		if got := must[string](t)(n.Toplevel(link)); got != top {
			t.Errorf("after a reboot %s is %q, want %q", link, got, top)
		}
	}
	check(t, n.Shutdown(ctx))
	if n.On() {
		t.Error("the node is on, want off after a shutdown")
	}
}

func TestInterruptedSwitch(t *testing.T) {
	t.Parallel()
	l := newIdleLab(t)
	ctx := t.Context()
	n := must[*lab.Node](t)(l.Node("web1", "10.99.0.11"))
	// No target wants this unit: only the switch's own list brings it back.
	const role = `{ ... }: { units."loose.service" = "[Service]\nExecStart=/bin/sleep infinity\nEnvironment=VERSION=1\n"; }`
	check(t, l.Up(ctx, must[string](t)(l.Repo().Commit("loose 1", map[string]string{"roles/web.nix": role})), n))
	must[string](t)(n.Run(ctx, "systemctl", "start", "loose"))
	commit := must[string](t)(l.Repo().Commit("loose 2", map[string]string{"roles/web.nix": strings.Replace(role, "VERSION=1", "VERSION=2", 1)}))
	top := must[string](t)(n.Build(ctx, commit))

	check(t, n.Write("/run/lab-pause", "", 0o644))
	must[string](t)(n.Run(ctx, "systemd-run", "--quiet", "--unit=trial", "--service-type=exec", top+"/bin/switch-to-configuration", "test"))
	must[string](t)(n.Run(ctx, "sh", "-c", "until [ -e /run/lab-paused ]; do sleep 0.02; done"))
	must[string](t)(n.Run(ctx, "systemctl", "kill", "--signal=KILL", "trial"))
	check(t, n.Remove("/run/lab-pause"))
	if got := must[string](t)(n.Toplevel(lab.CurrentSystem)); got != top {
		t.Errorf("current system of a switch killed after activation is %q, want %q", got, top)
	}
	if got := must[string](t)(n.Run(ctx, "systemctl", "show", "-P", "ActiveState", "loose")); got != "inactive\n" {
		t.Errorf("loose.service is %q, want inactive: the switch did not come to start it", got)
	}

	must[string](t)(n.Run(ctx, top+"/bin/switch-to-configuration", "test"))
	if got := must[string](t)(n.Run(ctx, "systemctl", "show", "-P", "ActiveState", "loose")); got != "active\n" {
		t.Errorf("after the switch was run again loose.service is %q, want active", got)
	}
	if journal := must[string](t)(n.Journal("trial")); !strings.Contains(journal, "activating the configuration") {
		t.Errorf("journal of the trial is %q, want what the switch said", journal)
	}
}
