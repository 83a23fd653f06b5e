package system

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/infra-agent/infra-agent/agent/command"
)

// aside are the units that programs run in.
const aside = "infra-agent-run-"

// Run runs a program in a transient unit of its own, systemd-run(1): outside of the
// agent's sandbox, which such a program would trip over, and of its memory. What
// the program is for is part of the unit's name. Elsewhere than below systemd it
// is a child. Output, errors and the end of ctx are those of [command.Run].
func (n *Node) Run(ctx context.Context, what string, c command.Command) ([]byte, error) {
	if !n.Apart {
		return command.Run(ctx, c)
	}
	unit := aside + what + "-" + strings.ToLower(rand.Text()[:8]) + ".service"
	program := c.Args
	c.Args, c.Memory = append(systemdRun(ctx, unit, c), program...), 0
	out, err := command.Run(ctx, c)
	if ctx.Err() != nil { // systemd-run is gone, the unit is not
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		if stop := n.Stop(ctx, unit); stop != nil {
			err = errors.Join(err, stop)
		}
	}
	if exit, ok := errors.AsType[*command.ExitError](err); ok {
		exit.Args = program
		if exit.Code == exitException {
			exit.Code = -1
		}
	}
	return out, err
}

// exitException is how systemd-run exits when a signal ended the program.
const exitException = 255

func systemdRun(ctx context.Context, unit string, c command.Command) []string {
	args := []string{
		"systemd-run", "--quiet", "--collect", "--wait", "--pipe", "--service-type=exec", "--unit=" + unit,
		"--working-directory=" + cmp.Or(c.Dir, "/"), "--property=KillMode=control-group",
	}
	if deadline, ok := ctx.Deadline(); ok { // for an agent that does not live to see it
		args = append(args, fmt.Sprintf("--property=RuntimeMaxSec=%d", int(time.Until(deadline).Seconds())+10))
	}
	if c.Memory > 0 {
		// The first stops the unit as a whole; the second lets the program say so itself.
		args = append(args, fmt.Sprintf("--property=MemoryMax=%d", c.Memory+c.Memory/4), fmt.Sprintf("--property=LimitAS=%d", c.Memory), "--property=OOMScoreAdjust=500")
	}
	for _, variable := range append(os.Environ(), c.Env...) {
		if name, _, _ := strings.Cut(variable, "="); !ofTheUnit(name) {
			args = append(args, "--setenv="+name) // without the value, which others could read
		}
	}
	return append(args, "--")
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
