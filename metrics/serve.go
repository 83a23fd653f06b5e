package metrics

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Serve answers scrapes at /metrics until ctx ends. Listen is host:port, the
// absolute path of a unix socket, or "": then there is no listener. It calls ready when
// it listens.
func Serve(ctx context.Context, listen string, c *Collector, ready func()) error {
	if listen == "" {
		ready()
		<-ctx.Done()
		return nil
	}
	network := "tcp"
	if strings.HasPrefix(listen, "/") {
		network = "unix"
		if err := os.Remove(listen); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	l, err := new(net.ListenConfig).Listen(ctx, network, listen)
	if err != nil {
		return err
	}
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
	ready()
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
	defer stop()
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
