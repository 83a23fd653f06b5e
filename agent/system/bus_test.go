package system

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	godbus "github.com/godbus/dbus/v5"
)

// listen has the bus be at a socket of the test's.
func listen(t *testing.T) net.Listener {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "bus")
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path="+socket)
	return l
}

// A bus that takes every connection and never answers holds nobody beyond its context.
func TestABusThatNeverAnswers(t *testing.T) {
	l := listen(t) // the kernel accepts, nobody reads
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

// A busServer answers as the bus does, and says of each property of systemd that it is 1.
type busServer struct {
	accepted atomic.Int32
	hangs    bool        // its first connection brings no answer once it is made
	silent   atomic.Bool // systemd is
}

func (s *busServer) serve(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go s.talk(conn, s.hangs && s.accepted.Add(1) == 1)
	}
}

func (s *busServer) talk(conn net.Conn, hangs bool) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	for line := ""; line != "BEGIN"; { // by the D-Bus specification, "Authentication Protocol"
		text, err := in.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimSpace(strings.TrimPrefix(text, "\x00"))
		answer := map[string]string{"AUTH": "REJECTED EXTERNAL", "NEGOTIATE_UNIX_FD": "ERROR", "BEGIN": ""}
		said, known := answer[line]
		switch {
		case !known:
			said = "OK 0123456789abcdef0123456789abcdef"
		case said == "":
			continue
		}
		if _, err := conn.Write([]byte(said + "\r\n")); err != nil {
			return
		}
	}
	for {
		asked, err := godbus.DecodeMessage(in)
		if err != nil {
			return
		}
		body := []any{}
		switch member, _ := asked.Headers[godbus.FieldMember].Value().(string); {
		case member == "Hello":
			body = []any{":1.1"}
		case hangs, member == "Get" && s.silent.Load():
			continue
		case member == "Get":
			body = []any{godbus.MakeVariant(uint64(1))}
		}
		reply := &godbus.Message{Type: godbus.TypeMethodReply, Body: body, Headers: map[godbus.HeaderField]godbus.Variant{
			godbus.FieldReplySerial: godbus.MakeVariant(asked.Serial()),
		}}
		if len(body) > 0 {
			reply.Headers[godbus.FieldSignature] = godbus.MakeVariant(godbus.SignatureOf(body...))
		}
		if err := reply.EncodeTo(conn, binary.LittleEndian); err != nil {
			return
		}
	}
}

// ask asks systemd something, which takes no longer than so long, and returns the connection that was used.
func ask(t *testing.T, b *Bus, within time.Duration) (used connection, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	return used, b.call(ctx, func(ctx context.Context, c connection) error {
		used = c
		_, err := c.manager(ctx, "SystemState")
		return err
	})
}

// A connection that brings no answer any more, where the bus gives new ones, is given up.
func TestAConnectionThatHangsIsMadeAnew(t *testing.T) {
	s, b, l := &busServer{hangs: true}, &Bus{}, listen(t)
	go s.serve(l)
	before, err := connection{}, error(nil)
	for before.Conn == nil { // until one is made
		before, err = ask(t, b, 10*time.Millisecond)
	}
	if err == nil {
		t.Fatal("a connection that hangs brought an answer")
	}
	after, err := ask(t, b, time.Minute)
	if err != nil || after == before {
		t.Errorf("got %v, over the same connection: %t", err, after == before)
	}
	b.Close()
}

// While systemd is slow, the connection stays, and with it what systemd keeps for it.
func TestAConnectionToASlowSystemdStays(t *testing.T) {
	s, b, l := &busServer{}, &Bus{}, listen(t)
	go s.serve(l)
	before, err := ask(t, b, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	s.silent.Store(true)
	if _, err := ask(t, b, 10*time.Millisecond); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v of a systemd that is silent", err)
	}
	s.silent.Store(false)
	if after, err := ask(t, b, time.Minute); err != nil || after != before {
		t.Errorf("got %v, over the same connection: %t", err, after == before)
	}
	b.Close()
}
