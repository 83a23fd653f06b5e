package source

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/infra-agent/infra-agent/reconcile"
)

// The most bytes, of both directions together, that an idle poll may cost.
const (
	maxPollHTTP  = 700
	maxPollHTTP2 = 320
)

// A wire counts what goes over the connections of a server.
type wire struct {
	net.Listener
	conns, bytes atomic.Int64
}

func (w *wire) Accept() (net.Conn, error) {
	c, err := w.Listener.Accept()
	if err != nil {
		return nil, err
	}
	w.conns.Add(1)
	return &wireConn{c, w}, nil
}

type wireConn struct {
	net.Conn
	wire *wire
}

func (c *wireConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.wire.bytes.Add(int64(n))
	return n, err
}

func (c *wireConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.wire.bytes.Add(int64(n))
	return n, err
}

// onWire serves the handler and counts.
func onWire(t testing.TB, handler http.Handler, secure bool) (*httptest.Server, *wire) {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	w := &wire{Listener: server.Listener}
	server.Listener = w
	if secure {
		server.EnableHTTP2 = true
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	return server, w
}

func TestIdlePollCostsOnePacketWhateverTheNumberOfRefs(t *testing.T) {
	w := newWorld(t)
	want := w.pushed("a", "1")
	for _, refs := range []int{0, 3000} {
		var list strings.Builder
		for i := range refs {
			fmt.Fprintf(&list, "%s refs/heads/feature-%d\n", want, i)
		}
		if err := os.WriteFile(w.bare+"/packed-refs", []byte("# pack-refs with: peeled fully-peeled \n"+list.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			name   string
			secure bool
			most   int64
		}{{"http", false, maxPollHTTP}, {"https, version 2", true, maxPollHTTP2}} {
			t.Run(fmt.Sprintf("%s, %d refs", c.name, refs), func(t *testing.T) {
				server, wire := onWire(t, w.handler, c.secure)
				remote := Remote{Name: "origin", URL: server.URL + "/fleet.git", Timeout: time.Minute}
				if c.secure {
					remote.CAFile = authority(t, server.Certificate().Raw)
				}
				a := newAsker(t, remote, onMain)
				poll := func() {
					t.Helper()
					if got, err := a.tips(t.Context(), onMain); err != nil || got.Commit != want {
						t.Fatalf("tips = %v, %v, want %s", got, err, want)
					}
				}
				for range 3 { // the connection, and HTTP/2's table of headers
					poll()
				}
				const polls = 10
				before := wire.bytes.Load()
				for range polls {
					poll()
				}
				each := (wire.bytes.Load() - before) / polls
				t.Logf("%d bytes a poll", each)
				if each > c.most {
					t.Errorf("a poll costs %d bytes, want at most %d", each, c.most)
				}
				if got := wire.conns.Load(); got != 1 {
					t.Errorf("%d connections, want 1 that is kept", got)
				}
			})
		}
	}
}

func TestServerWithoutVersion2IsAskedTheOldWay(t *testing.T) {
	w := newWorld(t)
	want := w.pushed("a", "1")
	var newWay atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && r.Header.Get("Git-Protocol") != "" {
			newWay.Add(1)
		}
		r.Header.Del("Git-Protocol")
		w.handler.ServeHTTP(rw, r)
	}))
	t.Cleanup(server.Close)
	a := newAsker(t, Remote{Name: "origin", URL: server.URL + "/fleet.git"}, onMain)
	for range 3 {
		if got, err := a.tips(t.Context(), onMain); err != nil || got.Commit != want {
			t.Errorf("tips = %v, %v, want %s", got, err, want)
		}
	}
	if got := newWay.Load(); got != 1 {
		t.Errorf("asked by version 2 %d times, want once", got)
	}
}

// answer serves one answer to every question.
func answer200(body string) http.HandlerFunc {
	return func(rw http.ResponseWriter, _ *http.Request) { _, _ = rw.Write([]byte(body)) }
}

func TestAnswersOfHostileServers(t *testing.T) {
	t.Parallel()
	const other = "003d0123456789012345678901234567890123456789 refs/heads/mainz"
	for _, c := range []struct{ name, body, want string }{
		{"error", "0015ERR go away\x1b[2Jaa", `the server says: "go away\x1b[2Jaa"`},
		{"short name", "0037012345678901234567890123456789 refs/heads/main\n0000", "version 2"},
		{"ends early", other, "version 2"},
		{"no pkt-line", "<html>", "version 2"},
		{"endless", strings.Repeat(other, 20000), "version 2"},
		{"nothing", "0000", "branch not found"},
		{"only a longer name", other + "0000", "branch not found"},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := httptest.NewServer(answer200(c.body))
			defer server.Close()
			_, err := lsRefs(t.Context(), server.Client(), Remote{Name: "origin", URL: server.URL}, onMain)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("lsRefs: %v, want an error that says %q", err, c.want)
			}
		})
	}
}

func TestBusyServerIsAskedLater(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Retry-After", "120")
		rw.WriteHeader(http.StatusTooManyRequests)
	}))
	defer server.Close()
	_, err := lsRefs(t.Context(), server.Client(), Remote{Name: "origin", URL: server.URL}, onMain)
	busy, ok := errors.AsType[*BusyError](err)
	if !ok || busy.After != 2*time.Minute {
		t.Errorf("lsRefs: %v, want busy for 2m", err)
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"":                              0,
		"7":                             7 * time.Second,
		"-7":                            0,
		"soon":                          0,
		"Fri, 02 Jan 2026 03:05:05 GMT": time.Minute,
		"Fri, 02 Jan 2026 03:03:05 GMT": 0,
		"99999999":                      time.Hour,
		"9300000000":                    time.Hour,
		"99999999999999999999":          time.Hour,
	} {
		if got := retryAfter(value, now); got != want {
			t.Errorf("retryAfter(%q) = %v, want %v", value, got, want)
		}
	}
}

func FuzzTipsIn(f *testing.F) {
	f.Add("003d0123456789012345678901234567890123456789 refs/heads/main\n0000")
	f.Add("0000")
	f.Add("0009ERR x")
	f.Fuzz(func(t *testing.T, body string) {
		tips, err := tipsIn(strings.NewReader(body), onMain)
		if _, parse := reconcile.ParseCommit(string(tips.Commit)); err == nil && parse != nil {
			t.Errorf("tipsIn(%q) = %v, which is no commit", body, tips)
		}
	})
}
