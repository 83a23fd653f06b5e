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
	dialing chan struct{} // guarded by mu; closed when the one that connects has ended, and nothing is asked before; nil: nobody does
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

// manager returns a property of systemd itself. (go-systemd asks for it without a limit.)
func (c connection) manager(ctx context.Context, property string) (value godbus.Variant, err error) {
	systemd := c.calls.Object("org.freedesktop.systemd1", "/org/freedesktop/systemd1")
	err = systemd.CallWithContext(ctx, "org.freedesktop.DBus.Properties.Get", 0, "org.freedesktop.systemd1.Manager", property).Store(&value)
	return value, err
}

// answers reports whether the bus itself, which is not systemd, answers on the connection.
func (c connection) answers() bool {
	if c.Conn == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), reconcile.PingWithin)
	defer cancel()
	return c.calls.BusObject().CallWithContext(ctx, "org.freedesktop.DBus.Peer.Ping", 0).Err == nil
}

func (c connection) close() {
	if c.Conn != nil {
		c.Close()
	}
}

// call runs f with a connection, and tries again on a new one when the
// connection was lost. It ends with ctx, and after [reconcile.BusWithin], even where a
// bus takes the question and never answers.
func (b *Bus) call(ctx context.Context, f func(context.Context, connection) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, reconcile.BusWithin, fmt.Errorf("no answer within %v", reconcile.BusWithin))
	defer cancel()
	for {
		conn, err := b.connect(ctx)
		if err == nil {
			err = f(ctx, conn)
		}
		late := errors.Is(err, context.DeadlineExceeded)
		if late {
			b.doubt(conn)
		}
		switch {
		case late, errors.Is(err, context.Canceled):
			return fmt.Errorf("system bus: %w", context.Cause(ctx))
		case err == nil || !lost(err):
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
func lost(err error) bool {
	e, answered := errors.AsType[godbus.Error](err)
	if !answered {
		return true
	}
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
	if b.dialing == nil && b.conn.Conn != nil && b.conn.Connected() {
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
		return connection{}, ctx.Err()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.conn.Conn == nil {
		return connection{}, b.err
	}
	return b.conn, nil
}

// doubt has a connection that gave no answer replaced, if it is at fault.
func (b *Bus) doubt(conn connection) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if conn.Conn != nil && b.conn == conn && b.dialing == nil {
		b.dialing = make(chan struct{})
		go b.dial(b.dialing)
	}
}

// dial makes a connection. One that is there stays where the bus answers on it: then systemd is
// slow, and it knows how the units ended that were started over that connection only for as
// long as it is open, see [common]. A bus that was slow itself answers on both.
func (b *Bus) dial(done chan struct{}) {
	b.mu.Lock()
	before := b.conn
	b.mu.Unlock()
	var made connection
	var err error
	stays := before.answers()
	if !stays {
		made.Conn, err = dbus.NewConnection(func() (*godbus.Conn, error) {
			c, err := godbus.ConnectSystemBus(godbus.WithAuth(godbus.AuthExternal(strconv.Itoa(os.Getuid()))))
			made.calls = cmp.Or(made.calls, c) // go-systemd makes a second one for signals
			return c, err
		})
		stays = err == nil && before.answers()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	defer close(done)
	b.dialing, b.err = nil, err
	switch {
	case stays:
		made.close()
	case err == nil:
		go before.close() // which waits for what is being written to it
		b.conn = made
	}
}

func (b *Bus) drop(conn connection) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.conn == conn {
		go conn.close() // as above
		b.conn = connection{}
	}
}

// Close ends the connection.
func (b *Bus) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.conn.close()
	b.conn = connection{}
}
