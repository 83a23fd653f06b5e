package source

import (
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
func (j job) verify(s *store, tip, anchor plumbing.Hash) (signer string, err error) {
	if j.Trust.Policy == reconcile.TrustNone {
		return "", nil
	}
	keys, err := signature.Load(j.Trust.Files, func(path string) ([]byte, error) { return os.ReadFile(copyOf(path)) })
	if err != nil {
		return "", err
	}
	if signer, err = verifyCommit(s, keys, tip); err != nil {
		return "", err
	}
	if j.Trust.Policy != reconcile.TrustAll || anchor.IsZero() || anchor == tip {
		return signer, nil
	}
	shallow, err := s.shallow()
	if err != nil {
		return "", err
	}
	h := history{s, shallow}
	accepted, _, err := h.ancestors(anchor)
	if err != nil {
		return "", err
	}
	since, _, err := h.ancestors(tip)
	if err != nil {
		return "", err
	}
	for commit := range since {
		if accepted[commit] {
			continue
		}
		if _, err := verifyCommit(s, keys, commit); err != nil {
			return "", err
		}
	}
	return signer, nil
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
		return "", refused("commit %s: %w (hint: sign it with a key that trust.allowed_signers_file or trust.openpgp_keyring_file names)", short(name), err)
	}
	return signer, nil
}

func short(name plumbing.Hash) string { return reconcile.Commit(name.String()).Short() }
