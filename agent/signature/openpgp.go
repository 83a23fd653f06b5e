package signature

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ProtonMail/go-crypto/openpgp"
	pgperrors "github.com/ProtonMail/go-crypto/openpgp/errors"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// pgpKeys is a keyring.
type pgpKeys struct{ ring openpgp.EntityList }

// allow reads public keys, armored or not. The library reads the first armor alone.
func (k *pgpKeys) allow(data []byte) error {
	const begin = "-----BEGIN PGP"
	armors, armored := strings.CutPrefix(strings.TrimSpace(string(data)), begin)
	if !armored {
		return k.add(openpgp.ReadKeyRing(bytes.NewReader(data)))
	}
	for armor := range strings.SplitSeq(armors, "\n"+begin) {
		if err := k.add(openpgp.ReadArmoredKeyRing(strings.NewReader(begin + armor))); err != nil {
			return err
		}
	}
	return nil
}

func (k *pgpKeys) add(ring openpgp.EntityList, err error) error {
	if err == nil && len(ring) == 0 {
		err = errors.New("no public key in it")
	}
	k.ring = append(k.ring, ring...)
	return err
}

// verify returns the primary identity of the key that signed c. Keys that have
// expired or were revoked are refused, whenever the commit was made.
func (k *pgpKeys) verify(c commit) (string, error) {
	raw, err := pgpArmor(c.signature)
	if err != nil {
		return "", err
	}
	issuer, err := k.fit(raw)
	if err != nil {
		return "", err
	}
	signer, err := openpgp.CheckDetachedSignature(k.ring, bytes.NewReader(c.payload), bytes.NewReader(raw), nil)
	switch {
	case errors.Is(err, pgperrors.ErrUnknownIssuer):
		return "", fmt.Errorf("%w: signed with OpenPGP by key ID %016X; %s", ErrUnknownKey, issuer, k.lack())
	case err != nil:
		return "", fmt.Errorf("%w: %w", ErrBad, err)
	}
	if id := signer.PrimaryIdentity(); id != nil {
		return id.Name, nil
	}
	return signer.PrimaryKey.KeyIdString(), nil
}

// digests that nobody is known to find two texts for.
var digests = []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512, crypto.SHA3_256, crypto.SHA3_512}

// lack says why there is no key of an issuer.
func (k *pgpKeys) lack() string {
	if len(k.ring) == 0 {
		return "no keyring is set"
	}
	return "it is not in the OpenPGP keyring"
}

// fit says whether these packets, if they verify, are proof, and names the key of
// the issuer: the library takes weak digests and keys, and skips what it does not
// know.
func (k *pgpKeys) fit(packets []byte) (issuer uint64, err error) {
	r := bytes.NewReader(packets)
	p, err := packet.Read(r)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrBad, err)
	}
	sig, is := p.(*packet.Signature)
	switch {
	case !is || r.Len() > 0:
		return 0, fmt.Errorf("%w: not one signature and nothing else", ErrBad)
	case sig.SigType != packet.SigTypeBinary:
		return 0, fmt.Errorf("%w: it is one of a text, in which line ends do not count", ErrBad)
	case !slices.Contains(digests, sig.Hash):
		return 0, fmt.Errorf("%w: its digest %v is too weak", ErrBad, sig.Hash)
	case sig.PubKeyAlgo == packet.PubKeyAlgoDSA:
		return 0, fmt.Errorf("%w: DSA is too weak", ErrBad)
	case sig.IssuerKeyId == nil:
		return 0, fmt.Errorf("%w: it does not name its key", ErrBad)
	}
	for _, key := range k.ring.KeysById(*sig.IssuerKeyId) {
		if err := longEnough(key.PublicKey.PublicKey); err != nil {
			return 0, err
		}
	}
	return *sig.IssuerKeyId, nil
}
