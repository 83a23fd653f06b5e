package system

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/dbus"
	godbus "github.com/godbus/dbus/v5"

	"github.com/infra-agent/infra-agent/reconcile"
)

// A Bus is a connection to systemd over the system bus, made again when it is
// lost. (systemd's private socket dies whenever PID 1 re-executes itself, which
// a switch does.) The zero value is ready to use.
type Bus struct {
	mu      sync.Mutex
	conn    connection    // guarded by mu; zero: not connected
	dialing chan struct{} // guarded by mu; closed when the one that connects has ended; nil: nobody does
	err     error         // guarded by mu; of the last one that connected
}

// A connection is one to systemd, and the one below it that its calls go through.
type connection struct {
	*dbus.Conn
	calls *godbus.Conn
}

// unref lets go of a unit that was started with AddRef. Where that fails the bus does it
// at the end of the connection.
func (c connection) unref(ctx context.Context, unit string) {
	manager := c.calls.Object("org.freedesktop.systemd1", "/org/freedesktop/systemd1")
	_ = manager.CallWithContext(ctx, "org.freedesktop.systemd1.Manager.UnrefUnit", 0, unit).Err
}

// call runs f with a connection, and tries again on a new one when the
// connection was lost. It ends with ctx, and after [reconcile.BusWithin], even where a
// bus takes the question and never answers.
func (b *Bus) call(ctx context.Context, f func(context.Context, connection) error) error {
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

// connect returns the connection, and makes one where there is none. To connect means to
// wait for answers without a limit, so it is done aside, by one at a time: ctx ends the
// wait for it, and a bus that wakes up ends it.
func (b *Bus) connect(ctx context.Context) (connection, error) {
	b.mu.Lock()
	if b.conn.Conn != nil && b.conn.Connected() {
		defer b.mu.Unlock()
		return b.conn, nil
	}
	if b.dialing == nil {
		b.dialing = make(chan struct{})
		go b.dial(b.dialing)
	}
	dialing := b.dialing
	b.mu.Unlock()
	select {
	case <-dialing:
	case <-ctx.Done():
		return connection{}, fmt.Errorf("system bus: no answer: %w", context.Cause(ctx))
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.conn.Conn == nil {
		return connection{}, fmt.Errorf("system bus: %w", b.err)
	}
	return b.conn, nil
}

func (b *Bus) dial(done chan struct{}) {
	var calls *godbus.Conn // go-systemd makes a second one for signals
	conn, err := dbus.NewConnection(func() (*godbus.Conn, error) {
		c, err := godbus.ConnectSystemBus(godbus.WithAuth(godbus.AuthExternal(strconv.Itoa(os.Getuid()))))
		calls = cmp.Or(calls, c)
		return c, err
	})
	b.mu.Lock()
	defer b.mu.Unlock()
	b.dialing, b.err = nil, err
	if err == nil {
		b.conn = connection{conn, calls}
	}
	close(done)
}

func (b *Bus) drop(conn connection) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.conn == conn && conn.Conn != nil {
		conn.Close()
		b.conn = connection{}
	}
}

// Close ends the connection.
func (b *Bus) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.conn.Conn != nil {
		b.conn.Close()
		b.conn = connection{}
	}
}
