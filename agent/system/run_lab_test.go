//go:build integration

package system_test

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/infra-agent/infra-agent/agent/command"
	"github.com/infra-agent/infra-agent/agent/system"
	"github.com/infra-agent/infra-agent/reconcile"
)

func init() {
	runners["unit"] = (&system.Node{Bus: &system.Bus{}, Apart: true}).Run
}

func TestALookChangesNothing(t *testing.T) {
	n := &system.Node{Bus: &system.Bus{}, Apart: true}
	secret := t.TempDir() + "/secret"
	if err := os.WriteFile(secret, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(secret, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	if out, err := n.Look(t.Context(), "test", sh("cat "+secret)); err != nil || string(out) != "x" {
		t.Errorf("another user's file: got %q, %v", out, err)
	}
	for _, path := range []string{secret, "/etc/made", "/root/made", "/var/lib/made"} {
		if _, err := n.Look(t.Context(), "test", sh("echo y > "+path)); err == nil {
			t.Errorf("it could write %s", path)
		}
	}
	if _, err := os.Stat("/etc/made"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if out, err := n.Look(t.Context(), "test", sh("sed 1,2d /proc/net/dev")); err != nil || strings.Count(string(out), ":") != 1 || !strings.Contains(string(out), "lo:") {
		t.Errorf("its network is %q, %v, want the loopback alone", out, err)
	}
}

// A check of a file sees the machine's network, and may use none of it.
func TestALookAtAFile(t *testing.T) {
	n := &system.Node{Bus: &system.Bus{}, Apart: true}
	network := sh("ls /sys/class/net; cut -d: -f1 /proc/net/dev")
	want, err := command.Run(t.Context(), network)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := n.LookAtFile(t.Context(), network); err != nil || string(got) != string(want) {
		t.Errorf("its network is %q, %v, want %q", got, err, want)
	}
	if _, err := n.LookAtFile(t.Context(), sh("cat /etc/shadow")); err != nil {
		t.Errorf("it cannot read what only root can: %v", err)
	}
	for _, script := range []string{"echo y > /etc/made", "rm /etc/hostname", "busctl --system list", "exec bash -c 'echo > /dev/udp/127.0.0.1/9'"} {
		if _, err := n.LookAtFile(t.Context(), sh(script)); err == nil {
			t.Errorf("it could %s", script)
		}
	}
}

// Who is told gets the message and its secret, and may do nothing else.
func TestATellHasNoRights(t *testing.T) {
	n := &system.Node{Bus: &system.Bus{}, Apart: true}
	secret := t.TempDir() + "/secret"
	if err := os.WriteFile(secret, []byte("hunter2"), 0o600); err != nil {
		t.Fatal(err)
	}
	tell := func(script, secret string) error {
		return n.Tell(t.Context(), []string{"/bin/sh", "-c", script}, secret, []byte("it happened"))
	}
	if err := tell(`test "$(cat)" = "it happened" && test "$(cat "$CREDENTIALS_DIRECTORY/secret")" = hunter2 && test "$(id -u)" -ge 61184`, secret); err != nil {
		t.Errorf("it was not told: %v", err)
	}
	if err := tell(`test -z "$CREDENTIALS_DIRECTORY" && echo x >/tmp/mine`, ""); err != nil {
		t.Errorf("without a secret, and into its own /tmp: %v", err)
	}
	for _, script := range []string{
		"cat " + secret, "echo x >/etc/made", "echo x >/var/lib/made", "ls /root", "busctl --system list", "kill -0 1",
		"yes", // it says too much
	} {
		if err := tell(script, ""); err == nil {
			t.Errorf("it could %s", script)
		}
	}
	if err := tell("echo because >&2; exit 3", ""); err == nil || err.Error() != "/bin/sh: exit status 3: because" {
		t.Errorf("it failed, and that is %v", err)
	}
	if err := tell("true", "/run/none"); err == nil || !strings.Contains(err.Error(), "systemd could not") {
		t.Errorf("its secret is missing, and that is %v", err)
	}
	if _, err := os.Stat("/tmp/mine"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("its /tmp is everybody's: %v", err)
	}
}

// A switch that systemd cannot start was not begun: that is a hold, and not the commit's fault.
func TestALookAtASwitchThatWasNotBegun(t *testing.T) {
	n := &system.Node{Bus: &system.Bus{}, Apart: true}
	top := t.TempDir()
	if err := os.MkdirAll(top+"/bin", 0o755); err != nil {
		t.Fatal(err)
	}
	program := top + "/bin/switch-to-configuration"
	if err := os.WriteFile(program, []byte("#!/bin/sh\nexit 2\n"), 0o600); err != nil { // which nobody may run
		t.Fatal(err)
	}
	d := reconcile.Deployment{ID: "unbegun", New: reconcile.System{Toplevel: reconcile.Toplevel(top)}}
	begin := func(start func() error) error { return start() }
	a, err := n.Trial(t.Context(), d, 1, begin)
	if err != nil || a.Hold != reconcile.GatePreflight || a.Exit != -1 || !strings.Contains(a.Why, "could not start "+program) {
		t.Errorf("got %+v, %v", a, err)
	}
	if err := os.Chmod(program, 0o700); err != nil {
		t.Fatal(err)
	}
	d.ID = "begun"
	a, err = n.Trial(t.Context(), d, 1, begin)
	if err != nil || a.Hold != "" || a.Exit != 2 {
		t.Errorf("a switch that was begun, and exits 2: got %+v, %v", a, err)
	}
}

// systemd reads its units anew when it reloads, as each activation has it do, those that
// were begun over the bus included.
func TestALookThroughAReload(t *testing.T) {
	n := &system.Node{Bus: &system.Bus{}, Apart: true}
	_, err := n.Run(t.Context(), "test", sh("systemctl daemon-reload\n[ -e /run ] && sleep 0.5\n[Service]\nexit 3"))
	if exit, ran := errors.AsType[*command.ExitError](err); !ran || exit.Code != 3 {
		t.Errorf("got %v, want exit status 3", err)
	}
	if left, err := n.Leftovers(t.Context()); err != nil || slices.ContainsFunc(left, func(u string) bool { return strings.Contains(u, "run-test") }) {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// Which units are judged, by what a real systemd says of them.
func TestALookAtUnits(t *testing.T) {
	const dir = "/run/systemd/system/"
	for name, text := range map[string]string{
		"lab-loop.service":   "[Unit]\nStartLimitIntervalSec=0\n[Service]\nExecStart=/bin/false\nRestart=always\nRestartSec=50ms\n",
		"lab-once.service":   "[Service]\nExecStart=/bin/sh -c 'test -e /run/lab-once && exec sleep infinity; touch /run/lab-once; exit 1'\nRestart=always\nRestartSec=50ms\n",
		"lab-new.service":    "[Service]\nExecStart=/bin/sleep infinity\n",
		"lab-idle.service":   "[Service]\nExecStart=/bin/true\n",
		"lab-idle.socket":    "[Socket]\nListenStream=/run/lab-idle\n",
		"lab-job.service":    "[Service]\nType=oneshot\nExecStart=/bin/true\n",
		"lab-off.service":    "[Service]\nType=oneshot\nRemainAfterExit=true\nExecStart=/bin/true\n",
		"lab-bad.service":    "[Service]\nType=oneshot\nExecStart=/bin/false\n",
		"lab-timed@.service": "[Service]\nType=oneshot\nExecStart=/bin/false\n",
		"lab-timed@.timer":   "[Timer]\nOnActiveSec=50ms\n",
	} {
		if err := os.WriteFile(dir+name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	n := &system.Node{Bus: &system.Bus{}, Apart: true}
	do := func(script string) {
		t.Helper()
		if out, err := exec.CommandContext(t.Context(), "/bin/sh", "-ec", script).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	do(`cd ` + dir + `; ln -s lab-new.service lab-old.service; ln -s lab-bad.service lab-was-bad.service; mkdir -p multi-user.target.wants
ln -s ../lab-idle.service ../lab-new.service ../lab-job.service ../lab-off.service multi-user.target.wants/
systemctl daemon-reload
systemctl start lab-new lab-once lab-idle.socket lab-idle lab-job lab-off
systemctl stop lab-off
systemctl start lab-bad || true
systemctl start --no-block lab-loop lab-timed@a.timer
until [ "$(systemctl is-failed lab-timed@a.service)" = failed ] && [ "$(systemctl show -P NRestarts lab-loop)" -ge 3 ] && [ "$(systemctl show -P NRestarts lab-once)" = 1 ] &&
  [ "$(systemctl is-active lab-idle.service)" = inactive ] && [ "$(systemctl is-active lab-once)" = active ]; do sleep 0.05; done`)
	was := []string{"lab-old.service", "lab-idle.service", "lab-job.service", "lab-off.service"}
	both := reconcile.System{Toplevel: reconcile.Toplevel(t.TempDir())} // bring these units
	do(`mkdir -p ` + string(both.Toplevel) + `/etc/systemd/system; cd ` + dir + `; cp lab-timed@.service lab-bad.service ` + string(both.Toplevel) + `/etc/systemd/system`)
	u, err := n.Units(t.Context(), reconcile.Deployment{Old: both, New: both}, was)
	if err != nil {
		t.Fatal(err)
	}
	has := func(what string, list []string, unit string, want bool) {
		t.Helper()
		if got := slices.Contains(list, unit); got != want {
			t.Errorf("%s is among what %s: %v, want %v (%v)", unit, what, got, want, list)
		}
	}
	has("failed", u.Failed, "lab-bad.service", true)
	has("no commit broke", u.Outside, "lab-timed@a.service", true)
	has("no commit broke", u.Outside, "lab-bad.service", false)
	has("keeps restarting", u.Restarting, "lab-loop.service", true)
	has("keeps restarting", u.Restarting, "lab-once.service", false)
	has("is an alias of lab-bad.service", u.Aliases["lab-bad.service"], "lab-was-bad.service", true)
	has("is active", u.Active, "lab-new.service", true)
	has("stopped", u.Stopped, "lab-old.service", false)  // it goes on under its other name
	has("stopped", u.Stopped, "lab-idle.service", false) // its socket listens
	has("stopped", u.Stopped, "lab-job.service", false)  // it has done its work
	has("stopped", u.Stopped, "lab-off.service", true)
	if count, known := u.Restarts["lab-new.service"]; !known || count != 0 || u.Restarts["lab-once.service"] != 1 {
		t.Errorf("restarts are %v", u.Restarts)
	}
	do("systemctl stop lab-idle.socket lab-loop")
	if u, err = n.Units(t.Context(), reconcile.Deployment{}, was); err != nil {
		t.Fatal(err)
	}
	has("stopped", u.Stopped, "lab-idle.service", true)
}
