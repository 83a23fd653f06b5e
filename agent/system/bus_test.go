package system

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"testing"
)

// A bus that takes every connection and never answers holds nobody beyond its context.
func TestABusThatNeverAnswers(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "bus")
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", socket) // the kernel accepts, nobody reads
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path="+socket)
	bus := &Bus{}
	ctx, cancel := context.WithCancel(t.Context())
	ends := make(chan error)
	for range 3 {
		go func() {
			ends <- bus.call(ctx, func(context.Context, connection) error { return nil })
		}()
	}
	cancel()
	for range 3 {
		if err := <-ends; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want that the context ended", err)
		}
	}
	l.Close()
	bus.Close()
}

// A bus that is not there is asked again until the context ends.
func TestNoBus(t *testing.T) {
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path="+filepath.Join(t.TempDir(), "none"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := (&Bus{}).call(ctx, func(context.Context, connection) error { return nil })
	if err == nil {
		t.Error("got no error")
	}
}
