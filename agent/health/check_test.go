package health

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/infra-agent/infra-agent/agent/command"
	"github.com/infra-agent/infra-agent/reconcile"
)

// one runs a check and returns its result without the time it took.
func one(t *testing.T, p *Prober, c reconcile.Check) reconcile.CheckResult {
	t.Helper()
	c.Name = "the check"
	if c.Timeout == 0 {
		c.Timeout = time.Minute
	}
	if p == nil {
		p = &Prober{Program: command.Run}
	}
	results := p.Run(t.Context(), []reconcile.Check{c})
	if len(results) != 1 {
		t.Fatalf("got results %v, want one", results)
	}
	r := results["the check"]
	r.Took = 0
	return r
}

var (
	green = reconcile.CheckResult{OK: true}
	red   = func(format string, args ...any) reconcile.CheckResult {
		return reconcile.CheckResult{Detail: fmt.Sprintf(format, args...)}
	}
)

func expect(t *testing.T, p *Prober, c reconcile.Check, want reconcile.CheckResult) {
	t.Helper()
	if got := one(t, p, c); got != want {
		t.Errorf("%s %s%s%s%q: got %+v, want %+v", c.Kind, c.Unit, c.Target, c.Path, c.Command, got, want)
	}
}

// silent returns the address of a port that nobody listens on.
func silent(t *testing.T) string {
	t.Helper()
	l := listen(t)
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return addr
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func TestUnitChecks(t *testing.T) {
	p := &Prober{UnitState: func(_ context.Context, unit string) (string, error) {
		if unit == "lost.service" {
			return "", errors.New("system bus: gone\nmore")
		}
		return strings.TrimSuffix(unit, ".service"), nil
	}}
	for unit, want := range map[string]reconcile.CheckResult{
		"active.service":     green,
		"failed.service":     red("unit failed.service is failed"),
		"activating.service": red("unit activating.service is activating"),
		"lost.service":       red("system bus: gone"),
	} {
		expect(t, p, reconcile.Check{Kind: reconcile.CheckUnit, Unit: unit}, want)
	}
}

func TestTCPChecks(t *testing.T) {
	open, closed := listen(t).Addr().String(), silent(t)
	expect(t, nil, reconcile.Check{Kind: reconcile.CheckTCP, Target: open}, green)
	expect(t, nil, reconcile.Check{Kind: reconcile.CheckTCP, Target: closed}, red("dial tcp %s: connect: connection refused", closed))
}

func TestHTTPChecks(t *testing.T) {
	var agents []string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		agents = append(agents, r.UserAgent())
		switch r.URL.Path {
		case "/moved":
			http.Redirect(w, r, "/ok", http.StatusFound)
		case "/broken":
			http.Error(w, "no database", http.StatusInternalServerError)
		case "/long":
			fmt.Fprint(w, strings.Repeat("x", maxBody), "beyond")
		default:
			fmt.Fprint(w, `{"status": "up"}`)
		}
	}))
	defer srv.Close()
	closed := silent(t)
	tests := []struct {
		path, contains string
		status         int
		want           reconcile.CheckResult
	}{
		{"/ok", "", 0, green},
		{"/ok", `"up"`, 200, green},
		{"/ok", `"down"`, 0, red("GET %s/ok: the answer does not contain %q", srv.URL, `"down"`)},
		{"/ok", "", 204, red("GET %s/ok: status 200, want 204", srv.URL)},
		{"/broken", "", 0, red("GET %s/broken: status 500, want 2xx", srv.URL)},
		{"/broken", "no database", 500, green},
		{"/moved", "", 302, green}, // the redirect is the answer
		{"/moved", "", 0, red("GET %s/moved: status 302, want 2xx", srv.URL)},
		{"/long", "beyond", 0, red("GET %s/long: the answer does not contain %q", srv.URL, "beyond")}, // only 1 MiB is read
	}
	for _, tt := range tests {
		expect(t, nil, reconcile.Check{Kind: reconcile.CheckHTTP, Target: srv.URL + tt.path, Status: tt.status, Contains: tt.contains}, tt.want)
	}
	expect(t, nil, reconcile.Check{Kind: reconcile.CheckHTTP, Target: "http://" + closed}, red("Get \"http://%s\": dial tcp %s: connect: connection refused", closed, closed))
	if slices.ContainsFunc(agents, func(a string) bool { return a != "infra-agent" }) || len(agents) != len(tests) {
		t.Errorf("the server saw agents %q, want infra-agent, once a check", agents)
	}
}

