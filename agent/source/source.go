// Package source brings the configuration repository to the node.
//
// A [Poller] asks the remotes which commit the branch points to. A [Fetcher] gets
// that commit: a killable child process, the same binary (see [Child]), talks to
// the remote, shows that the commit descends from the last accepted one, and
// writes its files into a directory. The package knows git; it does not know what
// is in the files, nor which commit to deploy.
package source

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/infra-agent/infra-agent/reconcile"
)

// Options says what to follow, and within which limits.
type Options struct {
	Remotes []Remote // in order of preference
	Branches
	Interval time.Duration // between two polls of a remote
	Dir      string        // of the child alone: the git store, a cache, and the files of a commit
	Limits   Limits
	Trust    Trust
	Checkout Checkout
	Child    []string // program and arguments that call [Child]
	Unit     *Unit    // runs the child with fewer rights than this process has; nil: it is a process of this one
}

// Branches names what is followed, by short names.
type Branches struct {
	Branch  string // main
	Testing string // whose commits are only tried; "" = none
}

// refs returns the full names.
func (b Branches) refs() []string {
	if b.Testing == "" {
		return []string{refOf(b.Branch)}
	}
	return []string{refOf(b.Branch), refOf(b.Testing)}
}

// head is the ref whose target is the remote's own choice of a branch.
const head = "HEAD"

// tips picks the branches' commits of what a remote says of the refs, and of [head]. It is an
// answer, too, that there is no testing branch.
func (b Branches) tips(said map[string]string) (Tips, error) {
	var t Tips
	var err error
	hash, there := said[refOf(b.Branch)]
	if !there {
		why := "the repository does not have it"
		if name, is := strings.CutPrefix(said[head], "refs/heads/"); is {
			why += fmt.Sprintf(", its HEAD is %q", oneLine(name, 100))
		}
		return t, noBranch(b.Branch, why)
	}
	if t.Commit, err = commitOf(hash); err != nil {
		return t, err
	}
	if hash, there := said[refOf(b.Testing)]; there && b.Testing != "" {
		t.Testing, err = commitOf(hash)
	}
	return t, err
}

func commitOf(hash string) (reconcile.Commit, error) {
	c, err := reconcile.ParseCommit(hash)
	if err == nil && len(c) != 40 {
		return "", errSHA256
	}
	return c, err
}

var errSHA256 = errors.New("the repository names its objects by SHA-256, which is not supported (hint: serve one that is made with git init --object-format=sha1)")

// Tips are the commits that the branches point to at a remote.
type Tips struct {
	Commit  reconcile.Commit
	Testing reconcile.Commit // "" = there is no testing branch
}

// A Unit is where the child runs when it talks to another machine.
type Unit struct {
	Dir string   // as [Options.Dir], but of the unit
	Env []string // KEY=VALUE, told with the job: everybody may read a unit's, and a proxy's URL may hold a password
	Run func(ctx context.Context, c UnitCall) ([]byte, error)
}

// A UnitCall is what a unit is started with. It returns what the child printed.
type UnitCall struct {
	Stdin  []byte
	Copies map[string]string // of files that the unit cannot read, by their names
	Writes bool              // it needs its directory; else it gets none
	Stderr func(line string)
}

// unit returns the unit for a remote; nil for one on this machine, which only this
// process's user may be able to read.
func (o Options) unit(r Remote) *Unit {
	if endpoint, err := r.endpoint(); err != nil || endpoint.Protocol == "file" {
		return nil
	}
	return o.Unit
}

// dir returns what belongs to the child that talks to a remote.
func (o Options) dir(r Remote) string {
	if unit := o.unit(r); unit != nil {
		return unit.Dir
	}
	return o.Dir
}

// A Remote is one place that serves the repository.
type Remote struct {
	Name           string
	URL            string        // https, http, ssh, git, file, or an absolute path; a user name for ssh only
	Username       string        // sent with the token, or of ssh where the URL names none; "" = git
	TokenFile      string        // holds the token; "" = no authentication
	SSHKeyFile     string        // private key, for ssh
	KnownHostsFile string        // sshd(8), SSH_KNOWN_HOSTS FILE FORMAT; for ssh
	CAFile         string        // PEM; "" = the system's authorities
	Timeout        time.Duration // of a poll, and of the server's silence in a fetch
}

// Limits bounds what a remote can make the agent store.
type Limits struct {
	TreeBytes   int64         // sum of the sizes of all files of a commit
	TreeEntries int           // files, links and directories of a commit
	FetchBytes  int64         // of the answers to one fetch
	Fetch       time.Duration // of a fetch, all steps included
}

// Checkout says what becomes of the files that git itself replaces when it checks a
// commit out.
type Checkout struct {
	RefuseEncrypted bool // a commit with files that a filter would have to make readable; else they are told
	Submodules      Submodules
	LFS             bool     // pointers of Git LFS are replaced by what they stand for
	Hosts           []Remote // credentials for what is fetched of other hosts; Name is the host, and there is no URL
}

// A DeniedError says that a server answered, and does not let this node in: it wants another
// token or key.
type DeniedError struct{ Err error }

func (e *DeniedError) Error() string { return e.Err.Error() }

// Unwrap returns what the server said.
func (e *DeniedError) Unwrap() error { return e.Err }

// ErrNoBranch says that a remote answered, and does not have the branch.
var ErrNoBranch = errors.New("branch not found")

// noBranch is an answer, not a failure: the agent holds, and asks again.
func noBranch(branch, why string) error {
	return reconcile.Rejected(reconcile.GateSource, fmt.Errorf(
		"%s: %w, %s (hint: push the branch, or correct source.branch)", branch, ErrNoBranch, why))
}

// A noBranchError is what a child said when the remote does not have the branch.
type noBranchError struct{ text string }

func (e *noBranchError) Error() string { return e.text }
func (e *noBranchError) Unwrap() error { return ErrNoBranch }
