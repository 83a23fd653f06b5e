package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/infra-agent/infra-agent/agent/signature"
	"github.com/infra-agent/infra-agent/reconcile"
)

// Trust says which commits must be signed, and by whom. The files belong to the
// active system; what the repository says counts for later commits alone: a commit
// cannot allow its own signer.
type Trust struct {
	Policy reconcile.TrustPolicy
	Files  signature.Files

	Authorizations string           // allowed signers in the repository, see [authorizations]; "" = Files say who may sign
	Introduction   reconcile.Commit // with Authorizations: accepted, and all before it
}

// base returns the commit that the tip must descend from; "" = any.
func (j job) base() reconcile.Commit {
	if j.Anchor == "" && j.Trust.Authorizations != "" {
		return j.Trust.Introduction
	}
	return j.Anchor
}

// A verifier says who signed a commit, and refuses one that was signed by nobody who may.
type verifier interface {
	// ready gets what is needed to verify the commits. Others were accepted before.
	ready(ctx context.Context, commits, accepted map[plumbing.Hash]bool) error
	verify(commit plumbing.Hash) (signer string, err error)
}

// maxCommit bounds a commit object; git's own are a few hundred bytes.
const maxCommit = 1 << 20

// verify checks the signatures that the policy asks for, and returns who signed
// the tip. With policy all that is every commit since the anchor, those that a
// merge brought in included; without an anchor, or where the tip need not descend from
// it, there is only the tip to verify.
func (r *remote) verify(ctx context.Context, s *store, tip, anchor plumbing.Hash, rewound bool) (signer string, err error) {
	if r.Trust.Policy == reconcile.TrustNone {
		return "", nil
	}
	if r.Trust.Authorizations != "" {
		return r.verifyAuthorized(ctx, s, tip, anchor, rewound)
	}
	keys, err := signature.Load(r.Trust.Files, func(path string) ([]byte, error) { return os.ReadFile(copyOf(path)) })
	if err != nil {
		return "", &reconcile.KeysError{Err: err}
	}
	own := ownKeys{keys, s, tip}
	if r.Trust.Policy == reconcile.TrustAll && !anchor.IsZero() && anchor != tip && !rewound {
		if _, err := r.verifySince(ctx, s, own, tip, anchor); err != nil {
			return "", err
		}
	}
	return own.verify(tip)
}

// verifyAuthorized is verify by what the repository says of signers. A tip that need not
// descend from the base is verified as if it came after that: by the keys that the node
// knows now. One that was accepted before, or is the introduction, is not verified again.
func (r *remote) verifyAuthorized(ctx context.Context, s *store, tip, base plumbing.Hash, rewound bool) (signer string, err error) {
	a, err := r.authorizations(s, base)
	if err != nil {
		return "", err
	}
	known := false
	if rewound {
		err = a.get(ctx, []plumbing.Hash{base})
	} else {
		known, err = r.verifySince(ctx, s, a, tip, base)
	}
	if err != nil {
		return "", err
	}
	keys, err := a.own(ctx, tip)
	switch {
	case err != nil:
		return "", err
	case rewound:
		return a.verifyAfter(tip, base)
	case !known:
		return a.verify(tip)
	}
	raw, err := commitBytes(s, tip)
	if err != nil {
		return "", err
	}
	signer, _ = keys.Verify(raw) // "": its key may be gone by now
	return signer, nil
}

// accepted returns the commits that were accepted before, and their parents that the store
// lacks. Where open is set, what comes after the anchor may be one of them.
func (r *remote) accepted(h history, anchor plumbing.Hash) (accepted, unseen map[plumbing.Hash]bool, open bool, err error) {
	accepted, unseen, err = h.ancestors(anchor)
	if err != nil {
		return nil, nil, false, err
	}
	if introduction := hash(r.Trust.Introduction); !introduction.IsZero() {
		seen, missing, err := h.since(introduction, accepted)
		if err != nil {
			return nil, nil, false, err
		}
		maps.Copy(accepted, seen)
		delete(missing, introduction) // it is older than what the store has
		open = len(missing) > 0
		maps.Copy(unseen, missing)
	}
	for _, c := range r.Accepted {
		accepted[hash(c)] = true
	}
	return accepted, unseen, open, nil
}

