package source

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"
)

// A meter counts what a remote sends. It is safe for concurrent use: HTTP reads
// ahead.
type meter struct {
	read  atomic.Int64
	limit atomic.Int64
}

func newMeter(limit int64) *meter {
	m := &meter{}
	m.limit.Store(limit)
	return m
}

func (m *meter) over() bool { return m.read.Load() > m.limit.Load() }

func (m *meter) err() error {
	return &limitError{"the remote sends", m.limit.Load(), "bytes", "limits.fetch_bytes"}
}

// count adds n bytes, and says so when they are too many.
func (m *meter) count(n int) error {
	if m.read.Add(int64(n)) > m.limit.Load() {
		return m.err()
	}
	return nil
}

// reader returns r, metered.
func (m *meter) reader(r io.Reader) io.Reader { return &meteredReader{r, m} }

type meteredReader struct {
	io.Reader
	meter *meter
}

func (r *meteredReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if over := r.meter.count(n); over != nil {
		return 0, over
	}
	return n, err
}

// meteredConn meters a connection, and ends it when the other side is silent for
// too long: some servers accept a connection and never say a word.
type meteredConn struct {
	net.Conn
	meter   *meter
	silence time.Duration // 0: for ever
}

func (c *meteredConn) Read(p []byte) (int, error) {
	if c.silence > 0 {
		if err := c.SetReadDeadline(time.Now().Add(c.silence)); err != nil {
			return 0, err
		}
	}
	n, err := c.Conn.Read(p)
	if over := c.meter.count(n); over != nil {
		return 0, over
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = fmt.Errorf("the server said nothing for %s", c.silence)
	}
	return n, err
}

// A limitError names a limit and the setting that raises it.
type limitError struct {
	what    string
	limit   int64
	unit    string
	setting string
}

func (e *limitError) Error() string {
	return fmt.Sprintf("%s more than %d %s (hint: if that is right, raise %s)", e.what, e.limit, e.unit, e.setting)
}