// A kept connection says nothing about a service that was restarted.
func TestEveryHTTPCheckIsANewConnection(t *testing.T) {
	var connections atomic.Int32
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			connections.Add(1)
		}
	}
	srv.Start()
	defer srv.Close()
	for range 3 {
		expect(t, nil, reconcile.Check{Kind: reconcile.CheckHTTP, Target: srv.URL}, green)
	}
	if got := connections.Load(); got != 3 {
		t.Errorf("3 checks made %d connections", got)
	}
}

func TestExecChecks(t *testing.T) {
	sh := func(script string) reconcile.Check {
		return reconcile.Check{Kind: reconcile.CheckExec, Command: []string{"/bin/sh", "-c", script}}
	}
	expect(t, nil, sh(`test "$PWD" = /`), green)
	expect(t, nil, sh("echo no replicas >&2; exit 3"), red("/bin/sh: exit status 3: no replicas"))
	expect(t, nil, sh("kill -9 $$"), red("/bin/sh: killed"))
	expect(t, nil, sh("exec cat /dev/zero"), red("/bin/sh: printed more than 1048576 bytes"))
	expect(t, nil, reconcile.Check{Kind: reconcile.CheckExec, Command: []string{"/no/such"}}, red("start /no/such: fork/exec /no/such: no such file or directory"))
}

// The newer agent that brought it runs it.
func TestUnknownKindIsLeftOut(t *testing.T) {
	checks := []reconcile.Check{{Name: "later", Kind: "ping"}, {Name: "now", Kind: reconcile.CheckExec, Command: []string{"/bin/true"}, Timeout: time.Minute}}
	got := (&Prober{Program: command.Run}).Run(t.Context(), checks)
	if len(got) != 1 || !got["now"].OK {
		t.Errorf("got %v, want now alone, green", got)
	}
}

// Each kind gives up after the check's own timeout and says so.
func TestTimeouts(t *testing.T) {
	l := listen(t) // accepts, by the kernel, and never answers
	const limit = 20 * time.Millisecond
	for _, c := range []reconcile.Check{
		{Kind: reconcile.CheckHTTP, Target: "http://" + l.Addr().String()},
		{Kind: reconcile.CheckExec, Command: []string{"/bin/sleep", "1000"}},
	} {
		c.Timeout = limit
		expect(t, nil, c, red("no answer within 20ms"))
	}
	synctest.Test(t, func(t *testing.T) {
		p := &Prober{UnitState: func(ctx context.Context, _ string) (string, error) {
			<-ctx.Done()
			return "", ctx.Err()
		}}
		c := reconcile.Check{Name: "bus", Kind: reconcile.CheckUnit, Unit: "sshd.service", Timeout: 5 * time.Second}
		want := reconcile.CheckResult{Detail: "no answer within 5s", Took: 5 * time.Second}
		if got := p.Run(t.Context(), []reconcile.Check{c})["bus"]; got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
}

// Checks run beside each other, at most eight at a time.
func TestChecksRunInParallel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now, most atomic.Int32
		p := &Prober{UnitState: func(context.Context, string) (string, error) {
			if n := now.Add(1); n > most.Load() {
				most.Store(n)
			}
			time.Sleep(time.Second)
			now.Add(-1)
			return "active", nil
		}}
		var checks []reconcile.Check
		for i := range 20 {
			checks = append(checks, reconcile.Check{Name: fmt.Sprint(i), Kind: reconcile.CheckUnit, Timeout: time.Minute})
		}
		start := time.Now()
		results := p.Run(t.Context(), checks)
		if took := time.Since(start); took != 3*time.Second || most.Load() != 8 {
			t.Errorf("20 checks of one second took %v, %d at a time, want 3s, 8 at a time", took, most.Load())
		}
		for r := range maps.Values(results) {
			if !r.OK || r.Took != time.Second {
				t.Errorf("got %+v, want green after 1s", r)
			}
		}
		if len(results) != 20 {
			t.Errorf("got %d results, want 20", len(results))
		}
	})
}
