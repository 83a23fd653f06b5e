package notify

import (
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/infra-agent/infra-agent/agent/message"
	"github.com/infra-agent/infra-agent/reconcile"
)

const token = "T0/B0/hunter2"

var promoted = message.Of("web1", reconcile.Notice{Kind: reconcile.NoticePromoted, ID: "promoted/d1", Deployment: "d1"})

func secretFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAMessageIsPosted(t *testing.T) {
	var got *http.Request
	var body []byte
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
		w.WriteHeader(http.StatusAccepted)
	}))
	defer srv.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	hook := Webhook{
		URL: srv.URL + "/services/{secret}?x=1", SecretFile: secretFile(t, token+"\n"), CAFile: ca, Timeout: 10 * time.Second,
		Headers: []string{"Authorization: Bearer {secret}", "X-Title:deployments"}, Template: `{"text": "{text}"}`,
	}
	if err := hook.Post(t.Context(), promoted); err != nil {
		t.Fatal(err)
	}
	if got.Method != "POST" || got.RequestURI != "/services/T0/B0/hunter2?x=1" || string(body) != `{"text": "web1: promoted"}` {
		t.Errorf("%s %s with %s", got.Method, got.RequestURI, body)
	}
	for name, want := range map[string]string{
		"Content-Type": "application/json", "Authorization": "Bearer T0/B0/hunter2", "X-Title": "deployments", "User-Agent": "infra-agent",
	} {
		if got.Header.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, got.Header.Get(name), want)
		}
	}
	hook.CAFile = ""
	if err := hook.Post(t.Context(), promoted); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a server that nobody vouches for: %v", err)
	}
	hook.CAFile, hook.Headers, hook.Template = ca, []string{"content-type: application/x-own"}, ""
	if err := hook.Post(t.Context(), promoted); err != nil || got.Header.Get("Content-Type") != "application/x-own" || string(body) != string(promoted.JSON()) {
		t.Errorf("%v: %s with %s", err, got.Header.Get("Content-Type"), body)
	}
}

func TestAReceiverThatDoesNotTakeIt(t *testing.T) {
	redirected := false
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { redirected = true }))
	defer elsewhere.Close()
	ended := make(chan struct{})
	for name, c := range map[string]struct {
		answer  http.HandlerFunc
		want    string
		refused bool
	}{
		"500":        {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, token, http.StatusInternalServerError) }, "it answers 500 Internal Server Error", false},
		"an odd one": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(599) }, "it answers 599", false},
		"429":        {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) }, "it answers 429 Too Many Requests", false},
		"403":        {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }, "is the secret, or the address, right?", false},
		"400":        {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadRequest) }, "is the template what it wants?", true},
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL+r.URL.Path, http.StatusTemporaryRedirect)
		}, "it answers 307 Temporary Redirect, which is not followed", false},
		"hangs": {func(http.ResponseWriter, *http.Request) { <-ended }, "no answer within 100ms", false},
		"hangs up": {func(w http.ResponseWriter, _ *http.Request) {
			conn, _, _ := w.(http.Hijacker).Hijack()
			conn.Close()
		}, "EOF", false},
		"floods headers": {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-Flood", strings.Repeat("x", 1<<20)) }, "exceeded", false},
	} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(c.answer)
			defer srv.Close()
			if name == "hangs" {
				defer func() { close(ended) }()
			}
			limit := 10 * time.Second
			if name == "hangs" {
				limit = 100 * time.Millisecond
			}
			err := Webhook{URL: srv.URL + "/{secret}", SecretFile: secretFile(t, token), Timeout: limit}.Post(t.Context(), promoted)
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%v, want %q and no secret", err, c.want)
			}
			if _, refused := errors.AsType[*RefusedError](err); refused != c.refused {
				t.Errorf("refused: %v, want %v", refused, c.refused)
			}
		})
	}
	if redirected {
		t.Error("the redirect was followed: the secret went elsewhere")
	}
}

// An answer without an end is taken for what its status says, and read no further than it must be.
func TestAReceiverThatFloods(t *testing.T) {
	sent := make(chan int, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := 0
		for r.Context().Err() == nil {
			k, err := w.Write(make([]byte, 32<<10))
			if n += k; err != nil {
				break
			}
		}
		sent <- n
	}))
	defer srv.Close()
	if err := (Webhook{URL: srv.URL, Timeout: 10 * time.Second}).Post(t.Context(), promoted); err != nil {
		t.Error(err)
	}
	if n := <-sent; n > 64<<20 { // what the kernel's buffers take is a few megabytes
		t.Errorf("%d bytes were taken", n)
	}
}

func TestASecretThatIsNone(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "none")
	for _, c := range []struct{ file, want string }{
		{missing, "secret_file: open " + missing},
		{secretFile(t, " \n"), "is empty"},
		{secretFile(t, "two lines\nhunter2"), "has more in it than one word"},
		{secretFile(t, "hunter2\x7f%zz"), "the url is none with the secret in it"},
	} {
		err := Webhook{URL: "http://127.0.0.1:1/{secret}", SecretFile: c.file, Timeout: time.Second}.Post(t.Context(), promoted)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%v, want %q and no secret", err, c.want)
		}
	}
}

func TestNobodyThere(t *testing.T) {
	err := Webhook{URL: "http://127.0.0.1:1/{secret}", SecretFile: secretFile(t, token), Timeout: 10 * time.Second}.Post(t.Context(), promoted)
	if err == nil || !strings.Contains(err.Error(), "connection refused") || strings.Contains(err.Error(), "http://") {
		t.Errorf("%v, want that the connection was refused, and no URL", err)
	}
}
