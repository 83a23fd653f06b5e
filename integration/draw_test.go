//go:build integration && boards

package integration

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"
)

// Both boards are drawn by Grafana's components of what a Prometheus saw, into docs: see .ci/boards. No panel is empty, and
// the browser's console has no error.
func TestBoardsAreDrawn(t *testing.T) {
	m, _, _ := seeRollouts(t, newFleet(t))
	b := startBrowser(t)
	for name := range chosen {
		m.draw(b, name)
	}
	for _, e := range b.errors {
		t.Errorf("the browser's console: %s", e)
	}
}

// A drawing is what the viewer says when it is done: packaging/grafana/viewer.
type drawing struct {
	Errors []string
	Empty  []string // titles of panels
	Height int      // pixels
}

// draw draws one board.
func (p *prometheus) draw(b *browser, name string) {
	p.t.Helper()
	drawn := make(chan drawing, 1)
	files := http.NewServeMux()
	const viewer = "../.cache/boards/"
	files.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`<!doctype html><meta charset=utf-8><link rel=icon href=data:><link rel=stylesheet href=main.css><div id=board></div><script src=main.js></script>`))
	})
	for _, file := range []string{"main.js", "main.css"} {
		files.HandleFunc("GET /"+file, func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, viewer+file) })
	}
	files.Handle("GET /public/build/img/icons/", http.StripPrefix("/public/build/img", http.FileServer(http.Dir(viewer))))
	files.HandleFunc("GET /public/fonts/", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }) // they are in none of Grafana's packages
	files.HandleFunc("GET /board.json", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFile(w, r, "../packaging/grafana/"+name+".json")
	})
	files.HandleFunc("POST /drawn", func(_ http.ResponseWriter, r *http.Request) {
		var said drawing
		if err := json.NewDecoder(r.Body).Decode(&said); err != nil {
			said.Errors = append(said.Errors, err.Error())
		}
		drawn <- said
	})
	files.Handle("GET /prometheus/", http.StripPrefix("/prometheus", httputil.NewSingleHostReverseProxy(must[*url.URL](p.t)(url.Parse(strings.TrimSuffix(p.api, "/api/v1/"))))))
	server := httptest.NewServer(files)
	defer server.Close()

	const width = 1600
	page := b.open(server.URL+"/?start="+unix(p.start), width)
	select {
	case said := <-drawn:
		for _, e := range said.Errors {
			p.t.Errorf("%s: %s", name, e)
		}
		for _, title := range said.Empty {
			p.t.Errorf("%s: %s is empty", name, title)
		}
		b.size(page, width, max(said.Height, 1))
		check(p.t, os.WriteFile("../docs/board-"+name+".webp", b.picture(page), 0o644))
	case <-time.After(patience):
		p.t.Errorf("%s: it was not drawn within %v", name, patience)
	}
}
