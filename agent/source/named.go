package source

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/sideband"

	"github.com/infra-agent/infra-agent/agent/command"
)

// maxNames is how many objects one request asks for: servers take a body of 1 MiB.
const maxNames = 4096

// objects gets objects of old commits, of which the store has no more than the commits.
// A server of version 2 of the protocol gives any object by its name, and that one alone
// where it has filters: this is how git itself completes a partial clone. Of another one
// everything is fetched that so many commits before the tip have.
func (r *remote) objects(ctx context.Context, s *store, names []plumbing.Hash, depth int) error {
	if !r.noNames {
		err := r.named(ctx, s, names)
		_, says := errors.AsType[*pktline.ErrorLine](err)
		if !says && !errors.Is(err, errNoV2) {
			return err
		}
		r.noNames = true
	}
	if r.whole >= deepenMost {
		return suspected("the remote does not give what the last %d commits before %s have", r.whole, r.Tip.Short())
	}
	r.whole = min(max(depth, deepenBy*r.whole), deepenMost)
	r.withFiles = true
	defer func() { r.withFiles = false }()
	return r.transfer(ctx, s, hash(r.Tip), r.whole)
}

// named asks for objects by their names. An error of the server itself is a
// [pktline.ErrorLine].
func (r *remote) named(ctx context.Context, s *store, names []plumbing.Hash) error {
	if r.names == nil {
		c, err := openCatalog(ctx, r.Remote, r.Limits.FetchBytes)
		if err != nil {
			return err
		}
		r.names = c
	}
	slices.SortFunc(names, func(a, b plumbing.Hash) int { return bytes.Compare(a[:], b[:]) })
	for some := range slices.Chunk(names, maxNames) {
		if err := r.keepNamed(ctx, s, some); err != nil {
			if r.names.meter.over() {
				return suspected("%w", r.names.meter.err())
			}
			return err
		}
	}
	return nil
}

// keepNamed stores what the server gives. Where one of the objects is in another, filters
// of git leave it out: it is asked for again.
func (r *remote) keepNamed(ctx context.Context, s *store, names []plumbing.Hash) error {
	answer, err := r.names.conn.command(ctx, r.names.fetch(names))
	if err != nil {
		return err
	}
	defer answer.Close()
	in := bufio.NewReader(answer)
	if err := toPack(in); err != nil {
		return err
	}
	if err := r.keep(sideband.NewDemuxer(sideband.Sideband64k, in), s); err != nil {
		return err
	}
	for _, name := range names {
		if there, err := s.has(name); err != nil || there {
			return err
		}
	}
	return suspected("the remote does not give object %s", names[0])
}

// toPack reads an answer up to its section packfile, gitprotocol-v2(5).
func toPack(in *bufio.Reader) error {
	for lines := pktline.NewScanner(in); ; {
		if next, err := in.Peek(4); err == nil && string(next) == "0001" { // the end of another section
			if _, err := in.Discard(4); err != nil {
				return err
			}
			continue
		}
		if !lines.Scan() {
			if err := lines.Err(); err != nil {
				return fmt.Errorf("the server's answer: %w", err)
			}
			return fmt.Errorf("the server's answer: %w", io.ErrUnexpectedEOF)
		}
		if string(lines.Bytes()) == "packfile\n" {
			return nil
		}
	}
}

// A catalog is a conversation of version 2 of the protocol.
type catalog struct {
	conn interface {
		capabilities(ctx context.Context) ([]string, error)
		command(ctx context.Context, body *bytes.Buffer) (io.ReadCloser, error)
		io.Closer
	}
	meter  *meter
	filter bool // the server can leave out what is below a tree
}

// openCatalog returns [errNoV2] for a server of another version.
func openCatalog(ctx context.Context, remote Remote, limit int64) (*catalog, error) {
	endpoint, err := remote.endpoint()
	if err != nil {
		return nil, err
	}
	c := &catalog{meter: newMeter(limit)}
	switch {
	case endpoint.Protocol == "file":
		c.conn = onDisk{endpoint.Path, c.meter}
	case strings.HasPrefix(endpoint.Protocol, "http"):
		c.conn, err = newWeb(remote, c.meter)
	default:
		c.conn, err = openStream(ctx, remote, endpoint, c.meter, version2)
	}
	if err != nil {
		return nil, err
	}
	said, err := c.conn.capabilities(ctx)
	if err != nil {
		_ = c.conn.Close()
		return nil, err
	}
	for _, line := range said {
		if features, is := strings.CutPrefix(line, "fetch="); is {
			c.filter = slices.Contains(strings.Fields(features), "filter")
		}
	}
	return c, nil
}

