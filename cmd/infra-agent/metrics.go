package main

import (
	"context"
	"net"
	"path/filepath"

	"github.com/infra-agent/infra-agent/agent/config"
	"github.com/infra-agent/infra-agent/agent/socket"
	"github.com/infra-agent/infra-agent/metrics"
)

// serveMetrics answers scrapes where the settings say, until ctx ends. It calls ready when
// somebody could scrape.
func serveMetrics(ctx context.Context, s config.Metrics, c *metrics.Collector, ready func()) error {
	if s.Listen == "" {
		ready()
		<-ctx.Done()
		return nil
	}
	l, err := listenForScrapes(ctx, s)
	if err != nil {
		return err
	}
	ready()
	return metrics.Serve(ctx, l, c)
}

func listenForScrapes(ctx context.Context, s config.Metrics) (net.Listener, error) {
	if filepath.IsAbs(s.Listen) {
		return socket.Listen(s.Listen, s.SocketGroup)
	}
	return new(net.ListenConfig).Listen(ctx, "tcp", s.Listen)
}
