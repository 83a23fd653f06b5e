// Package signature says who signed a git commit, by the bytes of the commit as
// they are stored, or a file. It knows SSH and OpenPGP signatures and the files that
// hold the keys; it does not know what must be signed.
package signature

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Reasons why a commit, or a file, is not accepted.
var (
	ErrUnsigned   = errors.New("the commit is not signed")
	ErrUnknownKey = errors.New("signed by a key that is not allowed")
	ErrBad        = errors.New("the signature is not valid")
	ErrMalformed  = errors.New("the commit is malformed")
)

// Files name the keys that are allowed to sign. Empty: none of that kind.
type Files struct {
	AllowedSigners string // ssh-keygen(1), ALLOWED SIGNERS
	Keyring        string // OpenPGP public keys, armored or binary
	Revocation     string // SSH public keys, one a line, that are not allowed any more
	Named          bool   // of AllowedSigners a line counts only for the namespaces that it names: the file is for several
}

// Keys are the keys that are allowed to sign.
type Keys struct {
	ssh sshKeys
	pgp pgpKeys
}

// Load has the files read. A file with a mistake allows nobody: the error names
// file and line.
func Load(f Files, read func(path string) ([]byte, error)) (*Keys, error) {
	k := &Keys{}
	for _, file := range []struct {
		path string
		take func([]byte) error
	}{
		{f.AllowedSigners, k.ssh.allow},
		{f.Revocation, k.ssh.revoke},
		{f.Keyring, k.pgp.allow},
	} {
		if file.path == "" {
			continue
		}
		data, err := read(file.path)
		if err != nil {
			return nil, fmt.Errorf("read keys: %w", err)
		}
		if err := file.take(data); err != nil {
			return nil, fmt.Errorf("%s: %w", file.path, err)
		}
	}
	if f.Named {
		k.ssh.allowed = slices.DeleteFunc(k.ssh.allowed, func(s allowedSigner) bool { return s.namespaces == nil })
	}
	return k, nil
}

// AnySigner reports whether an allowed signer may sign a commit of that time, or a later
// one. Revocations do not count.
func (k *Keys) AnySigner(at time.Time) bool {
	return slices.ContainsFunc(k.ssh.allowed, func(s allowedSigner) bool { return s.useful(at) })
}

// Verify returns who signed the commit, given its bytes as git stores them. The
// error wraps one of [ErrUnsigned], [ErrUnknownKey], [ErrBad] and [ErrMalformed].
func (k *Keys) Verify(commit []byte) (signer string, err error) {
	c, err := parse(commit)
	if err != nil {
		return "", err
	}
	switch {
	case c.signature == "":
		return "", ErrUnsigned
	case strings.HasPrefix(c.signature, "-----BEGIN "+armorSSH):
		return k.ssh.verify(signedText{c.payload, c.signature, ofGit, c.committed, "the commit"})
	case strings.HasPrefix(c.signature, "-----BEGIN "+armorPGP):
		return k.pgp.verify(c)
	}
	return "", fmt.Errorf("%w: it is neither SSH nor OpenPGP", ErrBad)
}

// VerifyFile returns who signed a file for a namespace: sig is what "ssh-keygen -Y sign -n
// NAMESPACE FILE" writes into FILE.sig, and at is when the file says that it was made. The
// error wraps [ErrUnknownKey] or [ErrBad].
func (k *Keys) VerifyFile(data, sig []byte, namespace string, at time.Time) (signer string, err error) {
	return k.ssh.verify(signedText{data, string(sig), namespace, at, "the file"})
}