// verifySince verifies the commits between anchor and tip. A commit that is not signed
// as it should be may be older than the anchor, and so may a parent that the store
// lacks: then the store is deepened until the anchor's history shows which it is.
// What a server keeps back must not pass for accepted. known: the tip itself was accepted
// before.
func (r *remote) verifySince(ctx context.Context, s *store, v verifier, tip, anchor plumbing.Hash) (known bool, err error) {
	h := history{s}
	for depth := deepenFirst; ; depth *= deepenBy {
		accepted, unseen, open, err := r.accepted(h, anchor)
		if err != nil {
			return false, err
		}
		since, missing, err := h.since(tip, accepted)
		if err != nil {
			return false, err
		}
		newer, err := h.newer(since, anchor)
		if err != nil {
			return false, err
		}
		toVerify := since
		if len(missing) > 0 && len(unseen) > 0 { // there will be more history, which may show that the others were accepted
			toVerify = newer
		}
		if err := v.ready(ctx, toVerify, accepted); err != nil {
			return false, err
		}
		var doubt error
		for parent := range missing {
			doubt = fmt.Errorf("commit %s is a parent of what is new, and cannot be seen", short(parent))
		}
		refusals := map[plumbing.Hash]error{}
		var certain, perhaps []plumbing.Hash
		for commit := range toVerify {
			_, bad := v.verify(commit)
			if bad == nil {
				continue
			}
			if errors.Is(bad, errUnseen) {
				doubt = bad
				continue
			}
			if _, refused := reconcile.RejectedBy(bad); !refused {
				return false, bad
			}
			refusals[commit] = bad
			if newer[commit] && !open || len(unseen) == 0 {
				certain = append(certain, commit)
			} else {
				perhaps = append(perhaps, commit)
			}
		}
		if len(certain) > 0 {
			oldest, err := h.oldest(certain, accepted)
			switch {
			case err != nil:
				return false, err
			case len(certain) == 1:
				return false, refusals[oldest]
			}
			return false, refused("%d commits since %s are not accepted, the oldest is %w", len(certain), r.base().Short(), refusals[oldest])
		}
		if len(perhaps) > 0 {
			oldest, err := h.oldest(perhaps, accepted)
			if err != nil {
				return false, err
			}
			doubt = refusals[oldest]
		}
		if doubt == nil {
			return accepted[tip], nil
		}
		if depth > deepenMost {
			_, wayOn := r.whatBase()
			return false, suspected("%w; whether it was accepted before is not seen in the last %d commits before %s (hint: if the branch is right, %s)",
				doubt, depth/deepenBy, r.Tip.Short(), wayOn)
		}
		if err := r.transfer(ctx, s, tip, depth); err != nil {
			return false, err
		}
	}
}

// ownKeys are those of the node: they count for every commit alike.
type ownKeys struct {
	*signature.Keys
	store *store
	tip   plumbing.Hash
}

func (ownKeys) ready(_ context.Context, _, _ map[plumbing.Hash]bool) error { return nil }

func (k ownKeys) verify(commit plumbing.Hash) (signer string, err error) {
	raw, err := commitBytes(k.store, commit)
	if err != nil {
		return "", err
	}
	if signer, err = k.Verify(raw); err != nil {
		return "", refused("commit %s: %w (hint: %s)", short(commit), err, wayOn(err, commit == k.tip))
	}
	return signer, nil
}

// commitBytes returns what is signed, and its signature.
func commitBytes(s *store, name plumbing.Hash) ([]byte, error) {
	object, err := s.object(plumbing.CommitObject, name)
	if err != nil {
		return nil, err
	}
	if object.Size() > maxCommit {
		return nil, refused("commit %s is larger than %d bytes", short(name), maxCommit)
	}
	r, err := object.Reader()
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// wayOn says what gets a node on that refuses a commit. The keys and the policy are those of
// the running system, so no commit can bring others; and a rewind that a person allows does
// not help, since the tip does descend from what was accepted.
func wayOn(err error, tip bool) string {
	without := "push the branch again without it"
	if !tip {
		without += `, or set trust.policy = "tip", switch to that on the node by nixos-rebuild, once, and run "infra-agent retry": it accepts what is signed on top of it`
	}
	switch {
	case errors.Is(err, signature.ErrUnknownKey):
		return "if its key is to be trusted, add it to trust.allowed_signers_file or trust.openpgp_keyring_file and switch to that on the node by nixos-rebuild, once, and run \"infra-agent retry\"; else " + without
	case !tip:
		return without
	}
	return "sign it with a key that trust.allowed_signers_file or trust.openpgp_keyring_file names, and push it again"
}

func short(name plumbing.Hash) string { return reconcile.Commit(name.String()).Short() }
