package signature

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// An allowedSigner is one line of an allowed-signers file.
type allowedSigner struct {
	principals    string
	key           []byte    // wire format
	namespaces    []string  // patterns; nil: any
	after, before time.Time // zero: no limit
}

// allow reads an allowed-signers file, ssh-keygen(1). What ssh-keygen refuses, or
// might read in another way, is an error.
func (k *sshKeys) allow(data []byte) error {
	return eachLine(data, func(line string) error {
		var s allowedSigner
		principals, rest := word(line)
		if err := s.name(principals); err != nil {
			return err
		}
		var err error
		if s.key, err = publicKey(rest); err != nil {
			options, rest := word(rest)
			if s.key, err = publicKey(rest); err != nil {
				return err
			}
			if err := s.options(options); err != nil {
				return err
			}
		}
		k.allowed = append(k.allowed, s)
		return nil
	})
}

// name sets the principals. Nobody here asks for a certain one, so each must be
// somebody: one that is excluded is not.
func (s *allowedSigner) name(principals string) error {
	s.principals = principals
	if strings.Contains(principals, `"`) {
		var whole bool
		if s.principals, whole = unquote(principals); !whole {
			return errors.New("the principals are not in one pair of quotes")
		}
	}
	for p := range strings.SplitSeq(s.principals, ",") {
		switch {
		case p == "":
			return errors.New("an empty principal")
		case p[0] == '!':
			return fmt.Errorf("principal %q excludes somebody: name who may sign", p)
		}
	}
	return nil
}

// options sets what `name="value",name="value"` says.
func (s *allowedSigner) options(text string) error {
	seen := map[string]bool{}
	for more := true; more; {
		var option string
		option, text, more = cut(text, ",")
		name, value, _ := strings.Cut(option, "=")
		name = strings.ToLower(name)
		if seen[name] {
			return fmt.Errorf("option %s for the second time", name)
		}
		seen[name] = true
		if err := s.option(name, value); err != nil {
			return err
		}
	}
	if !s.after.IsZero() && !s.before.IsZero() && !s.after.Before(s.before) {
		return errors.New("valid-before is not after valid-after")
	}
	return nil
}

func (s *allowedSigner) option(name, value string) (err error) {
	value, quoted := unquote(value)
	switch name {
	case "namespaces":
		s.namespaces = strings.Split(value, ",")
	case "valid-after":
		s.after, err = timestamp(value)
	case "valid-before":
		s.before, err = timestamp(value)
	case "cert-authority":
		return errors.New("cert-authority is not supported: name each key")
	default:
		return fmt.Errorf("unknown option %q", name)
	}
	if !quoted {
		return fmt.Errorf("the value of %s is not in quotes", name)
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

// listed says whether a list of OpenSSH's patterns has the name: one that excludes
// it wins, wherever it stands.
func listed(name string, patterns []string) (is bool) {
	for _, p := range patterns {
		p, excludes := strings.CutPrefix(p, "!")
		if strings.ContainsAny(p, `[\`) {
			continue // OpenSSH knows no classes and no escapes, and no name here has these characters
		}
		if fits, _ := path.Match(p, name); !fits {
			continue
		}
		if excludes {
			return false
		}
		is = true
	}
	return is
}

// revoke reads public keys, one a line.
func (k *sshKeys) revoke(data []byte) error {
	if bytes.HasPrefix(data, []byte("SSHKRL\n\x00")) {
		return errors.New("binary revocation lists are not supported: list the public keys, one a line")
	}
	return eachLine(data, func(line string) error {
		key, err := publicKey(line)
		k.revoked = append(k.revoked, key)
		return err
	})
}

// publicKey reads "TYPE BASE64", which a comment may follow, into the wire format.
func publicKey(text string) ([]byte, error) {
	kind, rest := word(text)
	encoded, _ := word(rest)
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, errors.New("no public key")
	}
	key, err := ssh.ParsePublicKey(raw)
	if err != nil || key.Type() != kind {
		return nil, errors.New("no public key")
	}
	if _, is := key.(*ssh.Certificate); is {
		return nil, errors.New("a certificate is not supported: name the key")
	}
	return key.Marshal(), nil
}

const blanks = " \t"

// eachLine calls f for every line that is neither empty nor a comment, and adds
// the line's number to its error.
func eachLine(data []byte, f func(string) error) error {
	n := 0
	for line := range strings.Lines(string(data)) {
		n++
		line = strings.Trim(line, blanks+"\r\n")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if err := f(line); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
	return nil
}

// word cuts the first word off, in which blanks within quotes do not count.
func word(text string) (first, rest string) {
	first, rest, _ = cut(text, blanks)
	return first, strings.TrimLeft(rest, blanks)
}

// cut is [strings.Cut] at the first separator that is not within quotes.
func cut(text, separators string) (before, after string, found bool) {
	quoted := false
	for i := range len(text) {
		if text[i] == '"' {
			quoted = !quoted
		} else if !quoted && strings.IndexByte(separators, text[i]) >= 0 {
			return text[:i], text[i+1:], true
		}
	}
	return text, "", false
}

// unquote takes the quotes off. No text within has quotes or escapes of its own.
func unquote(text string) (inside string, ok bool) {
	inside = strings.TrimSuffix(strings.TrimPrefix(text, `"`), `"`)
	return inside, len(inside) == len(text)-2 && !strings.ContainsAny(inside, `"\`)
}
