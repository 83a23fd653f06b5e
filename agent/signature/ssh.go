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

// ofGit is the namespace that git signs commits for; a signature for something else,
// such as a file, is no signature of a commit.
const ofGit = "git"

// sshKeys are allowed signers, less those that were revoked.
type sshKeys struct {
	allowed []allowedSigner
	revoked [][]byte // wire format
}

// A signedText is a text that somebody signed for a namespace at some time.
type signedText struct {
	payload   []byte
	signature string // armored
	namespace string
	at        time.Time // as the text says
	called    string    // "the commit"
}

// verify returns the principals of the key that signed the text.
func (k *sshKeys) verify(text signedText) (string, error) {
	raw, err := sshArmor(text.signature)
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
		if not := s.unfit(text); not != "" {
			why = name + " " + not
			continue
		}
		// The text's own namespace: sig.Namespace is what the signature claims.
		if err := sshsig.Verify(bytes.NewReader(text.payload), sig, sig.PublicKey, sig.HashAlgorithm, text.namespace); err != nil {
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

// unfit says why the signer must not sign the text; "" if it may.
func (s allowedSigner) unfit(text signedText) string {
	switch {
	case s.namespaces != nil && !listed(text.namespace, s.namespaces):
		return "may not sign for " + text.namespace
	case !s.after.IsZero() && text.at.Before(s.after):
		return "was not allowed yet when " + text.called + " was made"
	case !s.before.IsZero() && !text.at.Before(s.before):
		return "was not allowed any more when " + text.called + " was made"
	}
	return ""
}

// useful reports whether the signer may sign for git at that time or later.
func (s allowedSigner) useful(at time.Time) bool {
	key, err := ssh.ParsePublicKey(s.key)
	return err == nil && strongKey(key) == nil &&
		(s.namespaces == nil || listed(ofGit, s.namespaces)) && (s.before.IsZero() || at.Before(s.before))
}
