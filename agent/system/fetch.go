package system

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/infra-agent/infra-agent/agent/command"
	"github.com/infra-agent/infra-agent/reconcile"
)

// FetchDir is the one directory that a [FetchUnit] may write to; it outlives the unit.
const FetchDir = "/var/lib/private/" + fetchUser

const (
	fetchUser   = "infra-agent-fetch"
	fetchMemory = 512 << 20 // bytes: two versions of the largest object, and what go-git makes of them
	fetchTasks  = 64
	fetchPrints = 1 << 20 // bytes of its output, and of its diagnostics
)

// A FetchUnit is work on what strangers send, in a unit without any right: a user
// of its own, no bus, no Nix, one directory.
type FetchUnit struct {
	Exec        []string
	Credentials map[string]string // files that the unit cannot read, by the name of the copy that systemd makes of them
	Limit       time.Duration
	Writes      bool // to [FetchDir]; else to nothing
	Stdin       []byte
	Stderr      func(line string)
}

// Fetch runs u, and returns its standard output, at most 1 MiB, whatever its exit
// status is: a fetch says itself what went wrong. When ctx ends, the unit is killed.
func (n *Node) Fetch(ctx context.Context, u FetchUnit) ([]byte, error) {
	said := 0
	c := command.Command{Args: u.Exec, Stdin: bytes.NewReader(u.Stdin), MaxOutput: fetchPrints, Stderr: func(line string) {
		if said += len(line); said <= fetchPrints {
			u.Stderr(line)
		}
	}}
	out, err := n.inUnit(ctx, fetchUser, u.Limit+reconcile.UnitGrace, c, u.rights())
	if _, ran := errors.AsType[*command.ExitError](err); ran {
		return out, nil
	}
	return out, err
}
