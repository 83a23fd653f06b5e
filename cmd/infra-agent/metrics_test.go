package main

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"testing"

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
	for name, tt := range map[string]struct {
		settings config.Metrics
		want     func(error) bool
	}{
		"nowhere":             {config.Metrics{}, func(err error) bool { return err == nil }},
		"a taken port":        {config.Metrics{Listen: taken.Addr().String()}, func(err error) bool { return err != nil && strings.Contains(err.Error(), "address already in use") }},
		"a missing directory": {config.Metrics{Listen: "/no/such/directory/metrics.sock"}, func(err error) bool { return errors.Is(err, os.ErrNotExist) }},
		"a missing group": {config.Metrics{Listen: t.TempDir() + "/s", SocketGroup: "no-such-group"}, func(err error) bool {
			return err != nil && strings.Contains(err.Error(), "unknown group no-such-group")
		}},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		isReady := false
		err := serveMetrics(ctx, tt.settings, c, func() { isReady = true; cancel() })
		cancel()
		if !tt.want(err) || isReady != (err == nil) {
			t.Errorf("%s: %v, ready: %v", name, err, isReady)
		}
	}
}
