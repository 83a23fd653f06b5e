package source

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"golang.org/x/crypto/ssh"
)

// lfsAuthenticate is the program by which the server of a repository that is fetched by ssh
// hands out access to its objects, which are served by https: git-lfs
// docs/api/authentication.md.
const lfsAuthenticate = "git-lfs-authenticate"

// askLFS asks the server where its objects are, and what it wants to be sent with each
// question: mostly a ticket that is good for some minutes. A server that has no such program,
// and a remote of another kind, say nothing.
func askLFS(ctx context.Context, remote Remote) (url string, header map[string]string, err error) {
	const most = 64 << 10
	endpoint, err := remote.endpoint()
	if err != nil || endpoint.Protocol != "ssh" {
		return "", nil, err
	}
	conn, address, err := dial(ctx, remote, endpoint, newMeter(2*most))
	if err != nil {
		return "", nil, err
	}
	defer func() { _ = conn.Close() }()
	session, _, err := newSSH(conn, remote, endpoint, address)
	if err != nil {
		return "", nil, err
	}
	out, err := session.StdoutPipe()
	if err != nil {
		return "", nil, fmt.Errorf("ssh: %w", err)
	}
	if err := session.Start(lfsAuthenticate + " " + quotedPath(endpoint) + " download"); err != nil {
		return "", nil, fmt.Errorf("ssh: start %s: %w", lfsAuthenticate, err)
	}
	text, err := io.ReadAll(io.LimitReader(out, most))
	if err == nil {
		err = session.Wait()
	}
	if _, none := errors.AsType[*ssh.ExitError](err); none {
		return "", nil, nil
	}
	if err != nil {
		return "", nil, fmt.Errorf("ssh: %s: %w", lfsAuthenticate, err)
	}
	var said struct {
		Href   string            `json:"href"`
		Header map[string]string `json:"header"`
	}
	if err := json.Unmarshal(text, &said); err != nil {
		return "", nil, fmt.Errorf("%s: the server's answer: %w", lfsAuthenticate, err)
	}
	if said.Href != "" && !isLFSURL(said.Href) {
		return "", nil, fmt.Errorf("%s: the server's objects are at no URL with https:// or http://", lfsAuthenticate)
	}
	return said.Href, said.Header, nil
}
