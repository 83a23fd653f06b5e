package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/infra-agent/infra-agent/agent/signature"
	"github.com/infra-agent/infra-agent/reconcile"
)

// Trust says which commits must be signed, and by whom. The files belong to the
// active system, never to the repository: a commit cannot allow its own signer.
type Trust struct {
	Policy reconcile.TrustPolicy
	Files  signature.Files
}

// maxCommit bounds a commit object; git's own are a few hundred bytes.
const maxCommit = 1 << 20

// verify checks the signatures that the policy asks for, and returns who signed
// the tip. With policy all that is every commit since the anchor, those that a
// merge brought in included; without an anchor there is only the tip to judge.
func (r *remote) verify(ctx context.Context, s *store, tip, anchor plumbing.Hash) (signer string, err error) {
	if r.Trust.Policy == reconcile.TrustNone {
		return "", nil
	}
	keys, err := signature.Load(r.Trust.Files, func(path string) ([]byte, error) { return os.ReadFile(copyOf(path)) })
	if err != nil {
		return "", err
	}
	if r.Trust.Policy == reconcile.TrustAll && !anchor.IsZero() && anchor != tip {
		if err := r.verifySince(ctx, s, keys, tip, anchor); err != nil {
			return "", err
		}
	}
	return verifyCommit(s, keys, tip)
}

// verifySince judges the commits between anchor and tip. A commit that is not signed
// as it should be may be older than the anchor, and so may a parent that the store
// lacks: then the store is deepened until the anchor's history shows which it is.
// What a server keeps back must not pass for accepted.
func (r *remote) verifySince(ctx context.Context, s *store, keys *signature.Keys, tip, anchor plumbing.Hash) error {
	h, judged := history{s}, map[plumbing.Hash]error{}
	for depth := deepenFirst; ; depth *= deepenBy {
		accepted, unseen, err := h.ancestors(anchor)
		if err != nil {
			return err
		}
		for _, c := range r.Accepted {
			accepted[hash(c)] = true
		}
		since, missing, err := h.since(tip, accepted)
		if err != nil {
			return err
		}
		newer, err := h.newer(since, anchor)
		if err != nil {
			return err
		}
		var doubt error
		for parent := range missing {
			doubt = fmt.Errorf("commit %s is a parent of what is new, and cannot be seen", short(parent))
		}
		var certain, perhaps []plumbing.Hash
		for commit := range since {
			bad, known := judged[commit]
			if !known {
				_, bad = verifyCommit(s, keys, commit)
				judged[commit] = bad
			}
			if bad == nil {
				continue
			}
			if _, refused := reconcile.RejectedBy(bad); !refused {
				return bad
			}
			if newer[commit] || len(unseen) == 0 {
				certain = append(certain, commit)
			} else {
				perhaps = append(perhaps, commit)
			}
		}
		if len(certain) > 0 {
			oldest, err := h.oldest(certain, accepted)
			switch {
			case err != nil:
				return err
			case len(certain) == 1:
				return judged[oldest]
			}
			return refused("%d commits since %s are not accepted, the oldest is %w", len(certain), r.Anchor.Short(), judged[oldest])
		}
		if len(perhaps) > 0 {
			oldest, err := h.oldest(perhaps, accepted)
			if err != nil {
				return err
			}
			doubt = judged[oldest]
		}
		if doubt == nil {
			return nil
		}
		if depth > deepenMost {
			return suspected("%w; whether it was accepted before is not seen in the last %d commits before %s (hint: if the branch is right, run \"infra-agent allow-rewind %s\")",
				doubt, depth/deepenBy, r.Tip.Short(), r.Tip)
		}
		if err := r.transfer(ctx, s, tip, depth); err != nil {
			return err
		}
	}
}

func verifyCommit(s *store, keys *signature.Keys, name plumbing.Hash) (string, error) {
	object, err := s.object(plumbing.CommitObject, name)
	if err != nil {
		return "", err
	}
	if object.Size() > maxCommit {
		return "", refused("commit %s is larger than %d bytes", short(name), maxCommit)
	}
	r, err := object.Reader()
	if err != nil {
		return "", err
	}
	raw, err := io.ReadAll(r)
	if err != nil {
		return "", err
	}
	signer, err := keys.Verify(raw)
	if err != nil {
		return "", refused("commit %s: %w (hint: %s)", short(name), err, wayOn(err))
	}
	return signer, nil
}

// wayOn says what gets a node on that refuses a commit. The keys are those of the
// running system, so no commit can bring the missing one.
func wayOn(err error) string {
	const without = "push the branch again without it"
	if errors.Is(err, signature.ErrUnknownKey) {
		return "if its key is to be trusted, add it to trust.allowed_signers_file or trust.openpgp_keyring_file and switch to that on the node by nixos-rebuild, once; else " + without
	}
	return "sign it with a key that trust.allowed_signers_file or trust.openpgp_keyring_file names; if later commits stand on it, " + without
}

func short(name plumbing.Hash) string { return reconcile.Commit(name.String()).Short() }
