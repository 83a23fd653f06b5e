package metrics_test

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/infra-agent/infra-agent/metrics"
	"github.com/infra-agent/infra-agent/reconcile"
)

func TestEmptySnapshotIsConsistent(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(metrics.New("1.0.0", func() reconcile.Snapshot { return reconcile.Snapshot{Record: reconcile.New()} }))
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := len(families), 30; got != want {
		t.Errorf("got %d metric families, want %d", got, want)
	}
}
