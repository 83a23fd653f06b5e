package source

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"

	"golang.org/x/sys/unix"

	"github.com/infra-agent/infra-agent/agent/signature"
	"github.com/infra-agent/infra-agent/reconcile"
)

// A job is what the child reads from its standard input. It names the files that
// hold secrets, never a secret.
type job struct {
	Ask    bool   // only ask which commit the branch points to
	File   *Place // only get that file; nil: fetch
	Anew   bool   // delete the store first
	Remote Remote
	Branches
	Dir         string
	Limits      Limits
	Trust       Trust
	Checkout    Checkout
	Tip         reconcile.Commit
	Anchor      reconcile.Commit
	Accepted    []reconcile.Commit
	Env         []string // KEY=VALUE, of a unit
	AllowRewind reconcile.Commit
	Prove       bool // ask for the tip though the store may have it
}

// An answer is what the child writes to its standard output.
type answer struct {
	Result   *Result           `json:"result,omitempty"`
	Error    string            `json:"error,omitempty"`
	Gate     reconcile.Gate    `json:"gate,omitempty"` // set: the commit is rejected
	Suspect  bool              `json:"suspect,omitempty"`
	Verdict  reconcile.Verdict `json:"verdict,omitempty"`
	NoBranch bool              `json:"no_branch,omitempty"`
	Denied   bool              `json:"denied,omitempty"`
	NoKeys   bool              `json:"no_keys,omitempty"`
	Busy     *BusyError        `json:"busy,omitempty"`
}

// result is what the parent believes of an answer: the child has read what
// strangers sent, so the parent takes no path and no commit of it that it did not
// ask for, and no text that is not fit for a log.
func (a answer) result(j job) (Result, error) {
	text := errors.New(oneLine(a.Error, 1000))
	switch {
	case a.Result != nil:
		r := *a.Result
		r.Subject, r.Signer, r.Unconfined = oneLine(r.Subject, 200), oneLine(r.Signer, 200), oneLine(r.Unconfined, 200)
		r.Warnings = r.Warnings[:min(len(r.Warnings), maxWarnings)]
		for i, w := range r.Warnings {
			r.Warnings[i] = oneLine(w, 500)
		}
		maps.DeleteFunc(r.Odd, func(o reconcile.Oddity, n int) bool { return !slices.Contains(reconcile.Oddities, o) || n < 0 })
		switch {
		case j.Ask:
			return j.answered(r)
		case j.File != nil:
			return r.file()
		}
		r.Commit, r.Tree = j.Tip, j.tree()
		return r, nil
	case a.Busy != nil:
		return Result{}, &BusyError{Status: oneLine(a.Busy.Status, 200), After: a.Busy.After}
	case a.NoBranch:
		return Result{}, reconcile.Rejected(reconcile.GateSource, &noBranchError{text.Error()})
	case a.Gate == reconcile.GateUnverified || a.Gate == reconcile.GateSource:
		return Result{}, &reconcile.RejectedError{Gate: a.Gate, Err: text, Suspect: a.Suspect, Verdict: a.verdict()}
	case a.Denied:
		return Result{}, &DeniedError{text}
	case a.NoKeys:
		return Result{}, &reconcile.KeysError{Err: text}
	}
	return Result{}, text
}

// file is what is believed of a file: nothing but its size.
func (r Result) file() (Result, error) {
	if len(r.File) > maxFile || len(r.Signature) > maxFile {
		return Result{}, errTooLarge
	}
	return Result{File: r.File, Signature: r.Signature, Modified: r.Modified, NoFile: r.NoFile}, nil
}

// maxWarnings is how many a person may still read.
const maxWarnings = 10

// verdict is one of the known ones: it becomes a label.
func (a answer) verdict() reconcile.Verdict {
	if slices.Contains(reconcile.Verdicts, a.Verdict) {
		return a.Verdict
	}
	return ""
}

// verdictOn names what the verification of a commit found.
func verdictOn(err error) reconcile.Verdict {
	switch {
	case errors.Is(err, errDiverged):
		return reconcile.VerdictNotDescendant
	case errors.Is(err, signature.ErrUnsigned):
		return reconcile.VerdictUnsigned
	case errors.Is(err, signature.ErrUnknownKey):
		return reconcile.VerdictUnknownKey
	case errors.Is(err, signature.ErrBad), errors.Is(err, signature.ErrMalformed):
		return reconcile.VerdictBadSignature
	}
	return ""
}

// answered believes the commits of an answer to a question, when they are commits.
func (b Branches) answered(r Result) (Result, error) {
	said := map[string]string{refOf(b.Branch): string(r.Commit)}
	if r.Testing != "" {
		said[refOf(b.Testing)] = string(r.Testing)
	}
	tips, err := b.tips(said)
	return Result{Commit: tips.Commit, Testing: tips.Testing}, err
}

