package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/transport"
	"github.com/go-git/go-git/v5/plumbing/transport/file"
)

// A conversation is one exchange with a server: it says what it has, and answers
// one request. Close may be called at any time.
type conversation interface {
	list(ctx context.Context, refs []string) (listing, error)
	UploadPack(ctx context.Context, req *packp.UploadPackRequest) (*packp.UploadPackResponse, error)
	io.Closer
}

// A session is a conversation with a remote, after it has said what it has.
type session struct {
	conversation
	listing listing
	meter   *meter
	local   bool

	warnings []string // about the files that the remote names
}

// connect opens a session about refs. The remote may send up to limit bytes in it.
func connect(ctx context.Context, remote Remote, refs []string, limit int64) (*session, error) {
	endpoint, err := remote.endpoint()
	if err != nil {
		return nil, err
	}
	s := &session{meter: newMeter(limit)}
	switch endpoint.Protocol {
	case "https", "http":
		s.conversation, err = newWeb(remote, s.meter)
	case "ssh", "git":
		var conn *stream
		if conn, err = openStream(ctx, remote, endpoint, s.meter); err == nil {
			s.conversation, s.warnings = conn, conn.warnings
		}
	case "file":
		s.local = true
		s.conversation, err = openLocal(endpoint)
	default:
		return nil, fmt.Errorf("%s is not supported (hint: use https, http, ssh, git, file or an absolute path)", endpoint.Protocol)
	}
	if err != nil {
		return nil, err
	}
	if s.listing, err = s.list(ctx, refs); err != nil {
		_ = s.Close()
		return nil, s.explain(err)
	}
	return s, nil
}

// endpoint takes the URL apart. Its error does not repeat it.
func (r Remote) endpoint() (*transport.Endpoint, error) {
	if isShort(r.URL) {
		return shortEndpoint(r.URL), nil
	}
	endpoint, err := transport.NewEndpoint(r.URL)
	if err != nil {
		return nil, fmt.Errorf("the URL of remote %s is not valid", r.Name)
	}
	return endpoint, nil
}

// shortEndpoint takes git's short form apart, USER@HOST:PATH. A host with colons is in
// brackets, and so is one with a port.
func shortEndpoint(at string) *transport.Endpoint {
	server, path := splitURL(at)
	server = strings.TrimSuffix(server, ":")
	e := &transport.Endpoint{Protocol: "ssh", Host: server, Path: path}
	if i := strings.LastIndex(server, "@"); i >= 0 {
		e.User, e.Host = server[:i], server[i+1:]
	}
	if inside, is := strings.CutPrefix(e.Host, "["); is {
		e.Host = strings.TrimSuffix(inside, "]")
		if host, text, is := strings.Cut(e.Host, ":"); is {
			if port, err := strconv.ParseUint(text, 10, 16); err == nil {
				e.Host, e.Port = host, int(port)
			}
		}
	}
	return e
}

// tips returns what the remote said of the branches.
func (s *session) tips(b Branches) (Tips, error) {
	if s.listing.empty {
		return Tips{}, noBranch(b.Branch, "the repository is empty")
	}
	return b.tips(s.listing.commits)
}

// explain replaces what a limit caused by the limit.
func (s *session) explain(err error) error {
	if s.meter.over() {
		return s.meter.err()
	}
	return err
}

// local is a repository on this machine, read by git itself.
type local struct{ transport.UploadPackSession }

func openLocal(endpoint *transport.Endpoint) (conversation, error) {
	s, err := file.DefaultClient.NewUploadPackSession(endpoint, nil)
	if err != nil {
		return nil, err
	}
	return local{s}, nil
}

func (l local) list(ctx context.Context, wanted []string) (listing, error) {
	refs, err := l.AdvertisedReferencesContext(ctx)
	switch {
	case errors.Is(err, transport.ErrEmptyRemoteRepository):
		return listing{empty: true}, nil
	case err != nil && strings.Contains(err.Error(), "dubious ownership"):
		return listing{}, errors.New("git does not read a repository of another user (hint: give it to root, or serve it by https or ssh)")
	case err != nil:
		return listing{}, err
	}
	said := listing{capabilities: refs.Capabilities, commits: map[string]string{}}
	said.takeThin()
	for _, ref := range wanted {
		if hash, ok := refs.References[ref]; ok {
			said.commits[ref] = hash.String()
		}
	}
	return said, nil
}
