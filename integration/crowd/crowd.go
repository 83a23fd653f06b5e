// Package crowd serves what the agents of a large fleet would serve to Prometheus: the agent's own collector, of nodes that
// do not exist. They follow a branch that gets a commit every now and then. It is for figures, and for whoever wants to see
// the boards full; it says nothing of how an agent behaves.
package crowd

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/infra-agent/infra-agent/metrics"
	"github.com/infra-agent/infra-agent/reconcile"
)

// A Crowd is a number of nodes, and how often their branch gets a commit.
type Crowd struct {
	Nodes int
	Every time.Duration
}

// Targets are the addresses of the nodes. ServeHTTP is the proxy that reaches them.
func (c Crowd) Targets() []string {
	all := make([]string, c.Nodes)
	for i := range all {
		all[i] = name(i) + ":10119"
	}
	return all
}

// ServeHTTP answers a scrape of one of the targets.
func (c Crowd) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	number, _, _ := strings.Cut(strings.TrimPrefix(r.Host, "node-"), ":")
	i, err := strconv.Atoi(number)
	if err != nil || i < 0 || i >= c.Nodes {
		http.Error(w, "there is no node "+r.Host, http.StatusBadGateway)
		return
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(metrics.New("crowd", func() reconcile.Snapshot { return c.node(i, time.Now()).snapshot() }))
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{DisableCompression: true}).ServeHTTP(w, r)
}

func name(i int) string { return fmt.Sprintf("node-%05d", i) }