// Child does one job of a [Fetcher] in a process of its own. The error says why
// no answer could be given; that a fetch failed is an answer.
func Child(stdin io.Reader, stdout io.Writer) error {
	var j job
	d := json.NewDecoder(stdin)
	d.DisallowUnknownFields()
	if err := d.Decode(&j); err != nil {
		return fmt.Errorf("read the job: %w", err)
	}
	for _, variable := range j.Env {
		name, value, _ := strings.Cut(variable, "=")
		if err := os.Setenv(name, value); err != nil {
			return fmt.Errorf("set %s: %w", name, err)
		}
	}
	var a answer
	result, err := j.confined()
	if err != nil {
		a.Error = oneLine(err.Error(), 1000)
		if rejected, is := errors.AsType[*reconcile.RejectedError](err); is {
			a.Gate, a.Suspect, a.Verdict = rejected.Gate, rejected.Suspect, verdictOn(err)
		}
		a.NoBranch = errors.Is(err, ErrNoBranch)
		_, a.Denied = errors.AsType[*DeniedError](err)
		_, a.NoKeys = errors.AsType[*reconcile.KeysError](err)
		a.Busy, _ = errors.AsType[*BusyError](err)
	} else {
		a.Result = &result
	}
	if err := json.NewEncoder(stdout).Encode(a); err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	return nil
}

// confined does the job with no more rights than it needs.
func (j job) confined() (Result, error) {
	if !j.Ask {
		if err := os.MkdirAll(j.Dir, 0o700); err != nil {
			return Result{}, err
		}
	}
	unconfined, err := j.confine()
	if err != nil {
		return Result{}, err
	}
	result, err := j.run()
	result.Unconfined = unconfined
	return result, err
}

// run asks, or gets the commit, and once more from nothing when the store is damaged.
func (j job) run() (Result, error) {
	if j.Ask {
		tips, err := j.ask(context.Background()) // the parent kills this process instead
		return Result{Commit: tips.Commit, Testing: tips.Testing}, err
	}
	if j.File != nil {
		return j.file(context.Background())
	}
	unlock, err := lock(filepath.Join(j.Dir, "lock"))
	if err != nil {
		return Result{}, err
	}
	defer unlock()
	if j.Anew || j.Prove && j.outgrown() {
		if err := j.forget(); err != nil {
			return Result{}, err
		}
	}
	result, err := j.attempt()
	if _, damaged := errors.AsType[*damagedError](err); damaged {
		if err := j.forget(); err != nil {
			return Result{}, err
		}
		if result, err = j.attempt(); err != nil {
			if _, again := errors.AsType[*damagedError](err); again { // of an empty store: it is the remote
				err = suspected("the remote does not give the whole commit: %w", err)
			}
		}
	}
	if err != nil {
		_ = os.RemoveAll(j.treeDir()) // it may be half written
	}
	return result, err
}

// attempt gets the commit, shows that it descends from the anchor, and writes
// its files.
func (j job) attempt() (Result, error) {
	s, err := openStore(j.store())
	if err != nil {
		return Result{}, err
	}
	defer s.close()
	ctx := context.Background() // the parent kills this process instead
	tip, anchor := hash(j.Tip), hash(j.base())
	r := remote{job: j}
	defer r.close()
	if err := r.bring(ctx, s, tip, anchor); err != nil {
		return Result{}, err
	}
	commits, rewound, err := r.descend(ctx, s, tip, anchor)
	if err != nil {
		return Result{}, err
	}
	begun := time.Now()
	signer, err := r.verify(ctx, s, tip, anchor, rewound)
	if err != nil {
		return Result{}, err
	}
	verified := time.Since(begun)
	commit, err := s.commit(tip)
	if err != nil {
		return Result{}, err
	}
	at := commit.Committer.When.UTC()
	if at.Year() < 1970 || at.Year() > 9999 {
		return Result{}, refused("commit %s: its date, year %d, cannot be right", j.Tip.Short(), at.Year())
	}
	warnings, odd, err := j.writeTree(ctx, s, tip)
	if err != nil {
		return Result{}, err
	}
	if r.session != nil {
		warnings = append(warnings, r.session.warnings...)
	}
	if r.session != nil {
		s.compact(tip)
	}
	subject, _, _ := strings.Cut(commit.Message, "\n")
	if j.Anchor == "" {
		commits = 0
	}
	return Result{
		Commit: j.Tip, Time: at, Subject: oneLine(subject, 200), Signer: oneLine(signer, 200), Tree: j.tree(), Verified: verified, Commits: commits,
		Warnings: warnings, Odd: odd,
	}, nil
}

// refused is an error that the commit itself caused: only bytes that have its name,
// or a name that it names, may say so.
func refused(format string, args ...any) error {
	return reconcile.Rejected(reconcile.GateUnverified, fmt.Errorf(format, args...))
}

// suspected is an error that the commit caused, or a remote by what it sent or kept
// back.
func suspected(format string, args ...any) error {
	return reconcile.Suspected(reconcile.GateUnverified, fmt.Errorf(format, args...))
}

// lock keeps two children off one store: an agent that is killed leaves its child
// behind, and the next agent starts another.
func lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	return func() { _ = f.Close() }, nil
}

// oneLine makes text from a remote fit for a log line of at most n bytes.
func oneLine(text string, n int) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case !unicode.IsPrint(r):
			return -1
		}
		return r
	}, strings.TrimSpace(text))
	if len(text) <= n {
		return text
	}
	return strings.ToValidUTF8(text[:n], "") + "…"
}
