package system

import (
	"bytes"
	"context"
	"fmt"

	"github.com/infra-agent/infra-agent/agent/command"
	"github.com/infra-agent/infra-agent/reconcile"
)

const (
	tellUser   = "infra-agent-notify"
	tellMemory = 256 << 20 // bytes
	tellTasks  = 64
	tellPrints = 64 << 10 // bytes of its output, of which nothing is used
)

// Tell runs a program of the operator's that gets a message on standard input, in a unit without any right: it may talk to
// the network, read what everybody may read, and write to a /tmp of its own. With a secret, that file is
// $CREDENTIALS_DIRECTORY/secret. It must end well within a minute. It has nothing to do with a deployment, so
// nobody tidies its unit up.
func (n *Node) Tell(ctx context.Context, argv []string, secret string, message []byte) error {
	ctx, cancel := context.WithTimeoutCause(ctx, reconcile.TellWithin, fmt.Errorf("it did not end within %v", reconcile.TellWithin))
	defer cancel()
	_, err := n.run(ctx, tellUser, command.Command{Args: argv, Stdin: bytes.NewReader(message), MaxOutput: tellPrints}, tells(secret))
	return err
}

// tells are the rights of such a program. It may be a script of any language, so it may make code while it runs.
func tells(secret string) []property {
	all := append([]property{
		{"Description", "infra-agent: tell what happened"},
		{"User", tellUser},
		{"LogLevelMax", int32(5)}, // notice
		{"RestrictAddressFamilies", list{true, []string{"AF_INET", "AF_INET6", "AF_UNIX"}}}, // names are looked up by way of a socket
		{"SystemCallFilter", list{true, []string{"@system-service"}}},
		{"SystemCallFilter", list{false, []string{"@privileged", "@resources"}}}, // after what is allowed
		{"MemoryMax", uint64(tellMemory)},
		{"TasksMax", uint64(tellTasks)},
		{"LimitCORE", uint64(0)},
	}, unprivileged...)
	if secret != "" {
		all = append(all, property{"LoadCredential", []credential{{"secret", secret}}})
	}
	return all
}
