package system

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/dbus"
	godbus "github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"

	"github.com/infra-agent/infra-agent/agent/command"
	"github.com/infra-agent/infra-agent/reconcile"
)

// aside are the units that programs run in.
const aside = "infra-agent-run-"

// A program that the agent waits for runs in a transient unit of its own: outside of the
// agent's sandbox, which it would trip over, and of its memory. The unit is started over
// the system bus and talked to through pipes. What it may do is a list of properties, see
// rights.go.

// Run runs a program that may do what root may. What the program is for is part of the
// unit's name. Elsewhere than below systemd it is a child. Output, errors and the end of
// ctx are those of [command.Run]; a unit that systemd could not start is no [*command.ExitError].
func (n *Node) Run(ctx context.Context, what string, c command.Command) ([]byte, error) {
	return n.run(ctx, aside+what, c, nil)
}

// Look runs a program that only reads files and prints what it found: it cannot write,
// nor reach the network. The rest is as in [Node.Run].
func (n *Node) Look(ctx context.Context, what string, c command.Command) ([]byte, error) {
	return n.run(ctx, aside+what, c, looks)
}

// LookAtFile is that for the file of a check, which may be one of the kernel's about the network.
func (n *Node) LookAtFile(ctx context.Context, c command.Command) ([]byte, error) {
	return n.run(ctx, aside+"check", c, checks)
}

func (n *Node) run(ctx context.Context, what string, c command.Command, rights []property) ([]byte, error) {
	if !n.Apart {
		return command.Run(ctx, c)
	}
	limit := time.Duration(0)
	if deadline, ok := ctx.Deadline(); ok { // for an agent that does not live to see it
		limit = time.Until(deadline) + reconcile.UnitGrace
	}
	env, err := environment(append(os.Environ(), c.Env...))
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", c.Args[0], err)
	}
	defer env.Close()
	all := append([]property{
		{"EnvironmentFiles", []environmentFile{{Path: fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), env.Fd())}}},
		{"WorkingDirectory", cmp.Or(c.Dir, "/")},
	}, rights...)
	if c.Memory > 0 {
		// The first stops the unit as a whole; the second lets the program say so itself.
		all = append(all, property{"MemoryMax", c.Memory + c.Memory/4}, property{"LimitAS", c.Memory}, property{"OOMScoreAdjust", int32(500)})
	}
	return n.inUnit(ctx, what, limit, c, all)
}

// inUnit runs c in a unit whose name begins with what, and stops it when ctx ends.
func (n *Node) inUnit(ctx context.Context, what string, limit time.Duration, c command.Command, rights []property) ([]byte, error) {
	name := what + "-" + strings.ToLower(rand.Text()[:8]) + ".service"
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ours, theirs, err := pipes()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", c.Args[0], err)
	}
	defer ours.close()
	var bus connection
	err = n.Bus.call(ctx, func(ctx context.Context, conn connection) error {
		_, err := conn.StartTransientUnitContext(ctx, name, "fail", append(common(c, limit, theirs), values(rights)...), nil)
		bus = conn
		return err
	})
	theirs.close()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), reconcile.BusWithin)
		defer cancel()
		bus.unref(ctx, name)
	}()
	stop := context.AfterFunc(ctx, func() {
		n.kill(name)
		ours.end()
	})
	defer stop()
	output := c.Output(cancel)
	ours.converse(c.Stdin, output)
	if ctx.Err() != nil {
		return output.Kept(), context.Cause(ctx)
	}
	state, err := n.Wait(ctx, name)
	switch {
	case err != nil:
		return output.Kept(), err
	case !state.Known:
		return output.Kept(), fmt.Errorf("%s: systemd does not know how it ended", name)
	case !state.Started:
		return output.Kept(), fmt.Errorf("start %s: systemd could not: %s, exit status %d (hint: systemd.exec(5) lists them)", c.Args[0], state.Result, state.Exit)
	}
	return output.End(state.Exit)
}

