package control

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/infra-agent/infra-agent/reconcile"
)

// serve answers on a socket and returns a client of it, and the verbs that arrived.
func serve(t *testing.T, status Status, answer error) (Client, *[]reconcile.Verb) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "run")
	l, err := Listen(dir, "no-such-group")
	if err != nil {
		t.Fatal(err)
	}
	var verbs []reconcile.Verb
	s := &Server{
		Status:  func() Status { return status },
		Command: func(_ context.Context, v reconcile.Verb) error { verbs = append(verbs, v); return answer },
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Serve() = %v, want nil when the context ends", err)
		}
	})
	return Client{RunDir: dir}, &verbs
}

func asRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root may change something: run the tests as root")
	}
}

func TestStatusArrives(t *testing.T) {
	want := Status{
		Version: "1.2.3", Running: true, Node: "web", Roles: []reconcile.Role{"dns"}, State: "held", Since: time.Unix(1700000000, 0).UTC(),
		Holds: []reconcile.Hold{{Gate: reconcile.GateBuild, Why: "x <&>", Until: time.Unix(1700000060, 0).UTC()}},
		Build: &reconcile.Progress{Built: 1, ToBuild: 2}, Checks: map[string]reconcile.CheckResult{"web": {OK: true, Took: time.Second}},
	}
	c, _ := serve(t, want, nil)
	got, err := c.Status(t.Context())
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("Status(): %v (-want +got):\n%s", err, diff)
	}
}

const commit = reconcile.Commit("0123456789012345678901234567890123456789")

func TestVerbs(t *testing.T) {
	asRoot(t)
	end := time.Date(2026, 3, 29, 18, 0, 0, 0, time.UTC)
	tests := []struct {
		request Request
		want    reconcile.Verb
	}{
		{Request{Verb: "sync"}, reconcile.Sync{}},
		{Request{Verb: "suspend", Arg: "the database moves"}, reconcile.Suspend{Reason: "the database moves"}},
		{Request{Verb: "suspend", Arg: "why", Until: end}, reconcile.Suspend{Reason: "why", Until: end}},
		{Request{Verb: "resume"}, reconcile.Resume{}},
		{Request{Verb: "confirm"}, reconcile.Approve{}},
		{Request{Verb: "retire"}, reconcile.LetRetire{}},
		{Request{Verb: "cancel"}, reconcile.CancelTrial{}},
		{Request{Verb: "extend", Arg: "1h30m"}, reconcile.Extend{By: 90 * time.Minute}},
		{Request{Verb: "rollback"}, reconcile.StepBack{}},
		{Request{Verb: "retry"}, reconcile.Retry{}},
		{Request{Verb: "adopt"}, reconcile.Adopt{}},
		{Request{Verb: "allow-rewind", Arg: string(commit)}, reconcile.AllowRewind{To: commit}},
	}
	c, verbs := serve(t, Status{}, nil)
	for i, tt := range tests {
		if err := c.Do(t.Context(), tt.request); err != nil {
			t.Errorf("%v: %v", tt.request, err)
			continue
		}
		if got := (*verbs)[i]; got != tt.want {
			t.Errorf("%v arrived as %#v, want %#v", tt.request, got, tt.want)
		}
	}
}

