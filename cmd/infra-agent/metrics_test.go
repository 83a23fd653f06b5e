package main

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/infra-agent/infra-agent/agent/config"
	"github.com/infra-agent/infra-agent/metrics"
	"github.com/infra-agent/infra-agent/reconcile"
)

func TestServeMetrics(t *testing.T) {
	c := metrics.New("", func() reconcile.Snapshot { return reconcile.Snapshot{Record: reconcile.New()} })
	taken, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	if got := metricsOutputs(config.Metrics{}, nil); len(got) > 0 {
		t.Errorf("metrics go %v, want nowhere", got)
	}
	for name, tt := range map[string]struct {
		settings config.Metrics
		want     func(error) bool
	}{
		"a missing directory of a file": {config.Metrics{Textfile: "/no/such/directory/x.prom"}, func(err error) bool { return errors.Is(err, os.ErrNotExist) }},
		"a socket":                      {config.Metrics{Socket: t.TempDir() + "/s"}, func(err error) bool { return err == nil }},
		"a taken port":                  {config.Metrics{Listen: taken.Addr().String()}, func(err error) bool { return err != nil && strings.Contains(err.Error(), "address already in use") }},
		"a missing directory":           {config.Metrics{Listen: "/no/such/directory/metrics.sock"}, func(err error) bool { return errors.Is(err, os.ErrNotExist) }},
		"a missing group": {config.Metrics{Listen: t.TempDir() + "/s", SocketGroup: "no-such-group"}, func(err error) bool {
			return err != nil && strings.Contains(err.Error(), "unknown group no-such-group")
		}},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		isReady := false
		err := metricsOutputs(tt.settings, nil)[0].show(ctx, c, func() { isReady = true; cancel() })
		cancel()
		if !tt.want(err) || isReady != (err == nil) {
			t.Errorf("%s: %v, ready: %v", name, err, isReady)
		}
	}
}

// Where systemd listens, the agent does not, and what it closes is open for the next one.
func TestMetricsOnASocketOfSystemd(t *testing.T) {
	c := metrics.New("1.2.3", func() reconcile.Snapshot { return reconcile.Snapshot{Record: reconcile.New()} })
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	handed, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer handed.Close()
	address := l.Addr().String()
	l.Close()
	outputs := metricsOutputs(config.Metrics{Listen: address, Socket: t.TempDir() + "/s"}, []*os.File{handed})
	if len(outputs) != 2 || outputs[1].name != "metrics socket" {
		t.Fatalf("the metrics go %v, want to that socket and the one beside it", outputs)
	}
	for range 2 { // as by an agent that starts again
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		waiting, err := new(net.Dialer).DialContext(ctx, "tcp", address) // nobody serves yet
		if err != nil {
			t.Fatal(err)
		}
		go func() { ended <- outputs[0].show(ctx, c, func() {}) }()
		if _, err := waiting.Write([]byte("GET /metrics HTTP/1.0\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
		if text, err := io.ReadAll(waiting); err != nil || !strings.Contains(string(text), "version=\"1.2.3\"} 1") {
			t.Errorf("a scrape got %v, %s", err, text)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	datagrams, err := new(net.ListenConfig).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = datagrams.Close() }()
	wrong, err := datagrams.(*net.UDPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	defer wrong.Close()
	if err := metricsOutputs(config.Metrics{}, []*os.File{wrong})[0].show(t.Context(), c, func() {}); err == nil || !strings.HasPrefix(err.Error(), "the socket ") {
		t.Errorf("a socket of datagrams: %v", err)
	}
}

// A file for node_exporter says what a scrape would, anew each quarter of a minute, and goes with
// the agent.
func TestMetricsTextfile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var suspended atomic.Bool
		c := metrics.New("1.2.3", func() reconcile.Snapshot {
			s := reconcile.Snapshot{Record: reconcile.New()}
			if suspended.Load() {
				s.Record.Suspended.Since = time.Now()
			}
			return s
		})
		path := filepath.Join(t.TempDir(), "infra-agent.prom")
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- writeMetrics(ctx, path, c, func() {}) }()
		says := func(want string) {
			t.Helper()
			text, err := os.ReadFile(path)
			if err != nil || !strings.Contains(string(text), want) {
				t.Errorf("the file does not say %s (%v)", want, err)
			}
		}
		synctest.Wait()
		says(`version="1.2.3"} 1`)
		says("infra_agent_suspended_since_timestamp_seconds 0\n")
		suspended.Store(true)
		time.Sleep(textfileEvery)
		synctest.Wait()
		says("infra_agent_suspended_since_timestamp_seconds 9.466848")
		if info, err := os.Stat(path); err != nil || info.Mode() != 0o644 {
			t.Errorf("the file: %v, %v", info, err)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) > 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
	})
}
