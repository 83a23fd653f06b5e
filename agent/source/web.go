package source

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
)

const (
	uploadPack = "git-upload-pack"
	refsQuery  = "/info/refs?service=" + uploadPack
)

// web is a server that is asked over HTTP(S), gitprotocol-http(5).
type web struct {
	remote Remote
	url    string // of the repository, as redirected
	client *http.Client
}

func newWeb(remote Remote, m *meter) (*web, error) {
	base, err := roundTripper(remote)
	if err != nil {
		return nil, err
	}
	base.DisableCompression = true // packs are compressed
	dial := base.DialContext
	base.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &meteredConn{conn, m, remote.Timeout}, nil
	}
	return &web{remote, strings.TrimSuffix(remote.URL, "/"), &http.Client{Transport: base, CheckRedirect: sameHost}}, nil
}

// Close gives the connection up.
func (w *web) Close() error {
	w.client.CloseIdleConnections()
	return nil
}

func (w *web) list(ctx context.Context, refs []string) (listing, error) {
	req, err := w.remote.request(ctx, http.MethodGet, w.url+refsQuery, http.NoBody)
	if err != nil {
		return listing{}, err
	}
	resp, err := w.remote.do(w.client, req)
	if err != nil {
		return listing{}, err
	}
	defer resp.Body.Close()
	w.url = strings.TrimSuffix(resp.Request.URL.String(), refsQuery)
	body := bufio.NewReader(resp.Body)
	if isDumb(body) {
		return listing{}, fmt.Errorf("%s serves the files of the repository (git's dumb protocol), which is not supported (hint: have git http-backend serve it)", w.url)
	}
	prefix := pktline.NewScanner(body)
	if !prefix.Scan() || !bytes.HasPrefix(prefix.Bytes(), []byte("# service="+uploadPack)) || !prefix.Scan() {
		return listing{}, fmt.Errorf("%s/… does not answer as a git server does (hint: is the url of remote %s right?)", w.url, w.remote.Name)
	}
	return readListing(body, refs)
}

// isDumb reports whether an answer begins as info/refs of git-update-server-info(1): the
// name of an object and a tab. A service would say how long its first line is.
func isDumb(answer *bufio.Reader) bool {
	start, err := answer.Peek(41)
	return err == nil && start[40] == '\t' && strings.Trim(string(start[:40]), "0123456789abcdef") == ""
}

// UploadPack sends a request, and returns the answer.
func (w *web) UploadPack(ctx context.Context, want *packp.UploadPackRequest) (*packp.UploadPackResponse, error) {
	body, err := encodeRequest(want)
	if err != nil {
		return nil, err
	}
	req, err := w.remote.request(ctx, http.MethodPost, w.url+"/"+uploadPack, body)
	if err != nil {
		return nil, err
	}
	resp, err := w.remote.do(w.client, req) //nolint:bodyclose // the answer closes it
	if status, is := errors.AsType[*statusError](err); is {
		status.found = true // the same url has just listed its refs
	}
	if err != nil {
		return nil, err
	}
	return decodeResponse(resp.Body, want)
}

// request makes a request that carries the remote's token.
func (r Remote) request(ctx context.Context, method, url string, body io.Reader) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return nil, fmt.Errorf("the URL of remote %s is not valid", r.Name)
	}
	req.Header.Set("User-Agent", "infra-agent")
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-"+uploadPack+"-request")
	}
	if r.TokenFile != "" {
		token, err := readToken(r.TokenFile)
		if err != nil {
			return nil, err
		}
		req.SetBasicAuth(r.username(), token)
	}
	return req, nil
}

