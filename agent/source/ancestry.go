package source

import (
	"context"

	"github.com/go-git/go-git/v5/plumbing"
)

const (
	deepenFirst = 16   // commits to get first when the store has lost the anchor
	deepenBy    = 8    // times as many at each further step
	deepenMost  = 8192 // commits: with more between them, a person decides
)

// descend shows that the tip descends from the anchor, and returns how many
// commits are between them along first parents. It deepens the store when that
// has lost the anchor. Without an anchor every tip will do.
func (r *remote) descend(ctx context.Context, s *store, tip, anchor plumbing.Hash) (int, error) {
	if anchor.IsZero() {
		return 0, nil
	}
	for depth := deepenFirst; ; depth *= deepenBy {
		shallow, err := s.shallow()
		if err != nil {
			return 0, err
		}
		h := history{s, shallow}
		seen, cut, err := h.ancestors(tip)
		switch {
		case err != nil:
			return 0, err
		case seen[anchor]:
			return h.firstParents(tip, anchor)
		case !cut || s.has(anchor):
			return 0, refused("diverged: %s does not descend from %s, the last accepted commit (hint: if the branch was rewritten on purpose, run \"infra-agent allow-rewind %s\")",
				r.Tip.Short(), r.Anchor.Short(), r.Tip)
		case depth > deepenMost:
			return 0, refused("diverged, or too far away: %s, the last accepted commit, is not among the last %d commits before %s (hint: if the branch is right, run \"infra-agent allow-rewind %s\")",
				r.Anchor.Short(), depth/deepenBy, r.Tip.Short(), r.Tip)
		}
		if err := r.transfer(ctx, s, tip, depth); err != nil {
			return 0, err
		}
	}
}

// A history walks the commits of a store.
type history struct {
	store   *store
	shallow map[plumbing.Hash]bool
}

// ancestors returns from and every commit before it that the store has. cut
// means that there are more, which the store does not have.
func (h history) ancestors(from plumbing.Hash) (seen map[plumbing.Hash]bool, cut bool, err error) {
	seen = map[plumbing.Hash]bool{from: true}
	for todo := []plumbing.Hash{from}; len(todo) > 0; {
		next := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		parents, err := h.parents(next)
		if err != nil {
			return nil, false, err
		}
		cut = cut || h.shallow[next]
		for _, parent := range parents {
			if !seen[parent] {
				seen[parent] = true
				todo = append(todo, parent)
			}
		}
	}
	return seen, cut, nil
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
		parents, err := h.parents(at)
		if err != nil {
			return 0, err
		}
		if len(parents) == 0 {
			return n + 1, nil
		}
		at = parents[0]
	}
	return n, nil
}

func (h history) parents(of plumbing.Hash) ([]plumbing.Hash, error) {
	commit, err := h.store.commit(of)
	if err != nil || h.shallow[of] {
		return nil, err
	}
	return commit.ParentHashes, nil
}
