package source

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// authority writes a file of authorities that holds the certificate.
func authority(t *testing.T, der []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// stranger is the certificate of an authority that has signed nothing.
func stranger(t *testing.T) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// A proxy hands bytes on; break swallows those of all connections that it has.
type proxy struct {
	net.Listener
	to    string
	lost  atomic.Int64 // connections up to this one are swallowed
	conns atomic.Int64
}

func newProxy(t *testing.T, to string) *proxy {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{Listener: l, to: to}
	t.Cleanup(func() { l.Close() })
	go p.serve()
	return p
}

func (p *proxy) serve() {
	for {
		from, err := p.Accept()
		if err != nil {
			return
		}
		to, err := net.Dial("tcp", p.to) //nolint:noctx // it ends with the test
		if err != nil {
			return
		}
		n := p.conns.Add(1)
		pipe := func(a, b net.Conn) {
			defer b.Close()
			buf := make([]byte, 32<<10)
			for {
				read, err := a.Read(buf)
				if err != nil {
					return
				}
				if p.lost.Load() < n {
					_, _ = b.Write(buf[:read])
				}
			}
		}
		go pipe(from, to)
		go pipe(to, from)
	}
}

// A kept connection whose other end is gone costs one poll, over HTTP/2 as well.
func TestADeadConnectionIsGivenUp(t *testing.T) {
	w := newWorld(t)
	want := w.pushed("a", "1")
	server, _ := onWire(t, w.handler, true)
	p := newProxy(t, server.Listener.Addr().String())
	remote := Remote{Name: "origin", URL: "https://" + p.Addr().String() + "/fleet.git", CAFile: authority(t, server.Certificate().Raw), Timeout: time.Minute}
	o := w.fetcher.opts
	o.Remotes = []Remote{remote}
	poller := NewPoller(o)
	defer poller.end()
	if got := poller.ask(t.Context(), remote); got.Commit != want {
		t.Fatalf("the first poll = %+v, want %s", got, want)
	}
	p.lost.Store(p.conns.Load())
	hasty := remote
	hasty.Timeout = 200 * time.Millisecond
	if got := poller.ask(t.Context(), hasty); got.Err == nil {
		t.Fatalf("a poll over the dead connection = %+v, want an error", got)
	}
	if got := poller.ask(t.Context(), remote); got.Commit != want {
		t.Errorf("the poll after it = %+v, want %s over a new connection", got, want)
	}
	if n := p.conns.Load(); n != 2 {
		t.Errorf("%d connections, want 2", n)
	}
}

func TestAuthoritiesAreReadAnew(t *testing.T) {
	w := newWorld(t)
	want := w.pushed("a", "1")
	server, _ := onWire(t, w.handler, true)
	file := authority(t, stranger(t))
	a := newAsker(t, Remote{Name: "origin", URL: server.URL + "/fleet.git", CAFile: file, Timeout: time.Minute}, onMain)
	defer a.close()
	if _, err := a.tips(t.Context(), onMain); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("with another authority: %v, want a certificate error", err)
	}
	right, err := os.ReadFile(authority(t, server.Certificate().Raw))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, right, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := a.tips(t.Context(), onMain); err != nil || got.Commit != want {
		t.Errorf("tips = %v, %v, want %s: the file has the right one now", got, err, want)
	}
}

// A server that was ill for a moment is not asked the expensive way for ever.
func TestVersion2IsTriedAgain(t *testing.T) {
	w := newWorld(t)
	want := w.pushed("a", "1")
	var questions atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Git-Protocol") != "" && questions.Add(1) == 1 {
			rw.WriteHeader(http.StatusBadGateway)
			return
		}
		w.handler.ServeHTTP(rw, r)
	}))
	t.Cleanup(server.Close)
	a := newAsker(t, Remote{Name: "origin", URL: server.URL + "/fleet.git"}, onMain)
	defer a.close()
	asked := 0
	older := a.child
	a.child = func(ctx context.Context, r Remote) (Tips, error) {
		if asked++; asked > 1 { // one real answer is enough
			return Tips{Commit: want}, nil
		}
		return older(ctx, r)
	}
	for range askAgain + 3 {
		if got, err := a.tips(t.Context(), onMain); err != nil || got.Commit != want {
			t.Fatalf("tips = %v, %v, want %s", got, err, want)
		}
	}
	if questions.Load() != 3 || asked != askAgain+1 {
		t.Errorf("asked by version 2 %d times and the older way %d times, want 3 and %d", questions.Load(), asked, askAgain+1)
	}
}

