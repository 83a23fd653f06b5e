package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/infra-agent/infra-agent/agent/config"
	"github.com/infra-agent/infra-agent/agent/socket"
	"github.com/infra-agent/infra-agent/metrics"
)

// A metricsOutput is one way on which the metrics leave the agent. show works until ctx ends,
// and calls ready when somebody could see them.
type metricsOutput struct {
	name string
	show func(ctx context.Context, c *metrics.Collector, ready func()) error
}

// metricsOutputs are those of the settings, and the sockets on which systemd listens for scrapes, in the place of
// metrics.listen.
func metricsOutputs(s config.Metrics, handed []*os.File) []metricsOutput {
	var all []metricsOutput
	for _, f := range handed {
		s.Listen = ""
		all = append(all, metricsOutput{"metrics", func(ctx context.Context, c *metrics.Collector, ready func()) error {
			l, err := net.FileListener(f) // of a copy: the socket itself stays
			if err != nil {
				return fmt.Errorf("the socket %s that systemd handed over: %w", f.Name(), err)
			}
			ready()
			return metrics.Serve(ctx, l, c)
		}})
	}
	for _, o := range []struct{ name, listen string }{{"metrics", s.Listen}, {"metrics socket", s.Socket}} {
		if o.listen != "" {
			all = append(all, metricsOutput{o.name, func(ctx context.Context, c *metrics.Collector, ready func()) error {
				return serveMetrics(ctx, o.listen, s.SocketGroup, c, ready)
			}})
		}
	}
	if s.Textfile != "" {
		all = append(all, metricsOutput{"metrics textfile", func(ctx context.Context, c *metrics.Collector, ready func()) error {
			return writeMetrics(ctx, s.Textfile, c, ready)
		}})
	}
	return all
}

// serveMetrics answers scrapes at a port or a unix socket.
func serveMetrics(ctx context.Context, listen, group string, c *metrics.Collector, ready func()) error {
	l, err := listenForScrapes(ctx, listen, group)
	if err != nil {
		return err
	}
	ready()
	return metrics.Serve(ctx, l, c)
}

func listenForScrapes(ctx context.Context, listen, group string) (net.Listener, error) {
	if filepath.IsAbs(listen) {
		return socket.Listen(listen, group)
	}
	return new(net.ListenConfig).Listen(ctx, "tcp", listen)
}

// textfileEvery is the time between two writes of a file for node_exporter: that of a scrape.
const textfileEvery = 15 * time.Second

// writeMetrics keeps a file for node_exporter's textfile collector. An agent that ends takes
// it away: nobody should take what it said for what is.
func writeMetrics(ctx context.Context, path string, c *metrics.Collector, ready func()) error {
	for {
		if err := metrics.WriteFile(path, c); err != nil {
			return fmt.Errorf("metrics.textfile: %w", err)
		}
		ready()
		select {
		case <-ctx.Done():
			return os.Remove(path)
		case <-time.After(textfileEvery):
		}
	}
}
