package signature

import (
	"encoding/base64"
	"fmt"
	"strings"
)

// Armor is text around a signature. Libraries skip what they do not understand
// before, within and after it; here every byte must have its place, so that nobody
// else finds a second signature in what was verified.
const (
	armorSSH = "SSH SIGNATURE"
	armorPGP = "PGP SIGNATURE"
)

// dearmor returns what the one armor of a kind encloses.
func dearmor(signature, kind string) (inside string, err error) {
	// GitHub ends it with an empty line more.
	inside, begins := strings.CutPrefix(strings.TrimRight(signature, "\n"), "-----BEGIN "+kind+"-----\n")
	inside, ends := strings.CutSuffix(inside, "\n-----END "+kind+"-----")
	if !begins || !ends || strings.Contains(inside, "-----") {
		return "", fmt.Errorf("%w: not one armor around it and nothing else", ErrBad)
	}
	return inside, nil
}

func sshArmor(signature string) ([]byte, error) {
	inside, err := dearmor(signature, armorSSH)
	if err != nil {
		return nil, err
	}
	return unbase64(inside)
}

// pgpArmor reads the armor of RFC 9580, section 6.2. Its checksum protects from
// accidents alone, and must not be insisted on.
func pgpArmor(signature string) ([]byte, error) {
	inside, err := dearmor(signature, armorPGP)
	if err != nil {
		return nil, err
	}
	headers, inside, _ := strings.Cut("\n"+inside, "\n\n")
	for header := range strings.Lines(strings.TrimPrefix(headers, "\n")) {
		if !strings.Contains(header, ": ") {
			return nil, fmt.Errorf("%w: a line that is no header of its armor", ErrBad)
		}
	}
	if i := strings.LastIndex(inside, "\n="); i >= 0 && len(inside) == i+len("\n=sums") {
		inside = inside[:i]
	}
	return unbase64(inside)
}

func unbase64(text string) ([]byte, error) {
	raw, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("%w: its armor: %w", ErrBad, err)
	}
	return raw, nil
}
