package source

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/transport"
)

// version2 asks for version 2 of the protocol; who does not know it, ignores it.
const version2 = "version=2"

// A stream is a server at the other end of one connection, over ssh or git://.
type stream struct {
	in     *bufio.Reader
	out    io.Writer
	stderr func() string // what the other side said beside the protocol
	end    func() error

	warnings []string // about the files that the remote names
}

// openStream connects, and has the server begin to serve the repository.
func openStream(ctx context.Context, remote Remote, endpoint *transport.Endpoint, m *meter, params ...string) (*stream, error) {
	open := openGit
	if endpoint.Protocol == "ssh" {
		open = openSSH
	}
	conn, address, err := dial(ctx, remote, endpoint, m)
	if err != nil {
		return nil, err
	}
	s, err := open(conn, remote, endpoint, address, params)
	if err != nil {
		_ = conn.Close()
		if m.over() {
			err = m.err()
		}
		return nil, err
	}
	s.end = conn.Close
	return s, nil
}

// A call is a connection that is metered, and ends with its context: no read on it knows of one.
type call struct {
	*meteredConn
	stop func() bool
}

// Close ends it.
func (c call) Close() error {
	c.stop()
	return c.meteredConn.Close()
}

// dial connects to the host of a URL, and returns its address.
func dial(ctx context.Context, remote Remote, endpoint *transport.Endpoint, m *meter) (conn call, address string, err error) {
	address = net.JoinHostPort(strings.Trim(endpoint.Host, "[]"), strconv.Itoa(portOf(endpoint)))
	plain, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return call{}, "", err
	}
	return call{&meteredConn{plain, m, remote.Timeout}, context.AfterFunc(ctx, func() { plain.Close() })}, address, nil
}

// portOf returns the port of a URL, or else that of its protocol.
func portOf(endpoint *transport.Endpoint) int {
	if endpoint.Port != 0 {
		return endpoint.Port
	}
	return map[string]int{"https": 443, "http": 80, "ssh": 22, "git": 9418}[endpoint.Protocol]
}

// openGit asks a git daemon. Nobody proves who they are: only signatures tell the
// repository from another one.
func openGit(conn net.Conn, _ Remote, endpoint *transport.Endpoint, address string, params []string) (*stream, error) {
	host := endpoint.Host
	if endpoint.Port != 0 {
		host = address
	}
	request := packp.GitProtoRequest{
		RequestCommand: uploadPack, Pathname: repositoryPath(endpoint.Path), Host: host, ExtraParams: params,
	}
	if err := request.Encode(conn); err != nil {
		return nil, err
	}
	return &stream{in: bufio.NewReader(conn), out: conn, stderr: func() string { return "" }}, nil
}

// repositoryPath is what git itself makes of a URL's path: /~user/x is below a home.
func repositoryPath(path string) string {
	if strings.HasPrefix(path, "/~") {
		return path[1:]
	}
	return path
}

// Close ends the conversation; the flush tells a server that waits for a request.
func (s *stream) Close() error {
	_, _ = s.out.Write(pktline.FlushPkt)
	return s.end()
}

func (s *stream) list(_ context.Context, refs []string) (listing, error) {
	said, err := readListing(s.in, refs)
	return said, s.explain(err)
}

// UploadPack sends a request, and returns the answer.
func (s *stream) UploadPack(_ context.Context, req *packp.UploadPackRequest) (*packp.UploadPackResponse, error) {
	body, err := encodeRequest(req)
	if err != nil {
		return nil, err
	}
	if _, err := s.out.Write(body.Bytes()); err != nil {
		return nil, s.explain(err)
	}
	resp, err := decodeResponse(io.NopCloser(s.in), req)
	return resp, s.explain(err)
}

// explain adds what the server said when it ended the conversation.
func (s *stream) explain(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		if text := s.stderr(); text != "" {
			return serverSays(text)
		}
	}
	return err
}

// streamTips asks which commits the branches point to: these refs where the server
// knows version 2 of the protocol, else it tells all it has.
func streamTips(ctx context.Context, remote Remote, b Branches, limit int64) (Tips, error) {
	endpoint, err := remote.endpoint()
	if err != nil {
		return Tips{}, err
	}
	s := &session{meter: newMeter(limit)}
	conn, err := openStream(ctx, remote, endpoint, s.meter, version2)
	if err != nil {
		return Tips{}, err
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.in.Peek(4); err != nil {
		return Tips{}, s.explain(conn.explain(err))
	}
	if head, err := conn.in.Peek(len(v2Greeting)); err == nil && string(head) == v2Greeting {
		tips, err := conn.lsRefs(b)
		return tips, s.explain(conn.explain(err))
	}
	if s.listing, err = conn.list(ctx, b.refs()); err != nil {
		return Tips{}, s.explain(err)
	}
	return s.tips(b)
}

// v2Greeting is the first line of a server that speaks version 2.
const v2Greeting = "000eversion 2\n"

func (s *stream) lsRefs(b Branches) (Tips, error) {
	greeting := pktline.NewScanner(s.in)
	for greeting.Scan() && len(greeting.Bytes()) > 0 { // its capabilities end with a flush
	}
	if err := greeting.Err(); err != nil {
		return Tips{}, fmt.Errorf("the server's capabilities: %w", err)
	}
	if _, err := s.out.Write(question(append(b.refs(), head)).Bytes()); err != nil {
		return Tips{}, err
	}
	return tipsIn(s.in, b)
}
