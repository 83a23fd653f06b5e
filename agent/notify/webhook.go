package notify

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/infra-agent/infra-agent/agent/message"
)

const (
	answerBytes = 64 << 10 // of an answer that are read, so that the receiver can end it
	headerBytes = 64 << 10
	secretBytes = 16 << 10
)

// A Webhook is an address that takes messages by POST.
type Webhook struct {
	URL        string           // with [message.Secret] where the secret belongs; in headers too
	SecretFile string           // read for each message; "": there is no secret
	Headers    []string         // "Name: value"
	Template   message.Template // of the body
	CAFile     string           // "": the system's authorities
	Timeout    time.Duration
}

// Post hands the message over. Any 2xx is an answer; redirects are not followed. No error has the secret in it, nor what
// the receiver says: that could have it.
func (w Webhook) Post(ctx context.Context, m message.Message) error {
	ctx, cancel := context.WithTimeoutCause(ctx, w.Timeout, fmt.Errorf("no answer within %v", w.Timeout))
	defer cancel()
	secret, err := w.secret()
	if err != nil {
		return err
	}
	req, err := w.request(ctx, m, secret)
	if err != nil {
		return err
	}
	client, err := w.client()
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return w.withoutSecret(ctx, err, secret)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, answerBytes))
	return answered(resp.StatusCode)
}

// answered says what the status of an answer means.
func answered(status int) error {
	said := strings.TrimSpace(fmt.Sprintf("it answers %d %s", status, http.StatusText(status)))
	switch {
	case status >= 200 && status <= 299:
		return nil
	case status >= 300 && status <= 399:
		return fmt.Errorf("%s, which is not followed (hint: write the address that it leads to)", said)
	case status == http.StatusBadRequest, status == http.StatusRequestEntityTooLarge, status == http.StatusUnsupportedMediaType, status == http.StatusUnprocessableEntity:
		return &RefusedError{said + " (hint: is the template what it wants?)"}
	case status == http.StatusUnauthorized, status == http.StatusForbidden, status == http.StatusNotFound, status == http.StatusGone:
		return fmt.Errorf("%s (hint: is the secret, or the address, right?)", said)
	}
	return errors.New(said)
}

func (w Webhook) request(ctx context.Context, m message.Message, secret string) (*http.Request, error) {
	body, mediaType := m.Body(w.Template)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.ReplaceAll(w.URL, message.Secret, secret), bytes.NewReader(body))
	if err != nil { // it would name the address
		return nil, errors.New("the url is none with the secret in it")
	}
	req.Header.Set("Content-Type", mediaType)
	req.Header.Set("User-Agent", "infra-agent")
	for _, header := range w.Headers {
		name, value, _ := strings.Cut(header, ":")
		req.Header.Set(strings.TrimSpace(name), strings.TrimSpace(strings.ReplaceAll(value, message.Secret, secret)))
	}
	return req, nil
}

// client is one for a single message: messages are rare, and an idle connection is memory.
func (w Webhook) client() (*http.Client, error) {
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: headerBytes,
	}
	if w.CAFile != "" {
		pem, err := os.ReadFile(w.CAFile)
		if err != nil {
			return nil, fmt.Errorf("ca_file: %w", err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("ca_file: %s has no certificate", w.CAFile)
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // it would get the secret
	}, nil
}

// secret reads the secret, which is one line.
func (w Webhook) secret() (string, error) {
	if w.SecretFile == "" {
		return "", nil
	}
	text, err := os.ReadFile(w.SecretFile)
	if err != nil {
		return "", fmt.Errorf("secret_file: %w", err)
	}
	secret := strings.TrimSpace(string(text))
	switch {
	case secret == "":
		return "", fmt.Errorf("secret_file: %s is empty", w.SecretFile)
	case len(secret) > secretBytes || strings.ContainsAny(secret, " \t\r\n"):
		return "", fmt.Errorf("secret_file: %s has more in it than one word", w.SecretFile)
	}
	return secret, nil
}

// withoutSecret says why there is no answer, without the address.
func (w Webhook) withoutSecret(ctx context.Context, err error, secret string) error {
	if u, is := errors.AsType[*url.Error](err); is {
		err = u.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = context.Cause(ctx)
	}
	why := err.Error()
	if secret != "" {
		why = strings.ReplaceAll(why, secret, message.Secret)
	}
	return errors.New(why)
}
