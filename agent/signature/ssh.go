package signature

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"fmt"
	"strings"
	"time"

	"github.com/hiddeco/sshsig"
	"golang.org/x/crypto/ssh"
)

// namespace is what git signs commits for; a signature for something else, such
// as a file, is no signature of a commit.
const namespace = "git"

// sshKeys are allowed signers, less those that were revoked.
type sshKeys struct {
	allowed []allowedSigner
	revoked [][]byte // wire format
}

// verify returns the principals of the key that signed c.
func (k *sshKeys) verify(c commit) (string, error) {
	raw, err := sshArmor(c.signature)
	if err != nil {
		return "", err
	}
	sig, err := sshsig.ParseSignature(raw)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrBad, err)
	}
	if err := strong(sig); err != nil {
		return "", err
	}
	wire := sig.PublicKey.Marshal()
	name := ssh.FingerprintSHA256(sig.PublicKey)
	for _, r := range k.revoked {
		if bytes.Equal(r, wire) {
			return "", fmt.Errorf("%w: %s is revoked", ErrUnknownKey, name)
		}
	}
	why := name + " is not among the allowed signers"
	if len(k.allowed) == 0 {
		why = "signed with SSH by " + name + "; no allowed signers are set"
	}
	for _, s := range k.allowed {
		if !bytes.Equal(s.key, wire) {
			continue
		}
		if not := s.unfit(c.committed); not != "" {
			why = name + " " + not
			continue
		}
		// The commit's own namespace: sig.Namespace is what the signature claims.
		if err := sshsig.Verify(bytes.NewReader(c.payload), sig, sig.PublicKey, sig.HashAlgorithm, namespace); err != nil {
			return "", fmt.Errorf("%w: %w", ErrBad, err)
		}
		return s.principals, nil
	}
	return "", fmt.Errorf("%w: %s", ErrUnknownKey, why)
}

// strong says whether a signature, if it verifies, is proof.
func strong(sig *sshsig.Signature) error {
	if len(sig.Signature.Rest) > 0 && !strings.HasPrefix(sig.PublicKey.Type(), "sk-") { // security keys add what they did
		return fmt.Errorf("%w: more follows it", ErrBad)
	}
	return strongKey(sig.PublicKey)
}

func strongKey(key ssh.PublicKey) error {
	if key.Type() == "ssh-dss" {
		return fmt.Errorf("%w: ssh-dss is too weak", ErrBad)
	}
	if key, is := key.(ssh.CryptoPublicKey); is {
		return longEnough(key.CryptoPublicKey())
	}
	return nil
}

const minRSA = 2048 // bits

// longEnough refuses RSA keys that can be broken.
func longEnough(public crypto.PublicKey) error {
	if key, is := public.(*rsa.PublicKey); is && key.N.BitLen() < minRSA {
		return fmt.Errorf("%w: an RSA key of %d bits is too short, %d is the least", ErrBad, key.N.BitLen(), minRSA)
	}
	return nil
}

// unfit says why the signer must not sign a commit of that time; "" if it may.
func (s allowedSigner) unfit(at time.Time) string {
	switch {
	case s.namespaces != nil && !listed(namespace, s.namespaces):
		return "may not sign for git"
	case !s.after.IsZero() && at.Before(s.after):
		return "was not allowed yet when the commit was made"
	case !s.before.IsZero() && !at.Before(s.before):
		return "was not allowed any more when the commit was made"
	}
	return ""
}

// useful reports whether the signer may sign for git at that time or later.
func (s allowedSigner) useful(at time.Time) bool {
	key, err := ssh.ParsePublicKey(s.key)
	return err == nil && strongKey(key) == nil &&
		(s.namespaces == nil || listed(namespace, s.namespaces)) && (s.before.IsZero() || at.Before(s.before))
}
