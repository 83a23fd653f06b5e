// Package command is the only place that runs programs.
//
// Every program runs in a process group of its own. When the context ends the
// whole group is killed, and a grandchild that keeps the output open cannot hold
// up the caller: what was read until then is returned.
package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/infra-agent/infra-agent/reconcile"
)

// maxOutput bounds what is kept of standard output when [Command.MaxOutput] is 0.
const maxOutput = 16 << 20

// A Command is a program to run.
type Command struct {
	Args      []string     // program and arguments; never a shell string
	Dir       string       // working directory; "" is the caller's
	Env       []string     // KEY=VALUE, added to the caller's environment
	Stdin     io.Reader    // nil: /dev/null
	MaxOutput int          // bytes of standard output to accept; 0 = 16 MiB
	Memory    uint64       // most bytes of address space of each process, getrlimit(2) RLIMIT_AS; 0 = no limit
	Stderr    func(string) // called for each line of standard error, without its end; may be nil. Whoever waits for the program panics as it does
}

// An ExitError says that a program ran and did not exit 0.
type ExitError struct {
	Args []string
	Code int      // exit status; -1 when a signal ended the program
	Tail []string // the last lines of standard error
}

func (e *ExitError) Error() string {
	how := fmt.Sprintf("exit status %d", e.Code)
	if e.Code < 0 {
		how = "killed"
	}
	if len(e.Tail) == 0 {
		return fmt.Sprintf("%s: %s", e.Args[0], how)
	}
	return fmt.Sprintf("%s: %s: %s", e.Args[0], how, e.Tail[len(e.Tail)-1])
}

// Run runs c and returns its standard output.
//
// The error is an [*ExitError] when the program ran and failed, the context's
// cause when the context ended first, and otherwise why it could not be started.
func Run(ctx context.Context, c Command) ([]byte, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	cmd := exec.CommandContext(ctx, c.Args[0], c.Args[1:]...)
	cmd.Dir, cmd.Stdin = c.Dir, c.Stdin
	cmd.Env = append(os.Environ(), c.Env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = reconcile.OutputWithin
	out := c.Output(cancel)
	cmd.Stdout, cmd.Stderr = out.Stdout, out.Stderr
	if err := cmd.Start(); err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, fmt.Errorf("start %s: %w", c.Args[0], err)
	}
	if c.Memory > 0 {
		limit := unix.Rlimit{Cur: c.Memory, Max: c.Memory}
		if err := unix.Prlimit(cmd.Process.Pid, unix.RLIMIT_AS, &limit, nil); err != nil && !errors.Is(err, unix.ESRCH) { // it has ended already
			cancel(fmt.Errorf("limit the memory of %s: %w", c.Args[0], err))
		}
	}
	err := cmd.Wait()
	// What the program left behind in its group must not outlive it.
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	if ctx.Err() != nil {
		return out.Kept(), context.Cause(ctx)
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return out.End(exit.ExitCode())
	}
	if err != nil && !errors.Is(err, exec.ErrWaitDelay) {
		return out.Kept(), fmt.Errorf("run %s: %w", c.Args[0], err)
	}
	return out.End(0)
}

// Path returns the absolute path of a program on PATH.
func Path(program string) (string, error) { return exec.LookPath(program) }
