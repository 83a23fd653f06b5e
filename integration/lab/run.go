package lab

import (
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// environment is what commands see on a node.
var environment = []string{
	"PATH=/run/current-system/sw/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin",
	"HOME=/root",
	"LANG=C.UTF-8",
}

// CommandError is a command that a node ran and that did not exit with 0.
type CommandError struct {
	Node    string
	Command []string
	Code    int // -1: it was killed
	Stdout  string
	Stderr  string
}

func (e *CommandError) Error() string {
	return fmt.Sprintf("%s: %s: exit code %d: %s", e.Node, strings.Join(e.Command, " "), e.Code, strings.TrimSpace(e.Stderr+e.Stdout))
}

// Run runs a command as root on the node, in its namespaces and in the control group of its PID 1, and returns what it
// prints. Where it does not exit with 0, the error is a *CommandError.
func (n *Node) Run(ctx context.Context, command ...string) (string, error) {
	init, err := n.pid1()
	if err != nil {
		return "", fmt.Errorf("run %s: %w", strings.Join(command, " "), err)
	}
	groups, err := groupsOf(init)
	if err != nil {
		return "", fmt.Errorf("%s: run %s: %w", n.name, strings.Join(command, " "), err)
	}
	enter := []string{"nsenter", "--target", strconv.Itoa(init), "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--wd=/", "--"}
	return n.output(commandIn(ctx, groups, append(enter, command...)...), command)
}

// Enter returns a shell command that gives a person a shell on the node, with the programs of its system.
func (n *Node) Enter() (string, error) {
	init, err := n.pid1()
	return fmt.Sprintf("nsenter --target %d --mount --uts --ipc --net --pid --cgroup --wd=/ env PATH=%s/sw/bin:/usr/sbin:/usr/bin:/sbin:/bin sh", init, CurrentSystem), err
}

// output runs cmd, which runs command on the node.
func (n *Node) output(cmd *exec.Cmd, command []string) (string, error) {
	cmd.Env = environment
	cmd.WaitDelay = time.Second // a daemon that the command left behind may hold its output open
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); cmd.ProcessState == nil {
		return "", fmt.Errorf("%s: run %s: %w", n.name, strings.Join(command, " "), err)
	}
	if code := cmd.ProcessState.ExitCode(); code != 0 {
		return stdout.String(), &CommandError{n.name, command, code, stdout.String(), stderr.String()}
	}
	return stdout.String(), nil
}
