package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/infra-agent/infra-agent/reconcile"
)

// A Place is where a file is that goes with a commit, and is not in it: in a branch of the
// remotes, beside the one that is followed, or at a URL. Its signature is in a file of the
// same name with .sig after it.
type Place struct {
	Branch   string // short name; "" = it is at the URL
	Path     string // in the branch's tree
	URL      string // http or https, with the credentials of the settings for its host
	Unsigned bool   // there is no signature
	Bearer   bool   // the token is sent as one, RFC 6750, and not as a password
}

func (p Place) String() string {
	if p.Branch != "" {
		return p.Path + " of branch " + p.Branch
	}
	return p.URL
}

// A File is what is there. Nobody has looked at it: it may be anything.
type File struct {
	Text      []byte
	Signature []byte    // none where the place has none
	Modified  time.Time // as the server says; zero: it does not
}

// maxFile bounds a file.
const maxFile = 512 << 10 // bytes: what the child prints is bounded too

const signatureSuffix = ".sig"

// ErrNoFile says that a server answered, and does not have the file.
var ErrNoFile = errors.New("it is not there")

// File gets a file and its signature in a child process. The error is [ErrNoFile] where that is
// what the last one said who was asked, and never one of a commit.
func (f *Fetcher) File(ctx context.Context, at Place) (got File, err error) {
	remotes := f.opts.Remotes
	if at.Branch == "" {
		to, err := f.opts.Checkout.remoteAt(at.URL, remotes...)
		if err != nil {
			return File{}, fmt.Errorf("get %s: %w", at, err)
		}
		remotes = []Remote{to}
	}
	for _, r := range remotes {
		got, err = f.fileFrom(ctx, r, at)
		if err == nil || ctx.Err() != nil {
			break
		}
	}
	if err != nil {
		return File{}, fmt.Errorf("get %s: %w", at, err)
	}
	return got, nil
}

func (f *Fetcher) fileFrom(ctx context.Context, r Remote, at Place) (File, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, r.Timeout, fmt.Errorf("no answer within %s", r.Timeout))
	defer cancel()
	limits := f.opts.Limits
	limits.FetchBytes = min(limits.FetchBytes, 64*maxFile) // of a branch, its tree may come with it
	j := job{File: &at, Remote: r, Branches: Branches{Branch: at.Branch}, Dir: f.opts.dir(r), Limits: limits}
	result, err := f.opts.run(ctx, j)
	switch _, rejected := reconcile.RejectedBy(err); {
	case err != nil && ctx.Err() != nil:
		return File{}, context.Cause(ctx)
	case errors.Is(err, ErrNoBranch), result.NoFile:
		return File{}, ErrNoFile
	case rejected: // that is for what is wrong with a commit
		return File{}, errors.New(err.Error())
	case err != nil:
		return File{}, err
	}
	return File{result.File, result.Signature, result.Modified}, nil
}

// file is what the child does for [Fetcher.File].
func (j job) file(ctx context.Context) (Result, error) {
	var r Result
	var get func(ctx context.Context, suffix string) ([]byte, error)
	if j.File.Branch != "" {
		b, err := j.openBranch(ctx)
		if err != nil {
			return Result{}, err
		}
		defer b.close()
		get = b.get
	} else {
		w, err := newWeb(j.Remote, newMeter(2*maxFile)) // one connection for both
		if err != nil {
			return Result{}, err
		}
		defer func() { _ = w.Close() }()
		get = func(ctx context.Context, suffix string) (text []byte, err error) {
			text, r.Modified, err = j.fromURL(ctx, w, suffix)
			return text, err
		}
	}
	var err error
	if r.File, err = get(ctx, ""); err == nil && !j.File.Unsigned {
		r.Signature, err = get(ctx, signatureSuffix)
	}
	if errors.Is(err, ErrNoFile) {
		return Result{NoFile: true}, nil
	}
	return r, err
}

func (j job) fromURL(ctx context.Context, w *web, suffix string) (text []byte, modified time.Time, err error) {
	req, err := j.Remote.request(ctx, http.MethodGet, j.File.URL+suffix, http.NoBody)
	if err != nil {
		return nil, modified, err
	}
	if _, token, given := req.BasicAuth(); given && j.File.Bearer {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := j.Remote.do(w.client, req)
	if status, is := errors.AsType[*statusError](err); is && (strings.HasPrefix(status.status, "404 ") || strings.HasPrefix(status.status, "410 ")) {
		return nil, modified, ErrNoFile
	}
	if err != nil {
		return nil, modified, err
	}
	defer resp.Body.Close()
	modified, _ = http.ParseTime(resp.Header.Get("Last-Modified")) // a pin without a date is refused by whoever reads it
	text, err = io.ReadAll(io.LimitReader(resp.Body, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = errTooLarge
	}
	return text, modified, err
}

var errTooLarge = fmt.Errorf("it has more than %d bytes", maxFile)

// A branchFiles reads files of a branch. Of servers that give objects by their names nothing
// else of it is fetched.
type branchFiles struct {
	remote
	store  *store
	dir    string
	unlock func()
}

func (j job) openBranch(ctx context.Context) (b *branchFiles, err error) {
	a := asker{remote: j.Remote, child: func(ctx context.Context, _ Remote) (Tips, error) { return j.ask(ctx) }}
	defer a.close()
	tips, err := a.tips(ctx, j.Branches) // of one ref, however many there are
	if err != nil {
		return nil, err
	}
	j.Tip = tips.Commit
	b = &branchFiles{remote: remote{job: j}, dir: filepath.Join(j.Dir, "beside")}
	if b.unlock, err = lock(filepath.Join(j.Dir, "lock")); err != nil {
		return nil, err
	}
	if err = os.RemoveAll(b.dir); err == nil { // of a child that was killed
		b.store, err = openStore(b.dir)
	}
	if err != nil {
		b.unlock()
		return nil, err
	}
	return b, nil
}

func (b *branchFiles) close() {
	b.remote.close()
	b.store.close()
	_ = os.RemoveAll(b.dir)
	b.unlock()
}

func (b *branchFiles) get(ctx context.Context, suffix string) ([]byte, error) {
	find := &authorizations{store: b.store, path: b.File.Path + suffix}
	for {
		blob, missing, err := b.look(find)
		if _, odd := reconcile.RejectedBy(err); odd { // of the tree, which has no such file
			return nil, ErrNoFile
		}
		switch {
		case err != nil:
			return nil, err
		case !missing.IsZero():
			if err := b.objects(ctx, b.store, []plumbing.Hash{missing}, 1); err != nil {
				return nil, err
			}
			continue
		}
		size, err := b.store.EncodedObjectSize(blob)
		if err != nil {
			return nil, err
		}
		if size > maxFile {
			return nil, errTooLarge
		}
		return b.store.raw(plumbing.BlobObject, blob)
	}
}

func (b *branchFiles) look(find *authorizations) (blob, missing plumbing.Hash, err error) {
	tip := hash(b.Tip)
	if there, err := b.store.has(tip); err != nil || !there {
		return blob, tip, err
	}
	commit, err := b.store.commit(tip)
	if err != nil {
		return blob, missing, err
	}
	return find.find(commit.TreeHash)
}
