package command_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/infra-agent/infra-agent/agent/command"
)

func sh(script string, args ...string) command.Command {
	return command.Command{Args: append([]string{"/bin/sh", "-c", script, "sh"}, args...)}
}

func TestRunReturnsStandardOutput(t *testing.T) {
	dir := t.TempDir()
	c := sh(`cat; echo "$PWD $WORD $1"; echo aside >&2`, "an argument; with $shell `text`")
	c.Dir, c.Env, c.Stdin = dir, []string{"WORD=from-env"}, strings.NewReader("from stdin\n")
	out, err := command.Run(t.Context(), c)
	want := "from stdin\n" + dir + " from-env an argument; with $shell `text`\n"
	if err != nil || string(out) != want {
		t.Errorf("Run() = %q, %v, want %q", out, err, want)
	}
}

func TestEnvironmentIsAddedTo(t *testing.T) {
	t.Setenv("KEPT", "kept")
	t.Setenv("CHANGED", "before")
	c := sh(`echo "$KEPT $CHANGED"`)
	c.Env = []string{"CHANGED=after"}
	if out, err := command.Run(t.Context(), c); string(out) != "kept after\n" || err != nil {
		t.Errorf("Run() = %q, %v, want the caller's environment with the change", out, err)
	}
}

func TestStandardErrorComesByLines(t *testing.T) {
	var got []string
	c := sh(`printf 'one\n\ntwo\r\nthree' >&2`)
	c.Stderr = func(line string) { got = append(got, line) }
	if _, err := command.Run(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if want := []string{"one", "two", "three"}; !slices.Equal(got, want) {
		t.Errorf("got lines %q, want %q", got, want)
	}
}

func TestFailureHasCodeAndTail(t *testing.T) {
	tests := []struct {
		script, want string
		code, tail   int
	}{
		{`echo out; echo first >&2; echo why it failed >&2; exit 7`, "/bin/sh: exit status 7: why it failed", 7, 2},
		{`exit 1`, "/bin/sh: exit status 1", 1, 0},
		{`echo last words >&2; kill -9 $$`, "/bin/sh: killed: last words", -1, 1},
		{`i=0; while [ $i -lt 50 ]; do echo line $i >&2; i=$((i+1)); done; exit 4`, "/bin/sh: exit status 4: line 49", 4, 40},
	}
	for _, tt := range tests {
		_, err := command.Run(t.Context(), sh(tt.script))
		exit, ok := errors.AsType[*command.ExitError](err)
		if !ok {
			t.Errorf("%s: got %v, want an ExitError", tt.script, err)
			continue
		}
		if exit.Error() != tt.want || exit.Code != tt.code || len(exit.Tail) != tt.tail {
			t.Errorf("%s: got %q, code %d, tail %q, want %q, code %d, %d lines", tt.script, exit, exit.Code, exit.Tail, tt.want, tt.code, tt.tail)
		}
		if tt.tail == 40 && exit.Tail[0] != "line 10" {
			t.Errorf("the tail begins with %q, want the last 40 lines", exit.Tail[0])
		}
	}
}

func TestOutputOfAFailedProgramIsReturned(t *testing.T) {
	out, err := command.Run(t.Context(), sh(`echo half; exit 1`))
	if string(out) != "half\n" || err == nil {
		t.Errorf("Run() = %q, %v, want the output and an error", out, err)
	}
}

func TestAMissingProgram(t *testing.T) {
	_, err := command.Run(t.Context(), command.Command{Args: []string{"/no/such/program"}})
	if !errors.Is(err, os.ErrNotExist) || !strings.HasPrefix(err.Error(), "start /no/such/program: ") {
		t.Errorf("got %v, want that it does not exist", err)
	}
	if _, ran := errors.AsType[*command.ExitError](err); ran {
		t.Errorf("%v is an ExitError, but nothing ran", err)
	}
	if _, err := command.Path("no-such-program"); !errors.Is(err, exec.ErrNotFound) {
		t.Errorf("Path() = %v, want %v", err, exec.ErrNotFound)
	}
}

func TestOutputIsBounded(t *testing.T) {
	exact := sh(`printf 12345678`)
	exact.MaxOutput = 8
	if out, err := command.Run(t.Context(), exact); string(out) != "12345678" || err != nil {
		t.Errorf("8 bytes of at most 8: got %q, %v", out, err)
	}
	more := sh(`printf 123456789; exec sleep 1000`)
	more.MaxOutput = 8
	if _, err := command.Run(t.Context(), more); err == nil || err.Error() != "/bin/sh: printed more than 8 bytes" {
		t.Errorf("9 bytes of at most 8: got %v, want an error, and the program killed", err)
	}
	_, err := command.Run(t.Context(), sh(`exec cat /dev/zero`))
	if err == nil || err.Error() != "/bin/sh: printed more than 16777216 bytes" {
		t.Errorf("without end: got %v, want the default limit of 16 MiB", err)
	}
}

func TestLongLinesAreCut(t *testing.T) {
	var got []string
	c := sh(`head -c 100000 /dev/zero | tr '\0' x >&2; echo >&2; echo next >&2`)
	c.Stderr = func(line string) { got = append(got, line) }
	if _, err := command.Run(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || len(got[0]) != 64<<10 || got[1] != "next" {
		t.Errorf("got %d lines, the first of %d bytes, want 2, the first of 65536", len(got), len(got[0]))
	}
}

// What reads the lines runs beside whoever waits for the program: a panic there would end
// the agent, and here it is the caller's, who recovers it.
func TestAPanicIsTheCallers(t *testing.T) {
	lines := 0
	c := sh(`echo one >&2; echo two >&2`)
	c.Stderr = func(string) { lines++; panic("index out of range") }
	defer func() {
		if bug := recover(); bug != "index out of range" || lines != 1 {
			t.Errorf("recovered %v after %d lines", bug, lines)
		}
	}()
	_, err := command.Run(t.Context(), c)
	t.Errorf("it did not panic: %v", err)
}

// The program's children are killed with it, and one that keeps the output open
// holds nobody up.
func TestTheEndOfTheContextKillsTheWholeGroup(t *testing.T) {
	pidFile := filepath.Join(t.TempDir(), "pid")
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("superseded")
	c := sh(`sleep 1000 & echo $! > "$1.new"; mv "$1.new" "$1"; echo started >&2; wait`, pidFile)
	c.Stderr = func(string) { cancel(why) }
	out, err := command.Run(ctx, c)
	if !errors.Is(err, why) {
		t.Errorf("Run() = %q, %v, want the context's cause", out, err)
	}
	waitGone(t, pidFile)
}

func TestNothingStartsAfterTheContextEnded(t *testing.T) {
	why := errors.New("superseded")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	if _, err := command.Run(ctx, sh("exit 0")); !errors.Is(err, why) {
		t.Errorf("got %v, want the context's cause", err)
	}
}

func TestADeadlineIsNamed(t *testing.T) {
	why := fmt.Errorf("not done within %v", 50*time.Millisecond)
	ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, why)
	defer cancel()
	if _, err := command.Run(ctx, sh(`exec sleep 1000`)); !errors.Is(err, why) {
		t.Errorf("got %v, want %v", err, why)
	}
}

func TestWhatAProgramLeavesBehindEndsWithIt(t *testing.T) {
	pidFile := filepath.Join(t.TempDir(), "pid")
	out, err := command.Run(t.Context(), sh(`sleep 1000 & echo $! > "$1"; echo done`, pidFile))
	if string(out) != "done\n" || err != nil {
		t.Errorf("Run() = %q, %v, want what the program itself said", out, err)
	}
	waitGone(t, pidFile)
}

// waitGone waits until the process in the file has ended.
func waitGone(t *testing.T, pidFile string) {
	t.Helper()
	text, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(fd) }()
	const patience = 20_000 // milliseconds; only a failing test waits that long
	if n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, patience); n != 1 {
		_ = unix.Kill(pid, unix.SIGKILL)
		t.Errorf("the grandchild %d still runs (%v)", pid, err)
	}
}

func TestMemoryIsLimited(t *testing.T) {
	// The shell waits until the limit is there: it is set just after the start.
	const script = `while [ "$(ulimit -v)" = unlimited ]; do :; done; ulimit -v`
	out, err := command.Run(t.Context(), command.Command{Args: []string{"/bin/sh", "-c", script}, Memory: 64 << 20})
	if err != nil || string(out) != "65536\n" {
		t.Errorf("ulimit -v says %q, %v, want 65536 KiB", out, err)
	}
}
