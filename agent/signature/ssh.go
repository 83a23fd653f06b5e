package signature

import (
	"bytes"
	"errors"
	"fmt"
	"path"
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

// An allowedSigner is one line of an allowed-signers file.
type allowedSigner struct {
	principals    string
	key           []byte // wire format
	namespaces    []string
	after, before time.Time // zero: no limit
}

// allow reads an allowed-signers file, ssh-keygen(1).
func (k *sshKeys) allow(data []byte) error {
	return eachLine(data, func(line string) error {
		principals, rest, err := field(line)
		if err != nil {
			return err
		}
		key, _, options, tail, err := ssh.ParseAuthorizedKey([]byte(rest))
		if err != nil || len(tail) > 0 {
			return errors.New("no public key after the principals")
		}
		s := allowedSigner{principals: principals, key: key.Marshal()}
		for _, o := range options {
			if err := s.option(o); err != nil {
				return err
			}
		}
		k.allowed = append(k.allowed, s)
		return nil
	})
}

func (s *allowedSigner) option(option string) (err error) {
	name, value, _ := strings.Cut(option, "=")
	value = strings.Trim(value, `"`)
	switch strings.ToLower(name) {
	case "namespaces":
		s.namespaces = strings.Split(value, ",")
	case "valid-after":
		s.after, err = timestamp(value)
	case "valid-before":
		s.before, err = timestamp(value)
	case "cert-authority":
		err = errors.New("cert-authority is not supported: name each key")
	default:
		err = fmt.Errorf("unknown option %q", name)
	}
	return err
}

// timestamp reads YYYYMMDD, YYYYMMDDHHMM or YYYYMMDDHHMMSS, in the machine's zone
// or, with a Z, in UTC.
func timestamp(value string) (time.Time, error) {
	zone := time.Local
	digits, utc := strings.CutSuffix(value, "Z")
	if utc {
		zone = time.UTC
	}
	for _, layout := range []string{"20060102", "200601021504", "20060102150405"} {
		if len(layout) == len(digits) {
			if t, err := time.ParseInLocation(layout, digits, zone); err == nil {
				return t, nil
			}
		}
	}
	return time.Time{}, fmt.Errorf("time %q is not YYYYMMDD[HHMM[SS]][Z]", value)
}

// revoke reads public keys, one a line.
func (k *sshKeys) revoke(data []byte) error {
	if bytes.HasPrefix(data, []byte("SSHKRL\n\x00")) {
		return errors.New("binary revocation lists are not supported: list the public keys, one a line")
	}
	return eachLine(data, func(line string) error {
		key, _, _, tail, err := ssh.ParseAuthorizedKey([]byte(line))
		if err != nil || len(tail) > 0 {
			return errors.New("no public key")
		}
		k.revoked = append(k.revoked, key.Marshal())
		return nil
	})
}

// verify returns the principals of the key that signed c.
func (k *sshKeys) verify(c commit) (string, error) {
	sig, err := sshsig.Unarmor([]byte(c.signature))
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrBad, err)
	}
	wire := sig.PublicKey.Marshal()
	name := ssh.FingerprintSHA256(sig.PublicKey)
	for _, r := range k.revoked {
		if bytes.Equal(r, wire) {
			return "", fmt.Errorf("%w: %s is revoked", ErrUnknownKey, name)
		}
	}
	why := name + " is not among the allowed signers"
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

// unfit says why the signer must not sign a commit of that time; "" if it may.
func (s allowedSigner) unfit(at time.Time) string {
	switch {
	case s.namespaces != nil && !inNamespaces(s.namespaces):
		return "may not sign for git"
	case !s.after.IsZero() && at.Before(s.after):
		return "was not allowed yet when the commit was made"
	case !s.before.IsZero() && !at.Before(s.before):
		return "was not allowed any more when the commit was made"
	}
	return ""
}

func inNamespaces(patterns []string) bool {
	for _, p := range patterns {
		if ok, _ := path.Match(p, namespace); ok {
			return true
		}
	}
	return false
}

// eachLine calls f for every line that is neither empty nor a comment, and adds
// the line's number to its error.
func eachLine(data []byte, f func(string) error) error {
	n := 0
	for line := range strings.Lines(string(data)) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if err := f(line); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
	return nil
}

// field cuts the first field off, which may be quoted.
func field(line string) (first, rest string, err error) {
	if quoted, is := strings.CutPrefix(line, `"`); is {
		first, rest, is = strings.Cut(quoted, `"`)
		if !is {
			return "", "", errors.New("a quote that does not end")
		}
		return first, strings.TrimSpace(rest), nil
	}
	first, rest, _ = strings.Cut(line, " ")
	return first, strings.TrimSpace(rest), nil
}
