package system_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/infra-agent/infra-agent/agent/command"
	"github.com/infra-agent/infra-agent/agent/system"
)

type run func(context.Context, string, command.Command) ([]byte, error)

// runners are the ways to run a program, which behave alike. That of units needs systemd:
// the lab runs these tests on one of its nodes.
var runners = map[string]run{"child": (&system.Node{}).Run}

func eachRunner(t *testing.T, test func(*testing.T, run)) {
	for name, r := range runners {
		t.Run(name, func(t *testing.T) { test(t, r) })
	}
}

func sh(script string) command.Command {
	return command.Command{Args: []string{"/bin/sh", "-c", script}, Dir: "/"}
}

func TestRunTalksToAProgram(t *testing.T) {
	eachRunner(t, func(t *testing.T, run run) {
		t.Setenv("AGENTS", "the agent's")
		var lines []string
		c := sh(`cat; printf '%s\n' "$PWD|$AGENTS|$VALUE"; echo one >&2; printf two >&2`)
		c.Dir = t.TempDir()
		c.Stdin = strings.NewReader("given\n")
		value := "a \"b\" 'c' $d `e` \\f\nsecond line = x # no comment"
		c.Env = []string{"VALUE=" + value}
		c.Stderr = func(line string) { lines = append(lines, line) }
		out, err := run(t.Context(), "test", c)
		if want := "given\n" + c.Dir + "|the agent's|" + value + "\n"; err != nil || string(out) != want {
			t.Errorf("got %q, %v, want %q", out, err, want)
		}
		if got := strings.Join(lines, "|"); got != "one|two" {
			t.Errorf("standard error: got %q", got)
		}
	})
}

func TestRunSaysHowAProgramEnded(t *testing.T) {
	eachRunner(t, func(t *testing.T, run run) {
		for script, want := range map[string]string{
			"echo out; echo because >&2; exit 3": "/bin/sh: exit status 3: because",
			"exit 203":                           "/bin/sh: exit status 203", // also what systemd says of a program that is not there
			"exit 255":                           "/bin/sh: exit status 255",
			"kill -KILL $$":                      "/bin/sh: killed",
			"kill -TERM $$":                      "/bin/sh: killed",
		} {
			_, err := run(t.Context(), "test", sh(script))
			if _, ran := errors.AsType[*command.ExitError](err); !ran || err.Error() != want {
				t.Errorf("%s: got %v, want %s", script, err, want)
			}
		}
		for range 20 { // however short it is
			if out, err := run(t.Context(), "test", sh("echo hello")); err != nil || string(out) != "hello\n" {
				t.Fatalf("got %q, %v", out, err)
			}
		}
	})
}

// A program that could not be started is not the fault of who wrote it.
func TestRunSaysThatNothingWasStarted(t *testing.T) {
	eachRunner(t, func(t *testing.T, run run) {
		_, err := run(t.Context(), "test", command.Command{Args: []string{"/no/such/program"}, Dir: "/"})
		if _, ran := errors.AsType[*command.ExitError](err); err == nil || ran || !strings.HasPrefix(err.Error(), "start /no/such/program: ") {
			t.Errorf("got %v", err)
		}
	})
}

func TestRunEndsWithItsContext(t *testing.T) {
	eachRunner(t, func(t *testing.T, run run) {
		why := errors.New("another commit")
		ctx, cancel := context.WithCancelCause(t.Context())
		c := sh(`trap "" TERM; echo begun >&2; sleep 1000 & wait; sleep 1000`)
		c.Stderr = func(string) { cancel(why) }
		if _, err := run(ctx, "test", c); !errors.Is(err, why) {
			t.Errorf("got %v, want %v", err, why)
		}
	})
}

// What a program leaves behind does not keep its caller waiting.
func TestRunEndsWithItsProgram(t *testing.T) {
	eachRunner(t, func(t *testing.T, run run) {
		if out, err := run(t.Context(), "test", sh(`(trap "" TERM; sleep 1000) & echo done`)); err != nil || string(out) != "done\n" {
			t.Errorf("got %q, %v", out, err)
		}
	})
}

func TestRunBoundsWhatIsPrinted(t *testing.T) {
	eachRunner(t, func(t *testing.T, run run) {
		c := sh(`yes`)
		c.MaxOutput = 1000
		if _, err := run(t.Context(), "test", c); err == nil || err.Error() != "/bin/sh: printed more than 1000 bytes" {
			t.Errorf("got %v", err)
		}
	})
}

func TestRunBoundsMemory(t *testing.T) {
	eachRunner(t, func(t *testing.T, run run) {
		c := sh(`while [ "$(ulimit -v)" = unlimited ]; do :; done; ulimit -v`) // a child is limited just after its start
		c.Memory = 64 << 20
		if out, err := run(t.Context(), "test", c); err != nil || string(out) != fmt.Sprintln(64<<10) {
			t.Errorf("got %q, %v, want the limit in KiB", out, err)
		}
	})
}

func TestAVariableIsOnlyRoots(t *testing.T) {
	eachRunner(t, func(t *testing.T, run run) {
		c := sh(`test "$TOKEN" = hunter2 && unit=$(sed 's/.*\///' /proc/self/cgroup) && { systemctl show "$unit" 2>/dev/null || true; }; cat /proc/$PPID/environ 2>/dev/null || true`)
		c.Env = []string{"TOKEN=hunter2"}
		out, err := run(t.Context(), "test", c)
		if err != nil || strings.Contains(string(out), "hunter2") {
			t.Errorf("got %v, and the value can be read: %t", err, strings.Contains(string(out), "hunter2"))
		}
	})
}
