package system

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"strings"
	"syscall"

	"github.com/infra-agent/infra-agent/agent/command"
	"github.com/infra-agent/infra-agent/reconcile"
)

// Secrets looks whether the files that roles need are there, not empty, and out of
// the reach of others. It never reads them. Everything amiss comes back as one
// error, rejected by [reconcile.GateSecrets].
func (n *Node) Secrets(ctx context.Context, secrets []reconcile.Secret) error {
	if len(secrets) == 0 {
		return nil
	}
	amiss, err := n.amissApart(ctx, secrets)
	if err != nil {
		return fmt.Errorf("secrets: %w", err)
	}
	if len(amiss) == 0 {
		return nil
	}
	return reconcile.Rejected(reconcile.GateSecrets, fmt.Errorf("secrets: %s", strings.Join(amiss, "; ")))
}

// amissApart looks from outside of the agent's sandbox, which hides homes and cannot
// enter the directories of other users.
func (n *Node) amissApart(ctx context.Context, secrets []reconcile.Secret) (amiss []string, err error) {
	if !n.Apart {
		return n.Amiss(secrets), nil
	}
	in, err := json.Marshal(secrets)
	if err != nil {
		return nil, err
	}
	out, err := n.Look(ctx, "secrets", command.Command{Args: n.LookAtSecrets, Stdin: bytes.NewReader(in), Dir: "/"})
	if err != nil {
		return nil, err
	}
	return amiss, json.Unmarshal(out, &amiss)
}

// Amiss says of each secret that is not as it should be what is wrong with it, as
// this process sees the file system.
func (n *Node) Amiss(secrets []reconcile.Secret) []string {
	var amiss []string
	for _, s := range secrets {
		if why := n.secret(s); why != "" {
			amiss = append(amiss, s.Path+" "+why)
		}
	}
	return amiss
}

func (n *Node) secret(s reconcile.Secret) (amiss string) {
	info, err := os.Stat(n.Root + s.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "is missing"
	case err != nil:
		return "cannot be looked at: " + err.Error()
	case !info.Mode().IsRegular():
		return "is not a file"
	case info.Size() == 0:
		return "is empty"
	}
	owner := info.Sys().(*syscall.Stat_t)
	if name := userName(owner.Uid); s.Owner != "" && s.Owner != name {
		return fmt.Sprintf("belongs to user %s, want %s", name, s.Owner)
	}
	if name := groupName(owner.Gid); s.Group != "" && s.Group != name {
		return fmt.Sprintf("belongs to group %s, want %s", name, s.Group)
	}
	mode := fmt.Sprintf("%04o", info.Mode().Perm())
	if s.Mode == "" && info.Mode().Perm()&0o007 != 0 {
		return fmt.Sprintf("has mode %s, which lets everybody in (hint: chmod o= it, or give its mode in the registry)", mode)
	}
	if s.Mode != "" && s.Mode != mode {
		return fmt.Sprintf("has mode %s, want %s", mode, s.Mode)
	}
	return ""
}

// userName returns the user's name; without one, its number.
func userName(id uint32) string {
	number := strconv.FormatUint(uint64(id), 10)
	if u, err := user.LookupId(number); err == nil {
		return u.Username
	}
	return number
}

func groupName(id uint32) string {
	number := strconv.FormatUint(uint64(id), 10)
	if g, err := user.LookupGroupId(number); err == nil {
		return g.Name
	}
	return number
}

// Exec runs a command of the registry, such as one that drains the node. The error
// has the last lines of its output.
func (n *Node) Exec(ctx context.Context, argv []string) error {
	_, err := n.Run(ctx, "command", command.Command{Args: argv, Dir: "/"})
	return err
}
