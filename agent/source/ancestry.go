package source

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
)

const (
	deepenFirst = 16   // commits to get first when the store has lost the anchor
	deepenBy    = 8    // times as many at each further step
	deepenMost  = 8192 // commits: with more between them, a person decides
)

// descend shows that the tip descends from the anchor, and returns how many
// commits are between them along first parents. It deepens the store when that
// has lost the anchor. Without an anchor every tip will do, and where a rewind is
// allowed one that does not descend: rewound says so.
func (r *remote) descend(ctx context.Context, s *store, tip, anchor plumbing.Hash) (commits int, rewound bool, err error) {
	if anchor.IsZero() {
		return 0, false, nil
	}
	for depth := deepenFirst; ; depth *= deepenBy {
		h := history{s}
		seen, missing, err := h.ancestors(tip)
		switch {
		case err != nil:
			return 0, false, err
		case seen[anchor]:
			commits, err = h.firstParents(tip, anchor)
			return commits, false, err
		case r.AllowRewind == r.Tip:
			return 0, true, nil
		case len(missing) == 0:
			return 0, false, refused("%w", r.diverged())
		}
		there, err := s.has(anchor)
		switch {
		case err != nil:
			return 0, false, err
		case there: // all that is between them would have come, had the server sent it
			return 0, false, suspected("%w", r.diverged())
		case depth > deepenMost:
			what, wayOn := r.whatBase()
			return 0, false, suspected("%w, or too far away: %s, %s, is not among the last %d commits before %s (hint: if the branch is right, %s)",
				errDiverged, r.base().Short(), what, depth/deepenBy, r.Tip.Short(), wayOn)
		}
		if err := r.transfer(ctx, s, tip, depth); err != nil {
			return 0, false, err
		}
	}
}

var errDiverged = errors.New("diverged")

func (r *remote) diverged() error {
	what, wayOn := r.whatBase()
	return fmt.Errorf("%w: %s does not descend from %s, %s (hint: if the branch was rewritten on purpose, %s)",
		errDiverged, r.Tip.Short(), r.base().Short(), what, wayOn)
}

// whatBase says what the base of the history is to a person, and how to get another one.
func (r *remote) whatBase() (what, wayOn string) {
	if r.Anchor == "" {
		return "which trust.introduction names", "name a commit of the branch there, and switch to that on the node by nixos-rebuild"
	}
	return "the last accepted commit", fmt.Sprintf("run \"infra-agent allow-rewind %s\"", r.Tip)
}

// A history walks the commits of a store. It believes nothing but the commits, whose
// names are those of their parents: what a server calls shallow proves nothing.
type history struct{ store *store }

// ancestors returns from and every commit before it that the store has, and the
// parents among them that it lacks.
func (h history) ancestors(from plumbing.Hash) (seen, missing map[plumbing.Hash]bool, err error) {
	return h.since(from, nil)
}

// since is as ancestors, but does not go beyond the old commits.
func (h history) since(from plumbing.Hash, old map[plumbing.Hash]bool) (seen, missing map[plumbing.Hash]bool, err error) {
	seen, missing = map[plumbing.Hash]bool{}, map[plumbing.Hash]bool{}
	for todo := []plumbing.Hash{from}; len(todo) > 0; {
		next := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if seen[next] || old[next] {
			continue
		}
		there, err := h.store.has(next)
		if err != nil {
			return nil, nil, err
		}
		if !there {
			missing[next] = true
			continue
		}
		seen[next] = true
		commit, err := h.store.commit(next)
		if err != nil {
			return nil, nil, err
		}
		todo = append(todo, commit.ParentHashes...)
	}
	return seen, missing, nil
}

// newer returns those of the commits that come after anchor, which a walk found
// above it: they cannot be part of its history.
func (h history) newer(commits map[plumbing.Hash]bool, anchor plumbing.Hash) (map[plumbing.Hash]bool, error) {
	children := map[plumbing.Hash][]plumbing.Hash{}
	for name := range commits {
		commit, err := h.store.commit(name)
		if err != nil {
			return nil, err
		}
		for _, parent := range commit.ParentHashes {
			children[parent] = append(children[parent], name)
		}
	}
	newer := map[plumbing.Hash]bool{}
	for todo := []plumbing.Hash{anchor}; len(todo) > 0; {
		next := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, child := range children[next] {
			if !newer[child] {
				newer[child] = true
				todo = append(todo, child)
			}
		}
	}
	return newer, nil
}

// oldest returns that of the commits which none of the others comes before; of two
// lines of history, by the committers' dates. It does not look beyond the old commits.
func (h history) oldest(commits []plumbing.Hash, old map[plumbing.Hash]bool) (plumbing.Hash, error) {
	dates := map[plumbing.Hash]time.Time{}
	for _, name := range commits {
		commit, err := h.store.commit(name)
		if err != nil {
			return plumbing.ZeroHash, err
		}
		dates[name] = commit.Committer.When
	}
	byDate := func(a, b plumbing.Hash) int {
		return cmp.Or(dates[a].Compare(dates[b]), bytes.Compare(a[:], b[:]))
	}
	for {
		first := slices.MinFunc(commits, byDate)
		before, _, err := h.since(first, old)
		if err != nil {
			return plumbing.ZeroHash, err
		}
		commits = slices.DeleteFunc(commits, func(c plumbing.Hash) bool { return c == first || !before[c] })
		if len(commits) == 0 {
			return first, nil
		}
	}
}

// firstParents counts the commits from tip along first parents that are not part
// of the anchor's history: what "git rev-list --first-parent --count anchor..tip"
// says in the store, which may not know all of the anchor's history.
func (h history) firstParents(tip, anchor plumbing.Hash) (int, error) {
	old, _, err := h.ancestors(anchor)
	if err != nil {
		return 0, err
	}
	n := 0
	for at := tip; !old[at]; n++ {
		there, err := h.store.has(at)
		if err != nil || !there {
			return n, err
		}
		commit, err := h.store.commit(at)
		if err != nil {
			return 0, err
		}
		if len(commit.ParentHashes) == 0 {
			return n + 1, nil
		}
		at = commit.ParentHashes[0]
	}
	return n, nil
}

// edges returns those commits of the history of from that have a parent which the
// store lacks: git calls them shallow.
func (h history) edges(from plumbing.Hash) ([]plumbing.Hash, error) {
	seen, missing, err := h.ancestors(from)
	if err != nil {
		return nil, err
	}
	var edges []plumbing.Hash
	for name := range seen {
		commit, err := h.store.commit(name)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(commit.ParentHashes, func(p plumbing.Hash) bool { return missing[p] }) {
			edges = append(edges, name)
		}
	}
	return edges, nil
}
