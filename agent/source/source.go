// Package source brings the configuration repository to the node.
//
// A [Poller] asks the remotes which commit the branch points to. A [Fetcher] gets
// that commit: a killable child process, the same binary (see [Child]), talks to
// the remote, shows that the commit descends from the last accepted one, and
// writes its files into a directory. The package knows git; it does not know what
// is in the files, nor which commit to deploy.
package source

import (
	"errors"
	"fmt"
	"time"

	"github.com/infra-agent/infra-agent/reconcile"
)

// Options says what to follow, and within which limits.
type Options struct {
	Remotes  []Remote      // in order of preference
	Branch   string        // short name: main
	Interval time.Duration // between two polls of a remote
	Dir      string        // of the git store, which is a cache: it is deleted when it cannot be read
	Limits   Limits
	Trust    Trust
	Child    []string // program and arguments that call [Child]
}

// A Remote is one place that serves the repository.
type Remote struct {
	Name      string
	URL       string // https, http, file, or an absolute path; without user and password
	Username  string // sent with the token; "" = git
	TokenFile string // holds the token; "" = no authentication
	CAFile    string // PEM; "" = the system's authorities
	Timeout   time.Duration
}

// Limits bounds what a remote can make the agent store.
type Limits struct {
	TreeBytes   int64 // sum of the sizes of all files of a commit
	TreeEntries int   // files, links and directories of a commit
	FetchBytes  int64 // of the answers to one fetch
}

// ErrNoBranch says that a remote answered, and does not have the branch.
var ErrNoBranch = errors.New("branch not found")

// noBranch is an answer, not a failure: the agent holds, and asks again.
func noBranch(branch, why string) error {
	return reconcile.Rejected(reconcile.GateSource, fmt.Errorf(
		"%s: %w, %s (hint: push the branch, or correct source.branch)", branch, ErrNoBranch, why))
}
