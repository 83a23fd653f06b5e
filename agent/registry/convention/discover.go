package convention

import (
	"io/fs"
	"strings"
)

// Discover looks for roles beside a registry: in the folder roles, and for the words
// role-NAME in flake.nix. The latter is a guess in the fleet's favour: whether an
// output of that name exists only Nix can say.
func Discover(checkout fs.FS) func(role string) bool {
	flake, _ := fs.ReadFile(checkout, "flake.nix") // a checkout without one has no roles there
	return func(role string) bool {
		for _, path := range []string{"roles/" + role + ".nix", "roles/" + role + "/default.nix"} {
			if _, err := fs.Stat(checkout, path); err == nil {
				return true
			}
		}
		return hasWord(string(flake), "role-"+role)
	}
}

// hasWord reports whether a text has a word, and not only as a part of a longer one.
func hasWord(text, word string) bool {
	for {
		before, after, ok := strings.Cut(text, word)
		if !ok {
			return false
		}
		if !endsInWord(before) && !beginsWithWord(after) {
			return true
		}
		text = after
	}
}

const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"

func endsInWord(s string) bool { return s != "" && strings.ContainsRune(letters, rune(s[len(s)-1])) }

func beginsWithWord(s string) bool { return s != "" && strings.ContainsRune(letters, rune(s[0])) }
