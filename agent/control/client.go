package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"path/filepath"

	"github.com/infra-agent/infra-agent/reconcile"
)

// ErrDown says that no agent answers on the socket.
var ErrDown = errors.New("infra-agent is not running")

// A Client talks to the agent of this node.
type Client struct{ RunDir string }

// Status asks for the status. The error is [ErrDown] when no agent answers.
func (c Client) Status(ctx context.Context) (Status, error) {
	var s Status
	return s, c.do(ctx, http.MethodGet, "/status", nil, &s)
}

// Do asks for a change. The error is a [*reconcile.RefusedError] when the agent
// refuses, and [ErrDown] when none answers.
func (c Client) Do(ctx context.Context, r Request) error {
	var out Reply
	if err := c.do(ctx, http.MethodPost, "/command", r, &out); err != nil {
		return err
	}
	if out.Error != "" {
		return &reconcile.RefusedError{Why: out.Error, Hint: out.Hint}
	}
	return nil
}

func (c Client) do(ctx context.Context, method, path string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, reconcile.ControlWithin)
	defer cancel()
	var body io.Reader = http.NoBody
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://infra-agent"+path, body)
	if err != nil {
		return err
	}
	socket := filepath.Join(c.RunDir, SocketName)
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if opErr, ok := errors.AsType[*net.OpError](err); ok && opErr.Op == "dial" {
		if errors.Is(err, fs.ErrPermission) {
			return fmt.Errorf("%s: permission denied: only root and the members of the control group may ask", socket)
		}
		return fmt.Errorf("%w (%s)", ErrDown, socket)
	}
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return json.NewDecoder(resp.Body).Decode(out)
}
