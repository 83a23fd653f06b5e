package reconcile

import (
	"fmt"
	"strings"
	"time"
)

// A Commit is the full, lower-case hexadecimal name of a git commit (40 or 64 digits).
type Commit string

// ParseCommit returns s as a Commit, or an error when s is not a full commit name.
func ParseCommit(s string) (Commit, error) {
	if len(s) != 40 && len(s) != 64 {
		return "", fmt.Errorf("commit %q: want 40 or 64 hexadecimal digits", s)
	}
	if strings.Trim(s, "0123456789abcdef") != "" {
		return "", fmt.Errorf("commit %q: want lower-case hexadecimal digits only", s)
	}
	return Commit(s), nil
}

// Short returns the first eight digits, for people.
func (c Commit) Short() string { return string(c[:min(8, len(c))]) }

// A Toplevel is the store path of a complete NixOS system
// (/nix/store/HASH-nixos-system-NAME-VERSION).
type Toplevel string

// A Derivation is the store path of a .drv file.
type Derivation string

// A BootID is the kernel's random name of one boot (/proc/sys/kernel/random/boot_id).
type BootID string

// A Revision is one commit of the tracked branch that was fetched, verified and
// written to the Nix store.
type Revision struct {
	Commit  Commit    `json:"commit"`
	Time    time.Time `json:"time"`              // the committer's date
	Subject string    `json:"subject,omitempty"` // first line of the message
	Signer  string    `json:"signer,omitempty"`  // empty: signatures are not asked for
	Tree    string    `json:"tree,omitempty"`    // store path of the source tree, or a directory with its registry alone
	Hash    string    `json:"hash,omitempty"`    // of the tree, by git

	Warnings []string       `json:"warnings,omitempty"` // about files that are not what their authors see
	Odd      map[Oddity]int `json:"odd,omitempty"`      // how many of those there are
}

// An Oddity is a kind of file that reaches Nix as git stores it, and not as its authors see it.
type Oddity string

// The oddities.
const (
	OddSubmodule Oddity = "submodule" // an empty directory
	OddPointer   Oddity = "pointer"   // of Git LFS or git-annex, in the place of the file
	OddEncrypted Oddity = "encrypted" // by git-crypt, transcrypt or openssl enc
	OddFilter    Oddity = "filter"    // a line of .gitattributes: how many files it is about is not known
)

// Oddities are all of them.
var Oddities = []Oddity{OddSubmodule, OddPointer, OddEncrypted, OddFilter}

// A System is a toplevel that this node promoted or adopted.
type System struct {
	Toplevel Toplevel `json:"toplevel"`
	Revision Commit   `json:"revision,omitempty"` // empty: adopted, its commit is not known
	Checks   []Check  `json:"checks,omitempty"`   // the checks that it was judged by
	Care     Care     `json:"care,omitzero"`      // for a person's "rollback" of it
	Retires  bool     `json:"retires,omitempty"`  // it has no agent, which somebody wants so
}

// Care is what the registry says of how a node's system is replaced.
type Care struct {
	Rollback RollbackMode `json:"rollback,omitempty"` // empty: the agent's own setting
	Drain    [][]string   `json:"drain,omitempty"`    // commands before the activation
	Undrain  [][]string   `json:"undrain,omitempty"`  // commands after the end
	Judged   string       `json:"judged,omitempty"`   // a short name of the registry's checks; empty: there are none
}

// A Newcomer is what a system says of itself before it is tried.
type Newcomer struct {
	Checks  []Check // of its own settings; nil: they are not known
	Retires bool    // it has no agent, and may have none
	// Observes says that its agent would only look on.
	Observes bool
	// Units are those that are new, gone, or others than in the running system, sorted.
	Units    []string
	HostName string // that it brings; empty: the one that the node has, or it is not known
	// Identity is how its settings find the node in the registry, as a text that is equal
	// for settings that do so in the same way; empty: it is not known.
	Identity string
}
