package nix

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/infra-agent/infra-agent/agent/command"
	"github.com/infra-agent/infra-agent/reconcile"
)

// Copy gets a system from the binary caches of the node's own settings, with all that it
// refers to, and keeps it from being garbage collected by the root of that name. Nothing is
// built, and Nix takes no path that none of the node's trusted keys has signed. No error is
// held against a commit: a cache may have it later.
func (n *Nix) Copy(ctx context.Context, want reconcile.Toplevel, root string, report func(reconcile.Progress)) error {
	if err := os.MkdirAll(n.Roots, 0o700); err != nil {
		return fmt.Errorf("copy: %w", err)
	}
	args := []string{"nix-store", "--realise", string(want), "--add-root", filepath.Join(n.Roots, root), "--log-format", "internal-json", "-v"}
	// What a cache did not have, or had signed by another, Nix would believe for an hour, or a month.
	args = append(args, "--option", "narinfo-cache-negative-ttl", "0", "--option", "narinfo-cache-positive-ttl", "0")
	log := copyLog{buildLog: newBuildLog(report)}
	_, err := n.apart(ctx, command.Command{Args: args, Dir: "/", Stderr: log.line})
	if _, ran := errors.AsType[*command.ExitError](err); ran {
		if why := log.why(); why != "" {
			return fmt.Errorf("copy %s: %s", want, why)
		}
	}
	if err != nil {
		return log.explain("copy "+string(want), err)
	}
	return nil
}

// A copyLog also reads why something was not copied: Nix ends with no more than that it was not.
type copyLog struct {
	*buildLog
	unsigned, unreachable, broken string // the first of each
	missing                       []string
	listing                       bool // paths that nobody has
}

func (l *copyLog) line(text string) {
	l.buildLog.line(text)
	var m message
	if raw, is := strings.CutPrefix(text, "@nix "); !is || json.Unmarshal([]byte(raw), &m) != nil || m.Action != "msg" {
		return
	}
	said := strings.TrimPrefix(strings.TrimPrefix(stripColour(m.Msg), "warning: "), "error: ")
	path, isPath := strings.CutPrefix(said, "  /nix/store/")
	switch {
	case l.listing && isPath:
		l.missing = append(l.missing, "/nix/store/"+path)
	case strings.HasPrefix(said, "don't know how to build these paths"):
		l.listing = true
		return
	case strings.Contains(said, "not signed by any of the keys"), strings.Contains(said, "lacks a signature by a trusted key"):
		l.unsigned = cmp.Or(l.unsigned, said)
	case strings.Contains(said, "retrying in"), strings.HasPrefix(said, "build of ") && strings.HasSuffix(said, " failed"):
	case strings.Contains(said, "unable to download"):
		l.unreachable = cmp.Or(l.unreachable, said)
	case m.Level == levelError:
		l.broken = cmp.Or(l.broken, said)
	}
	l.listing = l.listing && isPath
}

// why is the cause, as far as Nix told it.
func (l *copyLog) why() string {
	switch {
	case l.unsigned != "":
		return l.unsigned + " (hint: sign it there, or add the cache's key to this node's nix.settings.trusted-public-keys)"
	case l.broken != "":
		return l.broken
	case l.unreachable != "":
		return l.unreachable
	case len(l.missing) > 0:
		return fmt.Sprintf("no binary cache of this node has %s (hint: have it built, and copied there)", strings.Join(l.missing, ", "))
	}
	return ""
}
