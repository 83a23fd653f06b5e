package system

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/dbus"
	godbus "github.com/godbus/dbus/v5"

	"github.com/infra-agent/infra-agent/reconcile"
)

// A Bus is a connection to systemd over the system bus, made again when it is
// lost. (systemd's private socket dies whenever PID 1 re-executes itself, which
// a switch does.)
type Bus struct {
	mu   sync.Mutex
	conn *dbus.Conn // guarded by mu; nil: not connected
}

// call runs f with a connection, and tries again on a new one when the
// connection was lost.
func (b *Bus) call(ctx context.Context, f func(context.Context, *dbus.Conn) error) error {
	ctx, cancel := context.WithTimeout(ctx, reconcile.BusWithin)
	defer cancel()
	for {
		conn, err := b.connect(ctx)
		if err == nil {
			err = f(ctx, conn)
		}
		if err == nil || !b.lost(err) {
			return err
		}
		b.drop(conn)
		select {
		case <-ctx.Done():
			return fmt.Errorf("system bus: %w", err)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// lost reports whether err is the connection's, and not systemd's answer.
func (b *Bus) lost(err error) bool {
	if _, answered := errors.AsType[godbus.Error](err); !answered {
		return !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded)
	}
	e, _ := errors.AsType[godbus.Error](err)
	switch e.Name {
	case "org.freedesktop.DBus.Error.NoReply", "org.freedesktop.DBus.Error.Disconnected",
		"org.freedesktop.DBus.Error.ServiceUnknown", "org.freedesktop.DBus.Error.NameHasNoOwner",
		"org.freedesktop.DBus.Error.TimedOut":
		return true
	}
	return false
}

func (b *Bus) connect(ctx context.Context) (*dbus.Conn, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.conn != nil && b.conn.Connected() {
		return b.conn, nil
	}
	// The connection outlives this call, so its context must, too.
	conn, err := dbus.NewSystemConnectionContext(context.WithoutCancel(ctx))
	if err != nil {
		return nil, err
	}
	b.conn = conn
	return conn, nil
}

func (b *Bus) drop(conn *dbus.Conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.conn == conn && conn != nil {
		conn.Close()
		b.conn = nil
	}
}

// Close ends the connection.
func (b *Bus) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.conn != nil {
		b.conn.Close()
		b.conn = nil
	}
}