func TestABusyServerOfTheOlderProtocol(t *testing.T) {
	w := newWorld(t)
	w.pushed("a", "1")
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Git-Protocol") != "" {
			rw.WriteHeader(http.StatusNotFound)
			return
		}
		rw.Header().Set("Retry-After", "1800")
		rw.WriteHeader(http.StatusForbidden)
	}))
	t.Cleanup(server.Close)
	remote := Remote{Name: "origin", URL: server.URL + "/fleet.git", Timeout: time.Minute}
	a := newAsker(t, remote, onMain)
	defer a.close()
	_, err := a.tips(t.Context(), onMain)
	if busy, is := errors.AsType[*BusyError](err); !is || busy.After != 30*time.Minute {
		t.Errorf("a poll: %v, want busy for 30m", err)
	}
	w.follow(remote, w.fetcher.opts.Limits)
	_, err = w.fetch(somewhere, "")
	if busy, is := errors.AsType[*BusyError](err); !is || busy.After != 30*time.Minute {
		t.Errorf("a fetch: %v, want busy for 30m", err)
	}
}

// The agent's own process reads the answers to its questions.
func TestHeadersOfAHostileServer(t *testing.T) {
	flood := http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		for i := range 100 {
			rw.Header().Set(fmt.Sprintf("X-Flood-%d", i), strings.Repeat("x", 5000))
		}
		_, _ = io.WriteString(rw, "0000")
	})
	for secure, want := range map[bool]string{false: "response headers exceeded 65536 bytes", true: "PROTOCOL_ERROR"} {
		server, _ := onWire(t, flood, secure)
		remote := Remote{Name: "origin", URL: server.URL + "/x.git", Timeout: time.Minute}
		if secure {
			remote.CAFile = authority(t, server.Certificate().Raw)
		}
		a := newAsker(t, remote, onMain)
		if _, err := a.lsRefs(t.Context(), onMain); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("HTTP/2 %t: %v, want an error that says %q", secure, err, want)
		}
		a.close()
	}
}

func TestRedirectsAreNotFollowedInTheClear(t *testing.T) {
	from, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://git.example.org/x.git", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	to, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://git.example.org/x.git", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if err := sameHost(to, []*http.Request{from}); err == nil || !strings.Contains(err.Error(), "redirected to http://git.example.org") {
		t.Errorf("from https to http: %v, want a refusal", err)
	}
	if err := sameHost(from, []*http.Request{to}); err != nil {
		t.Errorf("from http to https: %v", err)
	}
}

func TestSHA256RepositoriesAreRefusedByName(t *testing.T) {
	w := newWorld(t)
	dir := t.TempDir()
	w.run(dir, "git", "init", "-q", "--object-format=sha256", "-b", "main", dir+"/work")
	w.run(dir+"/work", "git", "commit", "-q", "--allow-empty", "-m", "x")
	w.run(dir, "git", "clone", "-q", "--bare", dir+"/work", filepath.Dir(w.bare)+"/sha256.git")
	for _, url := range []string{strings.Replace(w.url, "fleet.git", "sha256.git", 1), filepath.Dir(w.bare) + "/sha256.git"} {
		if _, err := tip(t, Remote{Name: "origin", URL: url, Timeout: time.Minute}, "main"); err == nil || !strings.Contains(err.Error(), "SHA-256, which is not supported") {
			t.Errorf("%s: %v, want the reason", url, err)
		}
	}
}
