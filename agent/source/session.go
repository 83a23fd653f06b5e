package source

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/transport"
	"github.com/go-git/go-git/v5/plumbing/transport/file"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
)

// A session is one conversation with a remote, after it has said what it has.
type session struct {
	transport.UploadPackSession
	refs  *packp.AdvRefs
	empty bool // the repository has no commit
	meter *meter
	local bool
}

// connect opens a session. The remote may send up to limit bytes in it.
func connect(ctx context.Context, remote Remote, limit int64) (*session, error) {
	endpoint, err := transport.NewEndpoint(remote.URL)
	if err != nil {
		return nil, fmt.Errorf("the URL of remote %s is not valid", remote.Name)
	}
	s := &session{meter: &meter{left: limit, limit: limit}, local: endpoint.Protocol == "file"}
	switch endpoint.Protocol {
	case "file":
		s.UploadPackSession, err = file.DefaultClient.NewUploadPackSession(endpoint, nil)
	case "https", "http":
		s.UploadPackSession, err = dial(remote, endpoint, s.meter)
	default:
		return nil, fmt.Errorf("%s is not supported (hint: use https, http, file or an absolute path)", endpoint.Protocol)
	}
	if err != nil {
		return nil, err
	}
	s.refs, err = s.AdvertisedReferencesContext(ctx)
	if errors.Is(err, transport.ErrEmptyRemoteRepository) {
		s.empty, err = true, nil
	}
	if err != nil {
		_ = s.Close()
		return nil, s.explain(err, remote)
	}
	return s, nil
}

// localPath returns the directory of a remote on this machine.
func localPath(remote Remote) (path string, local bool, err error) {
	endpoint, err := transport.NewEndpoint(remote.URL)
	if err != nil {
		return "", false, fmt.Errorf("the URL of remote %s is not valid", remote.Name)
	}
	return endpoint.Path, endpoint.Protocol == "file", nil
}

func dial(remote Remote, endpoint *transport.Endpoint, m *meter) (transport.UploadPackSession, error) {
	base, err := roundTripper(remote)
	if err != nil {
		return nil, err
	}
	base.DisableKeepAlives = true
	client := githttp.NewClient(&http.Client{
		Transport:     &metered{base, m},
		CheckRedirect: sameHost,
	})
	if remote.TokenFile == "" {
		return client.NewUploadPackSession(endpoint, nil)
	}
	token, err := readToken(remote.TokenFile)
	if err != nil {
		return nil, err
	}
	return client.NewUploadPackSession(endpoint, &githttp.BasicAuth{Username: remote.username(), Password: token})
}

// roundTripper trusts the authorities that the remote names.
func roundTripper(remote Remote) (*http.Transport, error) {
	base := http.DefaultTransport.(*http.Transport).Clone()
	base.ResponseHeaderTimeout = 2 * time.Minute
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
	pem, err := os.ReadFile(path)
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
	data, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read token_file: %w", err)
	}
	token := strings.TrimSpace(string(data))
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

// explain adds to a failure what an operator can do about it.
func (s *session) explain(err error, remote Remote) error {
	if s.meter.over() {
		return s.meter.err()
	}
	return explain(err, remote)
}

func explain(err error, remote Remote) error {
	switch {
	case errors.Is(err, transport.ErrAuthenticationRequired), errors.Is(err, transport.ErrAuthorizationFailed):
		if remote.TokenFile == "" {
			return fmt.Errorf("%w (hint: set token_file of remote %s)", err, remote.Name)
		}
		return fmt.Errorf("%w (hint: is the token in %s still valid?)", err, remote.TokenFile)
	case errors.Is(err, transport.ErrRepositoryNotFound):
		return fmt.Errorf("%w (hint: is the url of remote %s right?)", err, remote.Name)
	}
	return err
}

// A meter counts what a remote sends.
type meter struct{ left, limit int64 }

func (m *meter) over() bool { return m.left < 0 }

func (m *meter) err() error {
	return &limitError{"the remote sends", m.limit, "bytes", "limits.fetch_bytes"}
}

// reader returns r, metered.
func (m *meter) reader(r io.Reader) io.Reader { return &meteredReader{r, m} }

type meteredReader struct {
	io.Reader
	meter *meter
}

func (r *meteredReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if r.meter.left -= int64(n); r.meter.over() {
		return 0, r.meter.err()
	}
	return n, err
}

// metered meters the bodies of all answers.
type metered struct {
	http.RoundTripper
	meter *meter
}

func (t *metered) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.RoundTripper.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{t.meter.reader(resp.Body), resp.Body}
	return resp, nil
}

// A limitError names a limit and the setting that raises it.
type limitError struct {
	what    string
	limit   int64
	unit    string
	setting string
}

func (e *limitError) Error() string {
	return fmt.Sprintf("%s more than %d %s (hint: if that is right, raise %s)", e.what, e.limit, e.unit, e.setting)
}
