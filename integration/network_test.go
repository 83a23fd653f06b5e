//go:build integration

package integration

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/infra-agent/infra-agent/integration/lab"
)

func TestPartition(t *testing.T) {
	t.Parallel()
	l := newIdleLab(t)
	ctx := t.Context()
	n := must[*lab.Node](t)(l.Node("web1", "10.99.0.11"))
	check(t, n.Boot(ctx))
	if got, want := requests(ctx, n), (reached{git: true, second: true, ping: true}); got != want {
		t.Errorf("connected: reached %+v, want %+v", got, want)
	}
	check(t, l.StopGit())
	if got, want := requests(ctx, n), (reached{second: true, ping: true}); got != want {
		t.Errorf("git server down: reached %+v, want %+v", got, want)
	}
	check(t, l.StartGit())
	check(t, n.Link(false))
	if got, want := requests(ctx, n), (reached{}); got != want {
		t.Errorf("cut off: reached %+v, want %+v", got, want)
	}
	check(t, n.Link(true))
	if got, want := requests(ctx, n), (reached{git: true, second: true, ping: true}); got != want {
		t.Errorf("connected again: reached %+v, want %+v", got, want)
	}
}

// reached says which services a node gets an answer from.
type reached struct{ git, second, ping bool }

func requests(ctx context.Context, n *lab.Node) (r reached) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second) // a busy machine answers late
	defer cancel()
	client := http.Client{Transport: &http.Transport{DialContext: n.Dial, DisableKeepAlives: true}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, lab.GitURL+"/info/refs?service=git-upload-pack", nil)
	if err != nil {
		return r
	}
	if response, err := client.Do(request); err == nil {
		r.git = response.StatusCode == http.StatusOK
		response.Body.Close()
	}
	if conn, err := n.Dial(ctx, "tcp", lab.SecondAddress+":80"); err == nil {
		r.second = true
		conn.Close()
	}
	_, err = n.Run(ctx, "ping", "-c1", "-W1", lab.SecondAddress)
	r.ping = err == nil
	return r
}

func TestGitServer(t *testing.T) {
	t.Parallel()
	const token = "lab-token"
	l := newLab(t, lab.Options{GitToken: token})
	n := must[*lab.Node](t)(l.Node("web1", "10.99.0.11"))
	tip := must[string](t)(l.Repo().Tip())
	client := http.Client{Transport: &http.Transport{DialContext: n.Dial, DisableKeepAlives: true}}
	var zipped bytes.Buffer
	zip := gzip.NewWriter(&zipped)
	must[int](t)(io.WriteString(zip, "0014command=ls-refs\n00010015ref-prefix refs/h0000"))
	check(t, zip.Close())

	for _, tc := range []struct {
		name, method, path, auth string
		body                     []byte
		status                   int
		want                     string
	}{
		{"no token", "GET", "/info/refs?service=git-upload-pack", "", nil, 401, "a token is needed"},
		{"bearer", "GET", "/info/refs?service=git-upload-pack", "Bearer " + token, nil, 200, "version 2"},
		{"basic", "GET", "/info/refs?service=git-upload-pack", "Basic bGFiOmxhYi10b2tlbg==", nil, 200, "version 2"},
		{"gzip", "POST", "/git-upload-pack", "Bearer " + token, zipped.Bytes(), 200, tip + " refs/heads/main"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			request := must[*http.Request](t)(http.NewRequestWithContext(t.Context(), tc.method, lab.GitURL+tc.path, bytes.NewReader(tc.body)))
			request.Header.Set("Git-Protocol", "version=2")
			if tc.auth != "" {
				request.Header.Set("Authorization", tc.auth)
			}
			if tc.body != nil {
				request.Header.Set("Content-Type", "application/x-git-upload-pack-request")
				request.Header.Set("Content-Encoding", "gzip")
			}
			response := must[*http.Response](t)(client.Do(request))
			defer response.Body.Close()
			body := must[[]byte](t)(io.ReadAll(response.Body))
			if response.StatusCode != tc.status || !strings.Contains(string(body), tc.want) {
				t.Errorf("got %d %q, want %d with %q", response.StatusCode, body, tc.status, tc.want)
			}
		})
	}
}
