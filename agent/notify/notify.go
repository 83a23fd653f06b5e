// Package notify delivers notices to receivers: programs and web hooks. It keeps what it owes in a file of its own, so that
// each notice arrives at least once, whatever happens to the agent meanwhile; it tries again within bounds, and never makes
// anybody wait. It knows nothing of what is noticed, nor why.
package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/infra-agent/infra-agent/reconcile"
)

const (
	keepOwed  = 100            // notices for each receiver; the oldest are dropped
	keepFor   = 24 * time.Hour // a notice is tried; after that once more, if its turn comes
	saveLazy  = time.Minute    // until what is only remembered is written
	giveUp    = 8              // tries in a row, of what a receiver refuses or what is too old
	fileLimit = 4 << 20        // bytes
)

// pauses are between the tries in a row that fail; the last one repeats.
var pauses = []time.Duration{5 * time.Second, 15 * time.Second, time.Minute, 5 * time.Minute, 15 * time.Minute}

// A Receiver wants to be told.
type Receiver struct {
	Name  string
	Kinds []reconcile.NoticeKind
	To    Sender
}

// A Sender hands over one notice, and ends by itself. Its errors are told to people: they hold no secret. A notice that
// it could not hand over is handed to it again, also after it arrived and the sender could not see that.
type Sender interface {
	Send(ctx context.Context, n reconcile.Notice) error
}

// A RefusedError says that the receiver is there, and does not take the notice.
type RefusedError struct{ Why string }

func (e *RefusedError) Error() string { return e.Why }

// Options is what a notifier is made of.
type Options struct {
	Path    string // of its file
	Spread  func() float64
	Log     *slog.Logger
	Trouble func(what, why string) // tells that something does not work; empty: it does
}

// A Notifier hands notices to its receivers.
type Notifier struct {
	Options
	changed chan struct{} // there is something to write, or other receivers

	mu        sync.Mutex // guards everything below
	state     state
	dirty     bool // state is not on disk
	urgent    bool // and cannot wait
	receivers []Receiver
	others    bool // the receivers are not those that are delivered to
	wake      map[string]chan struct{}
	counts    map[string]reconcile.Delivery
	troubles  map[string]string // that were told
}

// state is the notifier's file. Fields are only ever added; what an older version does not know it drops.
type state struct {
	Told reconcile.Told                `json:"told"`
	Owed map[string][]reconcile.Notice `json:"owed,omitempty"` // by receiver, the oldest first
}

// Open returns a notifier that goes on from its file. One that cannot be read is told, and is as none.
func Open(o Options) *Notifier {
	n := &Notifier{
		Options: o, changed: make(chan struct{}, 1),
		wake: map[string]chan struct{}{}, counts: map[string]reconcile.Delivery{}, troubles: map[string]string{},
	}
	s, err := read(o.Path)
	if err != nil {
		o.Log.Warn("what was told is not known, and begins anew", "err", err)
	}
	if n.state = s; n.state.Owed == nil {
		n.state.Owed = map[string][]reconcile.Notice{}
	}
	return n
}

func read(path string) (s state, err error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return state{}, nil
	}
	if err != nil {
		return state{}, err
	}
	if len(text) > fileLimit {
		return state{}, fmt.Errorf("%s has more than %d bytes", path, fileLimit)
	}
	if err := json.Unmarshal(text, &s); err != nil {
		return state{}, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

// Told returns what was told when the file was written last.
func (n *Notifier) Told() reconcile.Told {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.state.Told
}

// Use replaces the receivers. What is owed to one of the same name stays; else it is dropped.
func (n *Notifier) Use(receivers []Receiver) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.receivers, n.others = receivers, true
	known := func(name string) bool {
		return slices.ContainsFunc(receivers, func(r Receiver) bool { return r.Name == name })
	}
	for name := range n.state.Owed {
		if !known(name) {
			delete(n.state.Owed, name)
			n.dirty, n.urgent = true, true
		}
	}
	maps.DeleteFunc(n.counts, func(name string, _ reconcile.Delivery) bool { return !known(name) })
	n.wake = map[string]chan struct{}{}
	for _, r := range receivers {
		n.wake[r.Name] = make(chan struct{}, 1)
		if _, is := n.counts[r.Name]; !is { // from the start
			n.counts[r.Name] = reconcile.Delivery{}
		}
	}
	poke(n.changed)
}

// Tell takes what was told so far, and what is to be told now. It never waits.
func (n *Notifier) Tell(told reconcile.Told, news []reconcile.Notice) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if told.Equal(n.state.Told) && len(news) == 0 {
		return
	}
	n.state.Told, n.dirty = told, true
	for _, r := range n.receivers {
		for _, notice := range news {
			if slices.Contains(r.Kinds, notice.Kind) {
				n.owe(r.Name, notice)
			}
		}
	}
	if n.urgent = n.urgent || len(news) > 0; n.urgent {
		poke(n.changed)
	}
}

// owe adds a notice to what is owed to the receiver. The caller holds mu.
func (n *Notifier) owe(receiver string, notice reconcile.Notice) {
	owed := append(slices.Clip(n.state.Owed[receiver]), notice)
	if over := len(owed) - keepOwed; over > 0 {
		owed = owed[over:]
		n.count(receiver, func(d *reconcile.Delivery) { d.Dropped += over })
	}
	n.state.Owed[receiver] = owed
	poke(n.wake[receiver])
}

// count changes the figures of a receiver. The caller holds mu.
func (n *Notifier) count(receiver string, change func(*reconcile.Delivery)) {
	d, is := n.counts[receiver]
	if change(&d); is { // one that is gone has none
		n.counts[receiver] = d
	}
}

// Deliveries returns the figures of each receiver.
func (n *Notifier) Deliveries() map[string]reconcile.Delivery {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := maps.Clone(n.counts)
	for name, d := range all {
		d.Pending = len(n.state.Owed[name])
		all[name] = d
	}
	return all
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // it was poked already
	}
}
