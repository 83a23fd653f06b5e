package metrics

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
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

// Serve answers scrapes at /metrics on l, which it closes, until ctx ends.
func Serve(ctx context.Context, l net.Listener, c *Collector) error {
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(c); err != nil {
		return fmt.Errorf("register: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		MaxRequestsInFlight: 4,
		DisableCompression:  true, // on loopback it costs a megabyte and saves nothing
	}))
	srv := &http.Server{Handler: mux, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second, MaxHeaderBytes: 16 << 10}
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
	defer stop()
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