// kill ends the unit's processes; it may have ended.
func (n *Node) kill(name string) {
	ctx, cancel := context.WithTimeout(context.Background(), reconcile.BusWithin)
	defer cancel()
	_ = n.Bus.call(ctx, func(ctx context.Context, c connection) error {
		return c.KillUnitWithTarget(ctx, name, dbus.All, int32(unix.SIGKILL))
	})
}

// stdio are the ends of three pipes: standard input, output and error.
type stdio [3]*os.File

func pipes() (ours, theirs stdio, err error) {
	for i := range ours {
		r, w, err := os.Pipe()
		if err != nil {
			ours.close()
			theirs.close()
			return ours, theirs, err
		}
		if i == 0 {
			theirs[i], ours[i] = r, w
		} else {
			ours[i], theirs[i] = r, w
		}
	}
	return ours, theirs, nil
}

func (s stdio) close() {
	for _, f := range s {
		if f != nil {
			f.Close()
		}
	}
}

// end ends a conversation, also with a program that nobody could kill.
func (s stdio) end() {
	for _, f := range s {
		_ = f.SetDeadline(time.Now())
	}
}

// converse hands the program its input and takes its output, until it and all that it
// started have ended.
func (s stdio) converse(in io.Reader, out *command.Output) {
	var all sync.WaitGroup
	all.Go(func() {
		if in != nil {
			_, _ = io.Copy(s[0], in) // a program that does not read it has said why
		}
		s[0].Close()
	})
	all.Go(func() { _, _ = io.Copy(out.Stdout, s[1]) })
	all.Go(func() { _, _ = io.Copy(out.Stderr, s[2]) })
	all.Wait()
}

// environment is a file of variables, systemd.exec(5), that only root can read and that is
// gone once it is closed. Variables of a unit's own property could be read by everybody.
func environment(variables []string) (*os.File, error) {
	fd, err := unix.MemfdCreate("environment", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "environment")
	var text bytes.Buffer
	quoted := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "`", "\\`", `$`, `\$`)
	for _, variable := range variables {
		name, value, _ := strings.Cut(variable, "=")
		if !ofTheUnit(name) {
			fmt.Fprintf(&text, "%s=\"%s\"\n", name, quoted.Replace(value))
		}
	}
	if _, err := f.Write(text.Bytes()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// ofTheUnit reports whether systemd set the variable for the agent's own unit,
// systemd.exec(5).
func ofTheUnit(name string) bool {
	switch name {
	case "NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "INVOCATION_ID", "JOURNAL_STREAM", "SYSTEMD_EXEC_PID", "MEMORY_PRESSURE_WATCH",
		"MEMORY_PRESSURE_WRITE", "MANAGERPID", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "FDSTORE":
		return true
	}
	return strings.HasSuffix(name, "_DIRECTORY")
}

// common are the properties of every unit that is talked to through pipes. However it
// ends, it is no failed unit, and leaves nothing: systemd keeps how it ended only for as
// long as this connection refers to it.
func common(c command.Command, limit time.Duration, io stdio) []dbus.Property {
	all := []property{
		{"Description", "infra-agent: " + strings.Join(strings.Fields(strings.Join(c.Args, " ")), " ")}, // one line: more of them would make a unit that cannot be read again
		{"Type", "exec"},
		{"ExecStartEx", execStart(c.Args)},
		{"StandardInputFileDescriptor", godbus.UnixFD(io[0].Fd())},
		{"StandardOutputFileDescriptor", godbus.UnixFD(io[1].Fd())},
		{"StandardErrorFileDescriptor", godbus.UnixFD(io[2].Fd())},
		{"KillSignal", int32(unix.SIGKILL)}, // what the program leaves behind ends with it
		{"AddRef", true},
		{"CollectMode", "inactive-or-failed"},
		{"SuccessExitStatus", everyEnd()},
	}
	if limit > 0 {
		all = append(all, property{"RuntimeMaxUSec", uint64(limit / time.Microsecond)})
	}
	return values(all)
}

// everyEnd lists every exit status and every signal.
func everyEnd() statusSet {
	all := statusSet{}
	for code := range int32(256) {
		all.Codes = append(all.Codes, code)
	}
	for signal := int32(1); signal <= 64; signal++ {
		all.Signals = append(all.Signals, signal)
	}
	return all
}
