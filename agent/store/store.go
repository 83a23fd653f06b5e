// Package store keeps the agent's record in a file: whole, versioned, with a
// checksum, and written only when something changed that must survive. It knows
// nothing of what the record means.
package store

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/infra-agent/infra-agent/agent/durable"
	"github.com/infra-agent/infra-agent/reconcile"
)

// Name is the record's file in the state directory.
const Name = "state.json"

// ErrRunning says that another agent has the state directory open.
var ErrRunning = errors.New("another infra-agent is running")

// A Store is the record on disk. One process has it open at a time.
type Store struct {
	path    string
	lock    *os.File
	own     version
	schema  int    // of the file as it was found; 0: there was none
	before  []byte // the record as it stands on disk
	written []byte // the part of it that must be written at once when it changes
	closed  bool   // the record on disk must not be touched
}

// Open locks the state directory and reads the record. A record that cannot be
// used comes back with Unreadable set, and is left as it is. The error is
// [ErrRunning] when another agent holds the lock.
func Open(dir string) (*Store, reconcile.Record, error) {
	return open(dir, version{Schema, MinReader})
}

func open(dir string, own version) (*Store, reconcile.Record, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, reconcile.Record{}, fmt.Errorf("open state directory: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, reconcile.Record{}, fmt.Errorf("open state directory: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = lock.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = ErrRunning
		}
		return nil, reconcile.Record{}, fmt.Errorf("lock %s: %w", dir, err)
	}
	s := &Store{path: filepath.Join(dir, Name), lock: lock, own: own}
	rec, err := s.load()
	return s, rec, err
}

func (s *Store) load() (reconcile.Record, error) {
	data, err := os.ReadFile(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return reconcile.New(), nil
	}
	if err != nil {
		return reconcile.Record{}, fmt.Errorf("read record: %w", err)
	}
	rec, schema, before, err := decode(data, s.own.schema)
	if err != nil {
		s.closed = true
		rec := reconcile.New()
		rec.Unreadable = fmt.Sprintf("%s: %v", s.path, err)
		return rec, nil
	}
	s.schema, s.before = schema, before
	s.written, err = encodeRecord(rec, false, before)
	return rec, err
}

// Save writes rec when anything but its tally differs from what is on disk. It
// reports whether it wrote.
func (s *Store) Save(rec reconcile.Record) (bool, error) {
	if s.closed {
		return false, errors.New("save record: the record on disk is not readable and is left alone")
	}
	now, err := encodeRecord(rec, false, s.before)
	if err != nil {
		return false, fmt.Errorf("save record: %w", err)
	}
	if bytes.Equal(now, s.written) {
		return false, nil
	}
	v := s.own.during(rec.Phase, s.schema)
	record, err := encodeRecord(rec, true, s.before)
	if err != nil {
		return false, fmt.Errorf("save record: %w", err)
	}
	data, err := encodeFile(record, v)
	if err != nil {
		return false, fmt.Errorf("save record: %w", err)
	}
	if err := durable.WriteFile(s.path, data, 0o600); err != nil {
		return false, fmt.Errorf("save record: %w", err)
	}
	s.schema, s.before = v.schema, record
	s.written, err = encodeRecord(rec, false, record)
	return true, err
}

// Close releases the state directory.
func (s *Store) Close() error { return s.lock.Close() }

// Read returns the record in dir without locking it, for status while no agent
// runs. A missing record is an empty one.
func Read(dir string) (reconcile.Record, error) {
	rec, err := ReadFile(filepath.Join(dir, Name))
	if errors.Is(err, fs.ErrNotExist) {
		return reconcile.New(), nil
	}
	return rec, err
}

// ReadFile returns the record in a file. The error says why it cannot be used.
func ReadFile(path string) (reconcile.Record, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return reconcile.Record{}, fmt.Errorf("read record: %w", err)
	}
	rec, _, _, err := decode(data, Schema)
	if err != nil {
		return reconcile.Record{}, fmt.Errorf("%s: %w", path, err)
	}
	return rec, nil
}