// fetch encodes the command that asks for the objects alone: of a commit without its
// history, of a tree without what is in it.
func (c *catalog) fetch(names []plumbing.Hash) *bytes.Buffer {
	var b bytes.Buffer
	e := pktline.NewEncoder(&b) // a bytes.Buffer takes everything
	_ = e.EncodeString("command=fetch\n", "agent=infra-agent\n", "object-format=sha1")
	b.WriteString("0001") // the delimiter between capabilities and arguments
	_ = e.EncodeString("no-progress\n", "ofs-delta\n", "deepen 1\n")
	if c.filter {
		_ = e.EncodeString("filter tree:0\n")
	}
	for _, name := range names {
		_ = e.EncodeString("want " + name.String() + "\n")
	}
	_ = e.EncodeString("done\n")
	_ = e.Flush()
	return &b
}

// capabilitiesIn reads what a server of version 2 says of itself, up to a flush. A service
// over HTTP may name itself before.
func capabilitiesIn(in io.Reader) ([]string, error) {
	lines, known := pktline.NewScanner(in), false
	var said []string
	for lines.Scan() {
		line := strings.TrimSuffix(string(lines.Bytes()), "\n")
		switch {
		case line == "version 2":
			known = true
		case known && line == "":
			return said, nil
		case known:
			said = append(said, line)
		case line != "" && !strings.HasPrefix(line, "# service="):
			return nil, errNoV2
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("the server's capabilities: %w", err)
	}
	return nil, fmt.Errorf("the server's capabilities: %w", io.ErrUnexpectedEOF)
}

func (w *web) capabilities(ctx context.Context) ([]string, error) {
	req, err := w.remote.request(ctx, http.MethodGet, w.url+refsQuery, http.NoBody)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Git-Protocol", version2)
	resp, err := w.remote.do(w.client, req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	w.url = strings.TrimSuffix(resp.Request.URL.String(), refsQuery)
	return capabilitiesIn(resp.Body)
}

func (w *web) command(ctx context.Context, body *bytes.Buffer) (io.ReadCloser, error) {
	req, err := w.remote.request(ctx, http.MethodPost, w.url+"/"+uploadPack, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Git-Protocol", version2)
	resp, err := w.remote.do(w.client, req)
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

func (s *stream) capabilities(context.Context) ([]string, error) {
	if head, err := s.in.Peek(len(v2Greeting)); err == nil && string(head) != v2Greeting {
		return nil, errNoV2
	}
	said, err := capabilitiesIn(s.in)
	return said, s.explain(err)
}

func (s *stream) command(_ context.Context, body *bytes.Buffer) (io.ReadCloser, error) {
	if _, err := s.out.Write(body.Bytes()); err != nil {
		return nil, s.explain(err)
	}
	return io.NopCloser(s.in), nil
}

// onDisk is a repository on this machine. Git answers one command of version 2, and ends.
type onDisk struct {
	path  string
	meter *meter
}

func (onDisk) Close() error { return nil }

func (onDisk) capabilities(context.Context) ([]string, error) { return []string{"fetch=filter"}, nil }

func (d onDisk) command(ctx context.Context, body *bytes.Buffer) (io.ReadCloser, error) {
	out, err := command.Run(ctx, command.Command{
		Args: []string{"git", "-c", "uploadpack.allowFilter=true", "upload-pack", "--stateless-rpc", d.path},
		Env:  []string{"GIT_PROTOCOL=" + version2}, Stdin: body, MaxOutput: int(d.meter.limit.Load()),
	})
	if _, failed := errors.AsType[*command.ExitError](err); failed { // what is wrong, the older protocol says
		err = fmt.Errorf("%w: %w", errNoV2, err)
	}
	return io.NopCloser(d.meter.reader(bytes.NewReader(out))), err
}
