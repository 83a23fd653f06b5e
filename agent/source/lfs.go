package source

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/format/config"
)

// A pointer is what git stores of a file of Git LFS, git-lfs docs/spec.md.
type pointer struct {
	OID  string `json:"oid"` // SHA-256 of the content, in hexadecimal
	Size int64  `json:"size"`
}

const maxPointer = 1024 // bytes

var pointerForm = regexp.MustCompile(`^version https://git-lfs\.github\.com/spec/v1\noid sha256:([0-9a-f]+)\nsize ([0-9]+)\n$`)

// parsePointer returns what a file stands for, if it is a pointer and nothing else.
func parsePointer(text []byte) (p pointer, is bool) {
	found := pointerForm.FindSubmatch(text)
	if found == nil || len(found[1]) != 64 || len(found[2]) > 15 {
		return pointer{}, false
	}
	size, err := strconv.ParseInt(string(found[2]), 10, 64)
	return pointer{string(found[1]), size}, err == nil
}

// pointed is a file of the tree that is a pointer as yet.
type pointed struct {
	path string
	pointer
}

// objects replaces the pointers of a repository by what they stand for. What earlier
// commits had is there; the rest is asked for in as few requests as the servers like.
func (l *layout) objects(ctx context.Context, r *repository) error {
	files := r.pointers
	if len(files) == 0 {
		return nil
	}
	missing := map[string]pointer{}
	for _, f := range files {
		if err := l.count(f.Size); err != nil {
			return err
		}
		l.lfs.used[f.OID] = true
		l.proof.Objects = append(l.proof.Objects, []byte(f.path))
		if _, err := os.Stat(l.lfs.file(f.OID)); err != nil {
			missing[f.OID] = f.pointer
		}
	}
	if len(missing) > 0 {
		endpoint, header, err := l.lfsAt(ctx, r)
		if err != nil {
			return fmt.Errorf("find %q in Git LFS: %w", files[0].path, err)
		}
		if err := l.lfs.fetch(ctx, endpoint, header, missing); err != nil {
			return fmt.Errorf("fetch from Git LFS at %s: %w", endpoint.URL, err)
		}
	}
	for _, f := range files {
		if err := l.object(f); err != nil {
			return err
		}
	}
	return nil
}

// object writes what a pointer stands for in its place: the file keeps its mode.
func (l *layout) object(f pointed) error {
	in, err := os.Open(l.lfs.file(f.OID))
	if err != nil {
		return &damagedError{err}
	}
	defer in.Close()
	out, err := l.root.OpenFile(f.path, os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return fmt.Errorf("write the tree: %w", err)
	}
	sum := sha256.New()
	_, err = io.Copy(io.MultiWriter(out, sum), in)
	if closed := out.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", f.path, err)
	}
	if hex.EncodeToString(sum.Sum(nil)) != f.OID {
		return &damagedError{fmt.Errorf("the stored content of %q is not what its pointer says", f.path)}
	}
	return nil
}

// lfsAt returns the server of a repository's objects, and what it wants to be sent with each
// question: as git-lfs-config(5), of which lfs.url is known, else as the server of a repository
// that is fetched by ssh says itself, and else as git-lfs makes it of the repository's own URL.
func (w *writer) lfsAt(ctx context.Context, r *repository) (at Remote, header map[string]string, err error) {
	url, err := w.lfsConfigured(r)
	if err == nil && url == "" {
		url, header, err = askLFS(ctx, r.remote)
	}
	if err == nil && url == "" {
		url, err = lfsURL(r.remote)
	}
	if err != nil {
		return Remote{}, nil, err
	}
	at, err = w.checkout.remoteAt(strings.TrimSuffix(url, "/"), r.remote, w.modules.job.Remote)
	return at, header, err
}

// lfsConfigured returns lfs.url of the repository; "": it has none.
func (w *writer) lfsConfigured(r *repository) (string, error) {
	text, err := w.small(r, ".lfsconfig")
	if err != nil {
		return "", err
	}
	parsed := config.New()
	if err := config.NewDecoder(bytes.NewReader(text)).Decode(parsed); err != nil {
		return "", refused(".lfsconfig: %s", oneLine(err.Error(), 200))
	}
	at := parsed.Section("lfs").Option("url")
	if at != "" && !isLFSURL(at) {
		return "", refused(".lfsconfig: lfs.url is not a URL with https:// or http://")
	}
	return at, nil
}

// A server of nothing else has no path.
func isLFSURL(at string) bool {
	return validateModule(strings.TrimRight(at, "/")+"/objects") == nil && strings.HasPrefix(at, "http")
}

// lfsURL is the URL that git-lfs takes where none is set.
func lfsURL(from Remote) (string, error) {
	endpoint, err := from.endpoint()
	if err != nil {
		return "", err
	}
	at := strings.TrimSuffix(from.URL, "/")
	switch endpoint.Protocol {
	case "https", "http":
	case "ssh", "git":
		at = "https://" + endpoint.Host + "/" + strings.TrimPrefix(strings.TrimSuffix(endpoint.Path, "/"), "/")
	default:
		return "", errors.New("a repository on this disk has no server for it (hint: set lfs.url in .lfsconfig)")
	}
	return strings.TrimSuffix(at, ".git") + ".git/info/lfs", nil
}