func TestRefusals(t *testing.T) {
	asRoot(t)
	tests := []struct {
		name    string
		request Request
		answer  error
		want    reconcile.RefusedError
		arrives bool
	}{
		{"busy", Request{Verb: "adopt"}, &reconcile.RefusedError{Why: "busy: a rollback is under way", Hint: "wait"}, reconcile.RefusedError{Why: "busy: a rollback is under way", Hint: "wait"}, true},
		{"an error", Request{Verb: "sync"}, errors.New("the record could not be written"), reconcile.RefusedError{Why: "the record could not be written"}, true},
		{"unknown verb", Request{Verb: "dance"}, nil, reconcile.RefusedError{Why: `unknown verb "dance"`}, false},
		{"no reason", Request{Verb: "suspend"}, nil, reconcile.RefusedError{Why: "suspend: say why, so that others know"}, false},
		{"an end of what has none", Request{Verb: "retry", Until: time.Date(2026, 3, 29, 18, 0, 0, 0, time.UTC)}, nil, reconcile.RefusedError{Why: "retry: only a suspension has an end"}, false},
		{"no duration", Request{Verb: "extend", Arg: "soon"}, nil, reconcile.RefusedError{Why: `extend: time: invalid duration "soon"`}, false},
		{"a short commit", Request{Verb: "allow-rewind", Arg: "0123"}, nil, reconcile.RefusedError{Why: `allow-rewind: commit "0123": want 40 or 64 hexadecimal digits`}, false},
		{"oversize", Request{Verb: "suspend", Arg: strings.Repeat("x", maxRequest)}, nil, reconcile.RefusedError{Why: "http: request body too large"}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, verbs := serve(t, Status{}, tt.answer)
			err := c.Do(t.Context(), tt.request)
			refused, ok := errors.AsType[*reconcile.RefusedError](err)
			if !ok || *refused != tt.want {
				t.Errorf("got %v, want %+v", err, tt.want)
			}
			if arrived := len(*verbs) == 1; arrived != tt.arrives {
				t.Errorf("the verb arrived: %v, want %v", arrived, tt.arrives)
			}
		})
	}
}

// post sends a body as it is, over conn.
func post(t *testing.T, c Client, method, path, body string, dial func(string) (net.Conn, error)) (code int, answer string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(context.Context, string, string) (net.Conn, error) {
		return dial(filepath.Join(c.RunDir, SocketName))
	}}}
	req, err := http.NewRequestWithContext(t.Context(), method, "http://infra-agent"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, strings.TrimSpace(string(text))
}

func dial(path string) (net.Conn, error) { return net.Dial("unix", path) } //nolint:noctx // the test's own socket

func TestBadRequests(t *testing.T) {
	asRoot(t)
	c, verbs := serve(t, Status{}, nil)
	for _, tt := range []struct {
		method, path, body string
		code               int
		want               string
	}{
		{"POST", "/command", `{"verb":"sync"`, 400, `{"error":"request: unexpected EOF"}`},
		{"POST", "/command", "", 400, `{"error":"request: EOF"}`},
		{"POST", "/command", `{"verb":"sync"}{"verb":"adopt"}`, 400, `{"error":"request: more than one JSON value"}`},
		{"POST", "/command", `{"verb":"sync","force":true}`, 400, `{"error":"request: json: unknown field \"force\""}`},
		{"POST", "/command", `{"verb":7}`, 400, `{"error":"request: json: cannot unmarshal number into Go struct field Request.verb of type string"}`},
		{"GET", "/command", "", 405, "Method Not Allowed"},
		{"POST", "/status", "", 405, "Method Not Allowed"},
		{"GET", "/", "", 404, "404 page not found"},
	} {
		code, answer := post(t, c, tt.method, tt.path, tt.body, dial)
		if code != tt.code || answer != tt.want {
			t.Errorf("%s %s %s: got %d %s, want %d %s", tt.method, tt.path, tt.body, code, answer, tt.code, tt.want)
		}
	}
	if len(*verbs) != 0 {
		t.Errorf("verbs arrived: %v", *verbs)
	}
}

// What is accepted is one of the verbs, and says the same when it is sent again.
func FuzzParseRequest(f *testing.F) {
	for _, seed := range []string{
		`{"verb":"sync"}`, `{"verb":"suspend","arg":"why"}`, `{"verb":"suspend","arg":"why","until":"2026-03-29T18:00:00Z"}`, `{"verb":"extend","arg":"90m"}`,
		`{"verb":"allow-rewind","arg":"` + string(commit) + `"}`, `{"verb":"adopt"} x`, `[]`, `{"VERB":"retry"}`, `null`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		v, err := ParseRequest(body)
		if (v == nil) == (err == nil) {
			t.Fatalf("ParseRequest(%q) = %v, %v, want a verb or an error", body, v, err)
		}
		switch v := v.(type) {
		case reconcile.Suspend:
			if v.Reason == "" {
				t.Errorf("%q suspends without a reason", body)
			}
		case reconcile.AllowRewind:
			if _, err := reconcile.ParseCommit(string(v.To)); err != nil {
				t.Errorf("%q: %v", body, err)
			}
		}
	})
}
