package signature

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/ProtonMail/go-crypto/openpgp"
	pgperrors "github.com/ProtonMail/go-crypto/openpgp/errors"
)

// pgpKeys is a keyring.
type pgpKeys struct{ ring openpgp.EntityList }

// allow reads public keys, armored or not.
func (k *pgpKeys) allow(data []byte) (err error) {
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte("-----BEGIN PGP")) {
		k.ring, err = openpgp.ReadArmoredKeyRing(bytes.NewReader(data))
	} else {
		k.ring, err = openpgp.ReadKeyRing(bytes.NewReader(data))
	}
	if err == nil && len(k.ring) == 0 {
		err = errors.New("no public key in it")
	}
	return err
}

// verify returns the primary identity of the key that signed c. Keys that have
// expired or were revoked are refused, whenever the commit was made.
func (k *pgpKeys) verify(c commit) (string, error) {
	signer, err := openpgp.CheckArmoredDetachedSignature(k.ring, bytes.NewReader(c.payload), strings.NewReader(c.signature), nil)
	switch {
	case errors.Is(err, pgperrors.ErrUnknownIssuer):
		return "", fmt.Errorf("%w: it is not in the OpenPGP keyring", ErrUnknownKey)
	case err != nil:
		return "", fmt.Errorf("%w: %w", ErrBad, err)
	}
	if id := signer.PrimaryIdentity(); id != nil {
		return id.Name, nil
	}
	return signer.PrimaryKey.KeyIdString(), nil
}
