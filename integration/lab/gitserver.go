package lab

import (
	"bytes"
	"crypto/subtle"
	"fmt"
	"io"
	"net/http"
	"net/http/cgi"
	"os/exec"
	"strings"
	"sync"
	"syscall"
)

// gitServer serves the repositories below root over smart HTTP, protocol v2 and gzip included, on port 80 of a namespace.
type gitServer struct {
	root      string
	token     string
	namespace string

	mu     sync.Mutex // guards what follows
	server *http.Server
	tamper func(honest http.Handler) http.Handler
}

func (g *gitServer) start() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.server != nil {
		return nil
	}
	handler, err := g.handler()
	if err != nil {
		return err
	}
	listener, err := listenIn(g.namespace, GitAddress+":80")
	if err != nil {
		return fmt.Errorf("git server: %w", err)
	}
	if g.tamper != nil {
		handler = g.tamper(handler)
	}
	server := &http.Server{Handler: handler}
	go func() { _ = server.Serve(listener) }() // ends with stop
	g.server = server
	return nil
}

// handler is git's own smart HTTP.
func (g *gitServer) handler() (http.Handler, error) {
	git, err := exec.LookPath("git")
	if err != nil {
		return nil, fmt.Errorf("git server: %w", err)
	}
	backend := &cgi.Handler{
		Path: git,
		Args: []string{"http-backend"},
		Root: "/",
		Env:  append([]string{"GIT_PROJECT_ROOT=" + g.root, "GIT_HTTP_EXPORT_ALL=1"}, gitEnvironment()...),
	}
	return g.authorized(unchunked(backend)), nil
}

func (g *gitServer) stop() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.server == nil {
		return nil
	}
	server := g.server
	g.server = nil
	// A child between fork and exec has a copy of the listener, and its address would stay taken.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	return server.Close()
}

// authorized passes requests with the token on.
func (g *gitServer) authorized(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, given, ok := r.BasicAuth()
		if !ok {
			given = strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		}
		if g.token != "" && subtle.ConstantTimeCompare([]byte(given), []byte(g.token)) == 0 {
			w.Header().Set("WWW-Authenticate", `Basic realm="lab"`)
			http.Error(w, "a token is needed", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// unchunked gives requests of unknown length one: CGI has no chunks.
func unchunked(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength < 0 {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
			r.ContentLength = int64(len(body))
			r.TransferEncoding = nil
		}
		next.ServeHTTP(w, r)
	})
}
