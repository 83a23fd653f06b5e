package metrics

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/infra-agent/infra-agent/reconcile"
)

// WriteFile replaces the file at path by what a scrape would say, in Prometheus' text format,
// for all to read.
func WriteFile(path string, c *Collector) error {
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(c); err != nil {
		return fmt.Errorf("register: %w", err)
	}
	return prometheus.WriteToTextfile(path, registry)
}

// Handler answers scrapes. Who asks for protobuf, as Prometheus does with native histograms switched on, gets those too.
func Handler(c *Collector) (http.Handler, error) {
	text, err := handler(c)
	if err != nil {
		return nil, err
	}
	protobuf := sync.OnceValues(func() (http.Handler, error) { return handler(c.Native()) }) // most agents need no memory for it
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		scrapes, err := text, error(nil)
		if strings.HasPrefix(r.Header.Get("Accept"), "application/vnd.google.protobuf") { // the one that is liked best comes first
			scrapes, err = protobuf()
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		scrapes.ServeHTTP(w, r)
	}), nil
}

func handler(c *Collector) (http.Handler, error) {
	registry := prometheus.NewRegistry()
	if err := registry.Register(c); err != nil {
		return nil, fmt.Errorf("register: %w", err)
	}
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		MaxRequestsInFlight: 4,
		DisableCompression:  true, // on loopback it costs a megabyte and saves nothing
	}), nil
}

// lastAnswers is how long the scrapes that have begun may last when the agent ends.
const lastAnswers = time.Second

// Serve answers scrapes at /metrics on l, which it closes, until ctx ends. What was asked by then is still answered.
func Serve(ctx context.Context, l net.Listener, c *Collector) error {
	scrapes, err := Handler(c)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", scrapes)
	srv := &http.Server{Handler: mux, ReadTimeout: reconcile.RequestWithin, WriteTimeout: reconcile.ScrapeWithin, MaxHeaderBytes: 16 << 10}
	var open sync.WaitGroup
	srv.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			open.Add(1)
		case http.StateClosed, http.StateHijacked:
			open.Done()
		case http.StateActive, http.StateIdle:
		}
	}
	stop := context.AfterFunc(ctx, func() {
		srv.SetKeepAlivesEnabled(false) // not Shutdown, which drops what it has accepted and not read yet
		_ = l.Close()
	})
	if err := srv.Serve(l); stop() {
		return err
	}
	answered := make(chan struct{})
	go func() {
		open.Wait()
		close(answered)
	}()
	select {
	case <-answered:
	case <-time.After(lastAnswers):
	}
	_ = srv.Close()
	return nil
}
