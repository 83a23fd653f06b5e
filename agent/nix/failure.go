package nix

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/infra-agent/infra-agent/agent/command"
	"github.com/infra-agent/infra-agent/reconcile"
)

// passing are texts by which Nix says that the network, the daemon or the disk
// failed, and not the configuration. Nix has no exit codes for it: everything
// is 1.
var passing = []string{
	"unable to download", "could not resolve host", "couldn't connect to server", "connection refused",
	"connection reset", "connection timed out", "timed out", "timeout was reached", "network is unreachable",
	"no route to host", "temporary failure in name resolution", "http error 429", "http error 5",
	"ssl connect error", "unexpected end-of-file", "cannot connect to daemon", "cannot connect to socket",
	"daemon disconnected", "no space left on device", "cannot allocate memory", "database is busy",
}

// passes reports whether Nix said that the network, the daemon or the disk failed. Of a
// builder's log, whose lines begin with ">", only a full disk is believed: a sandbox is
// read-only for everybody.
func passes(said []string) bool {
	lower := strings.ToLower(strings.Join(said, "\n"))
	return slices.ContainsFunc(passing, func(text string) bool { return strings.Contains(lower, text) }) ||
		slices.ContainsFunc(said, func(line string) bool {
			return !strings.HasPrefix(strings.TrimSpace(stripColour(line)), ">") && reconcile.OfDisk(line)
		})
}

// classify tells a failure of the configuration from one that passes.
func (n *Nix) classify(ctx context.Context, rev reconcile.Revision, what string, err error) error {
	exit, ran := errors.AsType[*command.ExitError](err)
	if !ran {
		return fmt.Errorf("%s: %w", what, err)
	}
	if exit.Code < 0 { // killed: out of memory, or by a person
		return fmt.Errorf("%s: nix was killed", what)
	}
	if d, ok := n.diagnose(ctx, rev, exit.Tail); ok {
		err = fmt.Errorf("%s: %s", what, d)
		if d.gate == "" {
			return err
		}
		return reconcile.Rejected(d.gate, err)
	}
	err = fmt.Errorf("%s: %s", what, explained(exit.Tail))
	if passes(exit.Tail) {
		return err
	}
	return reconcile.Rejected(reconcile.GateEvaluate, err)
}

// explained keeps of what Nix said on standard error what a person needs: from
// the last "error:" on, without the trace before it.
func explained(lines []string) string {
	var clean []string
	from := 0
	for _, l := range lines {
		l = strings.TrimSpace(stripColour(l))
		if l == "" {
			continue
		}
		if strings.HasPrefix(l, "error:") {
			from = len(clean)
		}
		clean = append(clean, l)
	}
	clean = clean[from:]
	const most = 8
	if len(clean) > most {
		clean = clean[:most]
	}
	if len(clean) == 0 {
		return "no message"
	}
	if len(clean) > 1 && clean[0] == "error:" {
		clean = clean[1:]
	}
	return strings.TrimPrefix(strings.Join(clean, "\n"), "error: ")
}

// stripColour removes terminal escapes (ECMA-48 "ESC [ … letter").
func stripColour(s string) string {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(s, "\x1b[")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		end := strings.IndexFunc(rest, func(r rune) bool { return r >= '@' && r <= '~' })
		if end < 0 {
			return b.String()
		}
		s = rest[end+1:]
	}
}
