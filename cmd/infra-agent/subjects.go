package main

import (
	"context"
	"strings"

	"github.com/infra-agent/infra-agent/agent/command"
	"github.com/infra-agent/infra-agent/reconcile"
)

// subjects asks the git checkout around dir for the first lines of commits. What it does not
// know, or cannot say since it is no checkout, is left out: it is an ornament.
func subjects(ctx context.Context, dir string, commits []reconcile.Commit) map[reconcile.Commit]string {
	known := map[reconcile.Commit]string{}
	if len(commits) == 0 {
		return known
	}
	var asked strings.Builder
	for _, c := range commits {
		asked.WriteString(string(c) + "\n")
	}
	out, err := command.Run(ctx, command.Command{
		Args:  []string{"git", "-C", dir, "log", "--no-walk=unsorted", "--ignore-missing", "--no-show-signature", "--format=%H %s", "--stdin"},
		Env:   []string{"GIT_NO_LAZY_FETCH=1"}, // a partial clone would ask its remote for each one that it lacks
		Stdin: strings.NewReader(asked.String()),
	})
	if err != nil {
		return known
	}
	for line := range strings.Lines(string(out)) {
		commit, subject, _ := strings.Cut(strings.TrimSpace(line), " ")
		known[reconcile.Commit(commit)] = printable(subject)
	}
	return known
}