// do sends a request. Every status but 200 is an error that says what to do.
func (r Remote) do(client *http.Client, req *http.Request) (*http.Response, error) {
	resp, err := client.Do(req)
	if err != nil {
		return nil, r.unreached(err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	body, _ := io.ReadAll(io.LimitReader(resp.Body, answerBytes)) // whole, so that the connection is kept
	resp.Body.Close()
	after := retryAfter(resp.Header.Get("Retry-After"), time.Now())
	if code := resp.StatusCode; after > 0 || code == http.StatusTooManyRequests || code == http.StatusServiceUnavailable {
		return nil, &BusyError{Status: resp.Status, After: after}
	}
	status := &statusError{status: resp.Status, hint: "is the url of remote " + r.Name + " right?"}
	if resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden {
		status.denied, status.hint = true, "set token_file of remote "+r.Name
		if r.TokenFile != "" {
			status.hint = "is the token in " + r.TokenFile + " still valid?"
		}
	}
	if says := said(resp.Header.Get("Content-Type"), string(body)); !echoes(string(body)+says, req) {
		status.says = oneLine(says, 200)
	}
	if status.denied {
		return nil, &DeniedError{status}
	}
	return nil, status
}

// unreached says what to do about a server that was not reached, where that can be known.
func (r Remote) unreached(err error) error {
	if _, is := errors.AsType[*net.DNSError](err); is {
		return fmt.Errorf("%w (hint: does this node have a name server that knows it?)", err)
	}
	if _, is := errors.AsType[*tls.CertificateVerificationError](err); is {
		hint := "name its authority in ca_file of remote " + r.Name + ", or in security.pki of NixOS"
		if r.CAFile != "" {
			hint = "is its authority in " + r.CAFile + "?"
		}
		return fmt.Errorf("%w (hint: %s)", err, hint)
	}
	return err
}

// echoes reports whether a server's text has the secret that it was given.
func echoes(text string, req *http.Request) bool {
	_, token, _ := req.BasicAuth()
	_, encoded, _ := strings.Cut(req.Header.Get("Authorization"), " ")
	return token != "" && strings.Contains(text, token) || encoded != "" && strings.Contains(text, encoded)
}

// A statusError is an answer that is no repository.
type statusError struct {
	status, hint string
	says         string // its text, if it is one
	denied       bool   // the server wants to know who asks
	found        bool   // the repository is there
}

func (e *statusError) Error() string {
	text := "the server answers " + e.status
	if e.says != "" {
		text += fmt.Sprintf(" and says %q", e.says)
	}
	if e.denied || !e.found {
		text += fmt.Sprintf(" (hint: %s)", e.hint)
	}
	return text
}

// roundTripper trusts the authorities that the remote names.
func roundTripper(remote Remote) (*http.Transport, error) {
	base := http.DefaultTransport.(*http.Transport).Clone()
	base.MaxResponseHeaderBytes = answerBytes // the agent's own process reads them
	if remote.CAFile == "" {
		return base, nil
	}
	pool, err := authorities(remote.CAFile)
	if err != nil {
		return nil, err
	}
	base.TLSClientConfig = &tls.Config{RootCAs: pool}
	return base, nil
}

// username goes with the token; forges ignore it or want any name.
func (r Remote) username() string {
	if r.Username == "" {
		return "git"
	}
	return r.Username
}

func authorities(path string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(copyOf(path))
	if err != nil {
		return nil, fmt.Errorf("read ca_file: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("ca_file %s holds no PEM certificate", path)
	}
	return pool, nil
}

// readToken never says what is in the file.
func readToken(path string) (string, error) {
	data, err := os.ReadFile(copyOf(path))
	if err != nil {
		return "", unreadable("token_file", err)
	}
	token := strings.TrimSpace(string(data))
	if token == "" && isCopy(path) {
		return "", missingCopy("token_file", path)
	}
	if token == "" || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return "", fmt.Errorf("token_file %s must hold one word, the token", path)
	}
	return token, nil
}

// sameHost refuses to be sent elsewhere: the operator named the host to trust.
func sameHost(to *http.Request, via []*http.Request) error {
	switch from := via[0].URL; {
	case len(via) > 5:
		return errors.New("more than 5 redirects")
	case to.URL.Host != from.Host || (from.Scheme == "https" && to.URL.Scheme != "https"):
		return fmt.Errorf("redirected to %s://%s (hint: if that is right, make it the remote's url)", to.URL.Scheme, to.URL.Host)
	}
	return nil
}
